"""ENDED -> SETTLED: every proof, one step after the other; each is written down, and a step that stands is not redone.

1. The container is gone, and no credential of the run is alive. 2. The door directory is gone.
3. Epsilon is counted again, outside the training code. 4. Artifacts are signed for, or put into quarantine.
5. The model is signed for, then the run as a whole. 6. MLflow is told. 7. What was staged is removed.
8. The log's checkpoint is signed. Then, and only then: SETTLED.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from sandbox.errors import CredentialError, SandboxError, Unreachable
from sandbox.gate import chronicle, incident, log, mark, rights
from sandbox.gate.house import House
from sandbox.gate.leases import Lease
from sandbox.gate.proving import end_credentials
from sandbox.gate.results import Results
from sandbox.gate.states import outcome
from sandbox.gate.tables import runs, settlements
from sandbox.gate.telling import Telling
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
        self._step("credentials", lambda: {"dead": end_credentials(self._house, self._run)})
        self._step("doors", self._doors)
        self._step("epsilon", lambda: self._epsilon(plan.privacy))
        how = outcome(row.kill is not None, row.failure or "")
        if not dry:
            how = self._guarded(how, results)
        if row.grant_digest is not None:
            self._step("statement", lambda: results.sign_run(self._row(), how))
        self._step("tracking", lambda: self._tracking(plan, how))
        self._step("rights", lambda: {"tainted": rights.overtaken(self._house)})
        self._step("staging", self._staging)
        self._settled(how)
        self._checkpoint()

    def _guarded(self, how: Outcome, results: Results) -> Outcome:
        """Artifacts and model. What cannot be evidenced is no result: the run fails, its artifacts go to quarantine."""
        if how is Outcome.FINISHED:
            try:
                self._step("artifacts", results.sign_artifacts)
                self._step("model", results.register)
            except (Unreachable, CredentialError):
                raise  # our own login died: the next one settles it
            except SandboxError as fault:
                journal.trouble("settle.results", fault, run=self._run)
                self._fail(fault)
                how = Outcome.FAILED
        if how is not Outcome.FINISHED:
            self._step("quarantine", results.quarantine)
        return how

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
