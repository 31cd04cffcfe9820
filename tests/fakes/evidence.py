"""What a gate hands to an auditor, made without one: log, checkpoints, statements, credentials, and what MLflow shows.

Everything is signed and hashed by the product's own functions; only the story is invented.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sandbox.audit import leaf_hash, root, sign_checkpoint
from sandbox.runs import CLASSIFICATION, Grant, Kind, Outcome, RunState
from sandbox.statements import (
    Ed25519Signer,
    PublicKey,
    canonical_json,
    open_statement,
    sha256,
    sign_statement,
)
from sandbox.tracking.reconcile import Actual, Shown
from sandbox.tracking.signed import signed_runs
from sandbox.tracking.tags import model_facts, params
from tests.fakes.audit_lines import answer, both

GATE = Ed25519Signer(Ed25519PrivateKey.from_private_bytes(b"\x01" * 32))
STRANGER = Ed25519Signer(Ed25519PrivateKey.from_private_bytes(b"\x02" * 32))
KEYS: tuple[PublicKey, ...] = (GATE.public,)
ORIGIN = "voice-sandbox/gate"
BEGAN, UNLOCKED, ENDED = "2026-11-24T12:00:00Z", "2026-11-24T12:00:40Z", "2026-11-24T12:20:00Z"
UNTIL_UNLOCKED = (RunState.PREPARED, RunState.MINTED, RunState.STARTED, RunState.ORDERED, RunState.UNLOCKED)


@dataclass
class Book:
    """An installation's evidence as it grows. ``pack`` is what the gate answers at ``/v1/evidence``."""

    entries: list[bytes] = field(default_factory=list)
    notes: list[bytes] = field(default_factory=list)
    statements: list[dict[str, Any]] = field(default_factory=list)
    windows: list[dict[str, Any]] = field(default_factory=list)
    lines: list[dict[str, Any]] = field(default_factory=list)

    # The acts

    def run(
        self,
        grant: Grant,
        outcome: Outcome | None = Outcome.FINISHED,
        *,
        model: str = "",
        failure: str | None = None,
        epsilon: float | None = None,
    ) -> None:
        """One run from its grant to its end; ``outcome`` None: it still trains. ``model`` is name@version."""
        signed = self.sign("grant", grant.grant, [(grant.grant, "0" * 64)], grant.to_predicate())
        given = self._credentials(grant)
        self.windows.append({"run": grant.run, "grant": grant.grant, "began": {}, "credentials": given})
        for state in UNTIL_UNLOCKED:
            self.state(grant.run, state, UNLOCKED if state is RunState.UNLOCKED else BEGAN)
        self.lines += self._vault(grant)
        if outcome is None:
            return
        self.state(grant.run, RunState.ENDED, ENDED)
        if model:
            self._model(grant, model)
        told = {
            "classification": CLASSIFICATION,
            "run": grant.run,
            "grant": grant.grant,
            "grant_digest": signed,
            "person": grant.person,
            "outcome": outcome.value,
            "failure": failure,
            "epsilon": epsilon,
            "credentials": given,
        }
        self.sign("run", grant.run, [(grant.run, signed)], told)
        self.state(grant.run, RunState.SETTLED, ENDED, outcome=outcome.value)

    def taint(self, model: str, why: str) -> None:
        self.log("taint", model=model, why=why)

    # The book-keeping

    def log(self, kind: str, at: str = ENDED, **fields: Any) -> None:
        self.entries.append(canonical_json({"at": at, "by": "gate", "kind": kind, **fields}))

    def state(self, run: str, state: RunState, at: str, **said: Any) -> None:
        self.log("state", at, run=run, state=state.value, **said)

    def sign(
        self,
        name: str,
        statement: str,
        subjects: Sequence[tuple[str, str]],
        predicate: Mapping[str, Any],
        signer: Ed25519Signer = GATE,
        logged: bool = True,
    ) -> str:
        """Sign, keep and log; the digest."""
        envelope = sign_statement(name, subjects, predicate, [signer])
        digest = sha256(envelope)
        row = {"digest": digest, "name": name, "id": statement, "envelope": text(envelope)}
        self.statements.append(row)
        if logged:
            self.log("statement", statement=statement, name=name, digest=digest)
        return digest

    def checkpoint(self, signer: Ed25519Signer = GATE) -> bytes:
        self.notes.append(checkpoint(self.entries, signer))
        return self.notes[-1]

    # What is handed out

    def pack(self) -> dict[str, Any]:
        """With a checkpoint over everything."""
        self.checkpoint()
        found = {
            "origin": ORIGIN,
            "entries": [text(entry) for entry in self.entries],
            "checkpoints": [text(note) for note in self.notes],
            "statements": self.statements,
            "windows": self.windows,
            "models": [],
            "budgets": [],
            "keys": {"gate": [STRANGER.public.text], "custodian": []},  # of no account: nobody reads them
        }
        return dict(json.loads(json.dumps(found)))

    def shown(self) -> Actual:
        """MLflow as it should be."""
        opened = [
            open_statement(base64.b64decode(row["envelope"]), row["name"], KEYS) for row in self.statements
        ]
        told = [entry for entry in map(json.loads, self.entries) if entry["kind"] == "taint"]
        expected = signed_runs(opened, {entry["model"]: entry["why"] for entry in told})
        runs = tuple(
            Shown(
                one.grant.run,
                f"ml-{one.grant.run}",
                one.tags(),
                params(one.grant, one.grant_digest),
                status="RUNNING" if one.outcome is None else one.outcome.name,
            )
            for one in expected
        )
        models = tuple(
            Shown(
                one.model.id,
                one.model.id.replace("@", "/"),
                model_facts(one.grant, one.grant_digest, one.model, one.taint),
                description=one.card(),
            )
            for one in expected
            if one.model is not None
        )
        return Actual(runs, models, models)

    def vault(self) -> bytes:
        """Vault's audit file."""
        return b"".join(json.dumps(line).encode() + b"\n" for line in self.lines)

    # One run's parts

    def _credentials(self, grant: Grant) -> list[dict[str, Any]]:
        kinds = ["wrap", "token"] if grant.dataset is not None and grant.kind is not Kind.DRY else []
        kinds += ["artifact" for _ in grant.artifacts] + ["input" for _ in grant.inputs]
        return [
            {
                "kind": kind,
                "path": kind,
                "audit_hash": f"hmac-sha256:{grant.run}/{n}/{kind}",
                "dead_at": ENDED,
            }
            for n, kind in enumerate(kinds)
        ]

    def _vault(self, grant: Grant) -> list[dict[str, Any]]:
        paths = {
            "wrap": "auth/token/create/run",
            "artifact": f"derivatives/datakey/plaintext/{grant.agreement}",
            "input": f"derivatives/decrypt/{grant.agreement}",
        }
        given = {one["audit_hash"]: one["kind"] for one in self.windows[-1]["credentials"]}
        minted = [
            answer(paths[kind], "12:00:05", policies=("gate",), wrap=mark)
            for mark, kind in given.items()
            if kind != "token"
        ]
        token = next((mark for mark, kind in given.items() if kind == "token"), "")
        named = {
            "policies": (f"run-{grant.dataset}-{grant.purpose}",),
            "grant": grant.grant,
            "accessor": token,
        }
        heard = [f"{grant.dataset}.{subject}" for subject in grant.subjects]
        keys = [f"index.{grant.dataset}", *heard] if heard else []
        opened = [answer(f"subjects/decrypt/{key}", "12:00:30", **named) for key in keys]
        return both(*minted, *opened)

    def _model(self, grant: Grant, model: str) -> None:
        name, _, version = model.partition("@")
        digest = sha256(model.encode())
        item = {"path": "model-100.safetensors", "step": 100, "size": 4_900_000, "sha256": digest}
        artifact = self.sign(
            "artifact", f"{grant.run}-1", [(str(item["path"]), digest)], {**item, "run": grant.run}
        )
        predicate = {"run": grant.run, "model": name, "version": int(version), "artifact": artifact}
        self.sign("model", f"{name}-{version}", [(model, digest)], predicate)


def checkpoint(entries: Sequence[bytes], signer: Ed25519Signer = GATE) -> bytes:
    return sign_checkpoint(ORIGIN, len(entries), root([leaf_hash(entry) for entry in entries]), signer)


def text(data: bytes) -> str:
    return base64.b64encode(data).decode()
