"""ENDED -> SETTLED: every proof, one step after the other; each is written down, and a step that stands is not redone.

1. The container is gone, and no credential of the run is alive. 2. The door directory is gone.
3. Epsilon is counted again, outside the training code. 4. The trainer's count agrees with it, and artifacts are signed
for; or they are put into quarantine.
5. The model is signed for, what an attack found is judged, then the run is signed for as a whole. 6. MLflow is told.
7. What was staged is removed. 8. The log's checkpoint is signed. Then, and only then: SETTLED.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from sandbox.errors import CredentialError, EvidenceMismatch, SandboxError, Unreachable
from sandbox.gate.database.tables import events, incidents, runs, settlements
from sandbox.gate.house import House
from sandbox.gate.incidents import incident
from sandbox.gate.ledger import high_water, log, mark
from sandbox.gate.runs import attacks, chronicle
from sandbox.gate.runs.leases import Lease
from sandbox.gate.runs.proving import end_credentials
from sandbox.gate.runs.results import KEEPS_CHECKPOINTS, Results
from sandbox.gate.runs.states import outcome
from sandbox.gate.runs.telling import Telling
from sandbox.gate.runs.unwrapping import Unwrapping
from sandbox.gate.subjects import rights
from sandbox.isolation.doors import remove_folder
from sandbox.policy import epsilon
from sandbox.runs import CLASSIFICATION, Grant, Kind, Outcome, RunState, utc
from sandbox.service import journal
from sandbox.tracking.tags import ModelRecord


class Settling:
    """One run's settlement. ``settle`` may be called until it returns; it goes on where it stopped."""

    def __init__(self, house: House, lease: Lease) -> None:
        self._house, self._lease, self._run = house, lease, lease.run

    def settle(self) -> None:
        """Raises Unreachable while a service that a proof needs does not answer."""
        row = self._row()
        if RunState(row.state) is not RunState.ENDED:
            return
        plan = chronicle.granted(row)
        results = Results(self._house, plan)
        dry = plan.kind is Kind.DRY
        self._step("container", self._container)
        self._step("wraps", self._wraps)
        self._step("credentials", lambda: {"dead": end_credentials(self._house, self._run)})
        self._step("doors", self._doors)
        self._step("epsilon", lambda: self._epsilon(plan.privacy))
        how = outcome(row.kill is not None, row.failure or "")
        if not dry:
            how = self._guarded(how, plan, results)
        if how is Outcome.FINISHED:
            self._step(attacks.STEP, lambda: attacks.settle(self._house, plan))
        if row.grant_digest is not None:
            attack = self._proof(attacks.STEP)
            self._step("statement", lambda: results.sign_run(self._row(), how, attack))
        self._step("tracking", lambda: self._tracking(plan, how))
        self._step("rights", lambda: {"tainted": rights.overtaken(self._house)})
        self._step("staging", self._staging)
        self._settled(how)
        self._checkpoint()

    def _guarded(self, how: Outcome, plan: Grant, results: Results) -> Outcome:
        """Artifacts and model. What cannot be evidenced is no result: the run fails, its artifacts go to quarantine."""
        if how is Outcome.FINISHED:
            try:
                self._step("accountants", lambda: self._accountants(plan.privacy))
                self._step("artifacts", results.sign_artifacts)
                self._step("model", results.register)
            except (Unreachable, CredentialError):
                raise  # our own login died: the next one settles it
            except SandboxError as fault:
                journal.trouble("settle.results", fault, run=self._run)
                self._fail(fault)
                how = Outcome.FAILED
        if how is Outcome.FAILED and self._spared() in KEEPS_CHECKPOINTS:
            try:
                self._step("accountants", lambda: self._accountants(plan.privacy))
            except EvidenceMismatch as fault:  # what dies in time is counted again too
                self._fail(fault)
        if how is not Outcome.FINISHED:
            failure = self._spared() if how is Outcome.FAILED else ""
            self._step("checkpoints", lambda: results.keep_checkpoints(failure))
            self._step("quarantine", lambda: results.quarantine(failure))
        return how

    def _spared(self) -> str:
        """What it failed for, which may spare checkpoints; empty where an incident is about it: that spares none."""
        row, about = self._row(), sa.select(incidents.c.id).where(incidents.c.run == self._run)
        opened = self._house.store.read(lambda c: c.execute(about).first())
        return "" if opened is not None or row.kill is not None else str(row.failure or "")

    def _fail(self, fault: SandboxError) -> None:
        now = self._house.clock()

        def note(connection: Connection) -> None:
            chosen = runs.update().where(runs.c.id == self._run)
            connection.execute(chosen.values(failure=fault.code, model=None))
            incident.open_for_run(connection, self._run, fault.code, {"message": fault.message}, now)

        self._house.store.transact(note)

    def _container(self) -> dict[str, Any]:
        self._house.launcher.kill(self._run)
        left = [found.run for found in self._house.launcher.list() if found.run == self._run]
        if left:
            raise Unreachable(f"the container of {self._run} is still there", code="launcher.stays")
        return {"gone": True}

    def _wraps(self) -> dict[str, Any]:
        """Before anything is revoked: what was opened although no order was ever given is a theft."""
        if self._house.store.read(lambda c: chronicle.ordered(c, self._run)):
            return {"ordered": True}
        opened = Unwrapping(self._house, self._run).opened()
        if opened:
            now = self._house.clock()
            detail = {"message": f"a wrap of {self._run} was opened, and it had no order"}
            self._house.store.transact(
                lambda c: incident.open_for_run(c, self._run, "credential.early", detail, now)
            )
        return {"ordered": False, "opened": opened}

    def _doors(self) -> dict[str, Any]:
        folder = self._house.places.door(self._run)
        if folder.exists():
            remove_folder(folder)
        return {"removed": True}

    def _epsilon(self, privacy: Any) -> dict[str, Any]:
        """What the run cost at its own delta: by its granted steps, whatever the recipe did with them."""
        if privacy is None:
            return {"epsilon": None}
        return {"epsilon": epsilon.spent([epsilon.Mechanism.of(privacy)], privacy.delta)}

    def _accountants(self, privacy: Any) -> dict[str, Any]:
        """Raises EvidenceMismatch when the trainer's last count and ours differ: then nothing is said to be private."""
        told = None if privacy is None else self._house.store.read(self._told_last)
        if told is None:
            return {"told": False}
        step, said = told
        if why := epsilon.disagreement(step, said, epsilon.Mechanism.of(privacy), privacy.delta):
            raise EvidenceMismatch(why, code="privacy.accountants")
        return {"told": True, "step": step, "prv": said}

    def _told_last(self, connection: Connection) -> tuple[int, float] | None:
        asked = sa.select(events.c.data).where(events.c.run == self._run, events.c.kind == "metric")
        for data in connection.execute(asked.order_by(events.c.id.desc())).scalars():
            if data["name"] == "epsilon":
                return int(data["step"]), float(data["value"])
        return None

    def _tracking(self, plan: Grant, how: Outcome) -> dict[str, Any]:
        """MLflow is a view: where it does not answer, the run settles without; ``audit`` names what is missing."""
        row = self._row()
        if row.tracking is None:
            return {"told": False}
        try:
            points = Telling(self._house, self._run, row.tracking).finish()
            record = self._proof("model").get("record")
            if record is not None:
                given = (row.tracking, plan, str(row.grant_digest), ModelRecord(**record))
                self._house.tracking.register_model(*given)
            facts = {"gov.outcome": how.value, "gov.statement": str(row.statement)}
            if row.epsilon is not None:
                facts["gov.epsilon"] = f"{row.epsilon:g}"
            self._house.tracking.settle_run(row.tracking, how, facts)
        except Unreachable as fault:
            journal.trouble("tracking.behind", fault, run=self._run)
            return {"told": False}
        return {"told": True, "points": points}

    def _staging(self) -> dict[str, Any]:
        shutil.rmtree(self._house.places.staging(self._run), ignore_errors=True)
        shutil.rmtree(self._house.places.incoming(self._run), ignore_errors=True)
        return {"removed": True}

    def _settled(self, how: Outcome) -> None:
        row, now = self._row(), self._house.clock()
        tell: dict[str, Any] = {"outcome": how.value, "model": row.model, "statement": row.statement}
        tell |= {"failure": row.failure, "epsilon": row.epsilon, "classification": CLASSIFICATION}
        self._house.store.transact(
            lambda c: chronicle.advance(c, self._lease, RunState.SETTLED, now, tell=tell, outcome=how.value)
        )

    def _checkpoint(self) -> None:
        """The log as it stands now, signed, and its mark in Vault; the next one covers it if this one fails."""
        try:
            log.checkpoint(self._house.store, self._house.vault.signer, self._house.clock())
            mark.raise_mark(self._house)
            if (dataset := self._row().dataset) is not None:
                high_water.cover(self._house, dataset)
        except SandboxError as fault:
            journal.trouble("log.checkpoint", fault, run=self._run)

    def _step(self, name: str, effect: Callable[[], Mapping[str, Any]]) -> Mapping[str, Any]:
        """Do it, unless its proof stands; then let its proof stand."""
        wanted = sa.and_(settlements.c.run == self._run, settlements.c.step == name)
        if known := self._proof(name):
            return known
        proof = dict(effect())
        now = self._house.clock()
        columns = {key: proof[key] for key in ("epsilon", "statement", "model") if key in proof}

        def keep(connection: Connection) -> None:
            if connection.execute(sa.select(settlements.c.step).where(wanted)).first() is None:
                connection.execute(
                    settlements.insert().values(run=self._run, step=name, proof=proof, at=utc(now))
                )
            if columns:
                connection.execute(runs.update().where(runs.c.id == self._run).values(**columns))

        self._house.store.transact(keep)
        return proof

    def _proof(self, name: str) -> dict[str, Any]:
        wanted = sa.and_(settlements.c.run == self._run, settlements.c.step == name)
        asked = sa.select(settlements.c.proof).where(wanted)
        return dict(self._house.store.read(lambda c: c.execute(asked).scalar()) or {})

    def _row(self) -> Any:
        return self._house.store.read(lambda connection: chronicle.find(connection, self._run))
