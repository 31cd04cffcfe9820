"""From ADMITTED to ORDERED: each step writes its intent, does its effect, writes the outcome (GATE.md's table).

1. PREPARED: the ledger's mark in Vault covers the reservation, the grant is signed, recipe and inputs are staged, the
   MLflow run is open with its ``gov.*`` tags (before any training code exists), the door directory is there.
2. MINTED: run token, artifact keys and input keys are wrapped; the accessor of every wrap is stored.
3. STARTED: the container runs, and what the kernel shows of it is what the spec asks for.
4. ORDERED: the grant and its wraps went down stdin, once.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from sandbox.audit.vault_join import TOKEN
from sandbox.errors import IsolationMismatch, Unreachable
from sandbox.gate.database.tables import artifacts, credentials
from sandbox.gate.files import copy_out
from sandbox.gate.house import House
from sandbox.gate.ledger import evidence, high_water
from sandbox.gate.runs import chronicle, leases
from sandbox.gate.runs.chronicle import Killed
from sandbox.gate.runs.containers import spec_of
from sandbox.gate.runs.leases import Lease
from sandbox.gate.runs.unwrapping import Unwrapping
from sandbox.isolation.doors import make_folder
from sandbox.isolation.readback import compare
from sandbox.runs import Grant, Kind, Order, RunState, WrapToken, utc
from sandbox.sealing.manifest import open_granted
from sandbox.sealing.reader import count_data_keys
from sandbox.sealing.storage import Folder
from sandbox.vault.minting import USES_BESIDES_KEYS, Wrap

CREDENTIAL_SLACK_S = 30
LOOK_S = 1.0


@dataclass
class Minted:
    """Every credential made for a run so far; ``order`` holds the wraps and is never stored."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    unsure: bool = False  # an answer of Vault was lost: it may have made one that nobody knows
    unlock: WrapToken | None = None
    artifacts: dict[str, WrapToken] = field(default_factory=dict)
    inputs: dict[str, WrapToken] = field(default_factory=dict)


class Launch:
    """One run's way to its order. Every method may raise Killed, LeaseLost, Unreachable or what its effect refuses."""

    def __init__(self, house: House, lease: Lease) -> None:
        self._house, self._lease, self._run = house, lease, lease.run
        self.minted = Minted()
        self._looked = 0.0

    def prepare(self) -> bytes:
        """ADMITTED -> PREPARED; the signed grant's bytes. Repeatable: everything is found by the run's id."""
        house, run = self._house, self._run
        plan = chronicle.granted(house.store.read(lambda c: chronicle.find(c, run)))
        if plan.dataset is not None and plan.kind is Kind.AGREEMENT:
            high_water.cover(house, plan.dataset)
        spec = spec_of(house.places, house.sealed, plan, self._request()["compute"], house.settings().engine)
        plan = replace(plan, isolation_digest=spec.digest())
        grant = evidence.sign(
            house, run, "grant", plan.grant, [(plan.grant, evidence.digest_of(plan))], plan.to_predicate()
        )
        self._stage(plan)
        make_folder(house.places.doors, run)
        tracking = house.tracking.open_run(plan, grant.digest)
        columns: dict[str, Any] = {
            "plan": plan.to_predicate(),
            "grant_digest": grant.digest,
            "tracking": tracking,
        }
        self._advance(RunState.PREPARED, **columns)
        return grant.data

    def mint(self, grant: bytes) -> Order:
        """PREPARED -> MINTED. Never repeated with the same grant."""
        plan, house, settings = self._plan(), self._house, self._house.settings()
        if plan.kind is Kind.AGREEMENT:
            try:
                self._wrap(plan)
            except (Unreachable, TimeoutError):
                self.minted.unsure = True
                raise
        self._hash_accessors()
        until = utc(house.clock() + timedelta(seconds=settings.wrap_ttl_s))
        self._advance(RunState.MINTED, with_credentials=True, wraps_until=until)
        minted = self.minted
        return Order(grant, minted.unlock, minted.artifacts, minted.inputs)

    def start(self) -> None:
        """MINTED -> STARTED. Raises IsolationMismatch when the kernel shows something else than the spec asks for."""
        house, plan = self._house, self._plan()
        spec = spec_of(house.places, house.sealed, plan, self._request()["compute"], house.settings().engine)
        if spec.digest() != plan.isolation_digest:
            raise IsolationMismatch("the isolation asked for is no longer the one that was granted")
        started = house.launcher.start(spec)
        seen = house.launcher.readback(self._run)
        wrong = compare(spec, seen)
        if wrong:
            names = ", ".join(sorted({mismatch.name for mismatch in wrong})[:5])
            raise IsolationMismatch(f"{len(wrong)} properties differ: {names}")
        isolation = {"digest": spec.digest(), "seen": dict(seen)}
        tell = {"container": started.container_id, "engine": house.settings().engine, "properties": len(seen)}
        self._advance(
            RunState.STARTED, tell, container=started.container_id, pid=started.pid, isolation=isolation
        )

    def give(self, order: Order) -> None:
        """STARTED -> ORDERED: the order goes down stdin; then it is written that it did.

        Raises CredentialError (``credential.early``) when a wrap in it was opened by somebody already.
        """
        Unwrapping(self._house, self._run).require_untouched()
        # The intent: from here on its keeper may have opened them, whatever is killed next.
        now = self._house.clock()
        self._house.store.transact(lambda c: chronicle.happened(c, self._run, chronicle.ORDER, now, {}))
        self._house.launcher.stdin(self._run, order.to_bytes())
        self._advance(RunState.ORDERED)

    def remember(self, connection: Connection) -> None:
        """Store what was minted, also where minting broke off, so that each credential can be proved dead."""
        for row in self.minted.rows:
            known = sa.select(credentials.c.accessor).where(credentials.c.accessor == row["accessor"])
            if connection.execute(known).first() is None:
                connection.execute(credentials.insert().values(**row))

    def _wrap(self, plan: Grant) -> None:
        """Run token, artifact keys, input keys: each remembered as soon as it is made."""
        house, settings = self._house, self._house.settings()
        ttl = settings.credential_ttl_s
        if plan.dataset is not None:
            uses = self._keys(plan.dataset, plan) + USES_BESIDES_KEYS
            made = house.vault.mint_run(
                plan.dataset,
                plan.purpose,
                plan.run,
                plan.grant,
                uses=uses,
                ttl_s=ttl,
                wrap_ttl_s=settings.wrap_ttl_s,
            )
            self._know("wrap", made.wrap, settings.wrap_ttl_s)
            self._know(TOKEN, replace(made.wrap, accessor=made.wrapped_accessor), ttl)
            self.minted.unlock = WrapToken(made.wrap.token)
        for artifact in plan.artifacts:
            wrap = house.vault.new_artifact_key(plan.agreement, plan.run, artifact.path, settings.wrap_ttl_s)
            self._know("artifact", wrap, settings.wrap_ttl_s)
            self.minted.artifacts[artifact.path] = WrapToken(wrap.token)
        for item in (given for given in plan.inputs if not given.public):
            wrap = house.vault.open_artifact_key(
                plan.agreement, item.run, item.origin, self._wrapped(item.digest), settings.wrap_ttl_s
            )
            self._know("input", wrap, settings.wrap_ttl_s)
            self.minted.inputs[item.path] = WrapToken(wrap.token)

    def _plan(self) -> Grant:
        return chronicle.granted(self._house.store.read(lambda c: chronicle.find(c, self._run)))

    def _request(self) -> Mapping[str, Any]:
        return dict(self._house.store.read(lambda c: chronicle.find(c, self._run)).request)

    def _stage(self, plan: Grant) -> None:
        """The approved recipe's bytes and the sealed inputs, in folders of this run's own, and the sealed dataset."""
        folder = self._house.places.staging(self._run)
        self._house.recipes.stage(plan.recipe_digest, folder / "recipe")
        inputs = folder / "inputs"
        shutil.rmtree(inputs, ignore_errors=True)
        inputs.mkdir(parents=True, mode=0o755)
        for item in plan.inputs:
            if item.public:
                self._house.bases.stage(item.digest, inputs / item.path, self._wanted)
                continue
            copy_out(self._house.places.artifact(item.digest), inputs / item.path, self._wanted)
        if plan.dataset is not None:
            self._house.sealed.stage(plan.dataset, str(plan.manifest_digest), self._wanted)

    def _wanted(self) -> None:
        """Bringing data takes long: keep the lease, at most once a second, and see whether somebody wants an end.

        Raises Killed, LeaseLost.
        """
        now = time.monotonic()
        if now - self._looked < LOOK_S:
            return
        self._looked = now

        def look(connection: Connection) -> None:
            leases.renew(connection, self._lease, time.time())
            if chronicle.find(connection, self._run).kill is not None:
                raise Killed(f"run {self._run} was killed")

        self._house.store.transact(look)

    def _keys(self, dataset: str, plan: Grant) -> int:
        """How many keys the keeper will unwrap: a voice that was sealed in two batches has two."""
        manifest = str(plan.manifest_digest)
        source = Folder(self._house.sealed.folder(dataset, manifest))  # as the container sees it
        opened = open_granted(source, dataset, manifest, self._house.trust("custodian"))
        return count_data_keys(source, opened.manifest, plan.subjects)

    def _wrapped(self, digest: str) -> str:
        asked = sa.select(artifacts.c.wrapped_key).where(artifacts.c.sha256 == digest)
        return str(self._house.store.read(lambda c: c.execute(asked).scalar_one()))

    def _know(self, kind: str, wrap: Wrap, ttl_s: int) -> None:
        expires = self._house.clock() + timedelta(seconds=ttl_s + CREDENTIAL_SLACK_S)
        self.minted.rows.append(
            {
                "accessor": wrap.accessor,
                "run": self._run,
                "kind": kind,
                "path": wrap.creation_path,
                "audit_hash": "",
                "created_at": wrap.created_at,
                "expires_at": utc(expires),
            }
        )

    def _hash_accessors(self) -> None:
        """As Vault's audit file shows them: what joins its lines to this run."""
        for row in self.minted.rows:
            row["audit_hash"] = self._house.vault.audit_hash(row["accessor"])

    def _advance(
        self,
        after: RunState,
        tell: Mapping[str, Any] | None = None,
        *,
        with_credentials: bool = False,
        **columns: Any,
    ) -> None:
        now = self._house.clock()

        def step(connection: Connection) -> None:
            chronicle.advance(connection, self._lease, after, now, tell=tell, **columns)
            if with_credentials:
                self.remember(connection)

        self._house.store.transact(step)
