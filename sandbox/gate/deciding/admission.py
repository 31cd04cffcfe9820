"""Asking for a run: one snapshot of all facts, one pure decision, one transaction.

1. Read registers, agreement, manifest and inputs, each verified; compose what the run would cost each data subject.
2. Decide; every refusal is listed.
3. In one transaction: the decision into the log, the reservation, the run. If ledger, live runs, incidents or rights
   changed since the snapshot, nothing is written and it starts again from 1.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from sandbox.errors import Conflict, Reason, Refused
from sandbox.gate.database.store import Store
from sandbox.gate.database.tables import decisions, postings, runs
from sandbox.gate.deciding import clock
from sandbox.gate.deciding.knowledge import Knowledge, Snapshot
from sandbox.gate.incidents.stopped import refuse_while_all_is_stopped, standing_incidents
from sandbox.gate.ledger import budget, log
from sandbox.gate.runs import chronicle
from sandbox.gate.runs.grants import make_grant
from sandbox.policy.decide import Decision, decide
from sandbox.policy.registers import APPROVALS, IMAGES
from sandbox.runs import Kind, Request, RunState, new_id, utc

_DECIDED = decisions.insert()
ATTEMPTS = 20  # several gates on one database overtake each other; within one, admissions take turns


class Moved(Exception):
    """The facts changed between the snapshot and the transaction."""


@dataclass(frozen=True)
class Admitted:
    """An admitted run; ``run`` is empty where only a decision was asked for."""

    run: str
    grant: str
    decision: str


class Admission:
    """Decides requests and writes the decision down."""

    def __init__(
        self, store: Store, knowledge: Knowledge, image_id: Callable[[], str], clock: Callable[[], datetime]
    ) -> None:
        self._store, self._knowledge, self._image_id, self._clock = store, knowledge, image_id, clock
        self._turn = threading.Lock()  # a hundred who ask at once would only send each other back to step 1

    def ask(self, request: Request, person: str, *, key: str = "", only_decide: bool = False) -> Admitted:
        """Admit or refuse.

        Raises:
            Refused: with every reason; the decision is in the log.
            Usage: the recipe's card does not know what was asked.
            Unreachable, EvidenceMismatch: the facts cannot be read, so nothing is decided.
        """
        refuse_while_all_is_stopped(self._store)
        before = None if only_decide else self._before(person, key)
        if before is not None:
            return before
        with nullcontext() if only_decide else self._turn:
            return self._decided(request, person, key, only_decide)

    def _decided(self, request: Request, person: str, key: str, only_decide: bool) -> Admitted:
        for _ in range(ATTEMPTS):
            snapshot = self._knowledge.gather(request, person)
            decision = decide(request, snapshot.facts)
            try:
                found = self._store.transact(
                    lambda connection, s=snapshot, d=decision: self._write(  # type: ignore[misc]
                        connection, request, s, d, key, only_decide
                    )
                )
            except Moved:
                continue
            if isinstance(found, Admitted):
                return found
            raise Refused("the rules say no", reasons=found[1], decision=found[0])
        raise Conflict(f"others were faster {ATTEMPTS} times; ask again", code="admission.busy")

    def _before(self, person: str, key: str) -> Admitted | None:
        """What this very request was answered before (the same person and Idempotency-Key)."""
        if not key:
            return None
        asked = sa.select(runs.c.id, runs.c.grant, runs.c.decision).where(
            runs.c.asked_with == f"{person} {key}"
        )
        row = self._store.read(lambda connection: connection.execute(asked).first())
        return None if row is None else Admitted(row.id, row.grant, row.decision)

    def _write(
        self,
        connection: Connection,
        request: Request,
        snapshot: Snapshot,
        decision: Decision,
        key: str,
        only_decide: bool,
    ) -> Admitted | tuple[str, tuple[Reason, ...]]:
        if (
            budget.version(connection) != snapshot.ledger
            or live_runs(connection) != snapshot.facts.machine.live_runs
            or withdrawn_since(connection, snapshot.facts.heads)
            or (snapshot.facts.image is not None and snapshot.facts.image.id != self._image_id())
        ):
            raise Moved
        now, facts = self._clock(), snapshot.facts
        late = clock.backwards(connection, min(now, facts.now))
        reasons = (*decision.reasons, *standing_incidents(connection, request, facts), *late)
        permitted, name, run = not reasons, new_id("d-"), new_id("r-")
        starts = permitted and not only_decide
        said = {**decision.to_predicate(), "permitted": permitted, "reasons": [r.code for r in reasons]}
        index = log.append(
            connection, "decision", now, facts.name, decision=name, **({"run": run} if starts else {}), **said
        )
        row = {
            "id": name,
            "run": run if starts else None,
            "person": facts.name,
            "permitted": permitted,
            "request": request.to_json(),
            "facts": facts.to_json(),
            "reasons": [asdict(reason) for reason in reasons],
            "at": utc(now),
            "entry": index,
        }
        connection.execute(_DECIDED, row)
        if not permitted:
            return name, reasons
        if not starts:
            return Admitted("", "", name)
        grant = self._admit(connection, request, snapshot, decision, name, run, key, now)
        return Admitted(run, grant, name)

    def _admit(
        self,
        connection: Connection,
        request: Request,
        snapshot: Snapshot,
        decision: Decision,
        name: str,
        run: str,
        key: str,
        now: datetime,
    ) -> str:
        facts = snapshot.facts
        plan = make_grant(
            run=run,
            grant=new_id("g-"),
            request=request,
            facts=facts,
            decision=decision,
            card=snapshot.card,
            expanded=snapshot.expanded,
            inputs=snapshot.inputs,
            privacy=snapshot.privacy,
            image_id=self._image_id(),
        )
        connection.execute(
            runs.insert().values(
                id=run,
                grant=plan.grant,
                decision=name,
                kind=plan.kind.value,
                person=plan.person,
                agreement=plan.agreement,
                purpose=plan.purpose,
                dataset=plan.dataset,
                recipe=plan.recipe,
                request=request.to_json(),
                plan=plan.to_predicate(),
                state=RunState.ADMITTED.value,
                asked_at=utc(now),
                changed_at=utc(now),
                asked_with=f"{facts.name} {key}" if key else None,
            )
        )
        if plan.kind is Kind.AGREEMENT:
            budget.reserve(connection, plan, now)
        index = log.append(connection, "state", now, facts.name, run=run, state="admitted", grant=plan.grant)
        told: dict[str, Any] = {"state": "admitted", "grant": plan.grant, "log_entry": index}
        told |= {"agreement": plan.agreement, "purpose": plan.purpose, "subjects": list(plan.subjects)}
        told |= {"privacy": plan.to_predicate()["privacy"], "decision": name}
        if facts.terms is not None:
            told["agreement_version"] = facts.terms.version
        chronicle.happened(connection, run, "state", now, told)
        return plan.grant


def live_runs(connection: Connection) -> int:
    return len(chronicle.live(connection))


def withdrawn_since(connection: Connection, heads: Mapping[str, str]) -> bool:
    """Whether an entry was read that this decision did not know: live runs were brought in line with it, but not this.

    After an erasure the gate may have signed that no run holds the voice.
    """
    return any(row.digest != heads.get(row.register, "") for row in connection.execute(_NEWEST))


def _newest(register: str) -> sa.Select[tuple[str, str]]:
    asked = sa.select(postings.c.register, postings.c.digest).where(postings.c.register == register)
    return sa.select(asked.order_by(postings.c.seq.desc()).limit(1).subquery())


#: The newest entry of each register, in one query that is built once: every decision asks it inside its transaction.
DECIDED_BY = ("people", "erasure", "consent", "access", "access-review", "status", APPROVALS, IMAGES)
_NEWEST = sa.union_all(*map(_newest, DECIDED_BY))
