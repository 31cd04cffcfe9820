"""Incidents: opened by what must not happen, or by a person; state first, then stop what runs (GATE.md, EXPERIENCE).

1. The incident stands: from here nothing of its scope is admitted.
2. Kills stand for every live run of the scope.
3. Containers die and doors close. 4. Credentials are revoked by accessor, and proved dead. (In this order: a full
   audit disk stops revocation too.)
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from sandbox.errors import NotFound, SandboxError, Usage
from sandbox.gate import chronicle, log
from sandbox.gate.house import House
from sandbox.gate.tables import incidents, runs
from sandbox.records import check_id
from sandbox.runs import new_id, utc
from sandbox.service import journal

#: Codes of a failed run that are incidents: somebody or something did what cannot happen by mistake.
ALARMS = frozenset(
    {
        "credential.used",
        "credential.foreign",
        "credential.alive",
        "door.foreign_peer",
        "isolation.mismatch",
        "statement.invalid",
        "seal.broken",
    }
)
_KINDS = ("run", "dataset", "agreement", "recipe")


def open_for_run(
    connection: Connection, run: str, kind: str, detail: Mapping[str, Any], now: datetime
) -> str:
    """Open an incident about one run (that run only; nothing else is stopped). The same kind opens once a run."""
    known = sa.select(incidents.c.id).where(incidents.c.run == run, incidents.c.kind == kind)
    before = connection.execute(known).scalar()
    if before is not None:
        return str(before)
    return _open(connection, kind, run, f"run:{run}", detail, "gate", now)


def alarming(fault: SandboxError) -> bool:
    """Whether a run's fault is an incident: everything a door refuses is."""
    return fault.code in ALARMS or fault.code.partition(".")[0] in ("door", "metric", "artifact", "text")


def stop(house: House, scope: str, by: str, now: Callable[[], float] = time.monotonic) -> dict[str, Any]:
    """Stop everything in ``scope`` (``all``, ``run:…``, ``dataset:…``, ``agreement:…``, ``recipe:DIGEST``).

    Raises Usage for another scope. Faults of single effects stand in the timeline; the supervisors go on converging.
    """
    check_scope(scope)
    began, timeline = now(), list[dict[str, Any]]()

    def note(what: str) -> None:
        timeline.append({"ms": round((now() - began) * 1000), "what": what})

    at = house.clock()
    name = house.store.transact(lambda c: _open(c, "asked", None, scope, {}, by, at))  # 1
    note(f"incident {name} stands: nothing of {scope} is admitted")
    found = house.store.transact(lambda c: _kill_all(c, scope, by, name, at))  # 2
    note(f"{len(found)} live runs are to die")
    for run in found:  # 3
        _try(lambda run=run: house.launcher.kill(run), f"{run}: container killed", note)  # type: ignore[misc]
    for run in found:  # 4
        for accessor in house.store.read(lambda c, run=run: chronicle.accessors(c, run, alive_only=True)):  # type: ignore[misc]
            _try(lambda a=accessor: house.vault.revoke(a), f"{run}: a credential revoked", note)  # type: ignore[misc]
    house.store.transact(
        lambda c: c.execute(incidents.update().where(incidents.c.id == name).values(timeline=timeline))
    )
    return {"id": name, "scope": scope, "runs": found, "timeline": timeline}


def resume(house: House, name: str, by: str) -> None:
    """Close an incident; its scope admits again. Raises NotFound."""
    now = house.clock()

    def close(connection: Connection) -> None:
        row = incidents.update().where(incidents.c.id == name, incidents.c.closed_at.is_(None))
        if connection.execute(row.values(closed_at=utc(now))).rowcount != 1:
            raise NotFound(f"no open incident {name}", code="incident.unknown")
        log.append(connection, "incident-closed", now, by, incident=name)

    house.store.transact(close)


def check_scope(scope: str) -> None:
    """Raises Usage for what is no scope."""
    kind, _, value = scope.partition(":")
    if scope == "all":
        return
    if kind not in _KINDS:
        raise Usage(f"no scope {scope[:60]!r}", mend="all, run:ID, dataset:ID, agreement:ID or recipe:DIGEST")
    check_id("sha256" if kind == "recipe" else kind, value)


def _open(
    connection: Connection,
    kind: str,
    run: str | None,
    scope: str,
    detail: Mapping[str, Any],
    by: str,
    now: datetime,
) -> str:
    name = new_id("i-")
    values = {"id": name, "kind": kind, "run": run, "scope": scope, "detail": dict(detail)}
    connection.execute(incidents.insert().values(**values, timeline=[], by=by, at=utc(now)))
    log.append(connection, "incident", now, by, incident=name, scope=scope, what=kind)
    if run is not None:
        chronicle.happened(connection, run, "incident", now, {"incident": name, "kind": kind})
    return name


def _kill_all(connection: Connection, scope: str, by: str, incident: str, now: datetime) -> list[str]:
    kind, _, value = scope.partition(":")
    column = {"run": runs.c.id, "dataset": runs.c.dataset, "agreement": runs.c.agreement}.get(kind)
    found = []
    for run in chronicle.live(connection):
        row = chronicle.find(connection, run)
        if kind == "recipe" and row.plan["recipe_digest"] != value:
            continue
        if column is not None and getattr(row, column.name) != value:
            continue
        chronicle.ask_kill(connection, run, by, f"incident {incident}", now)
        found.append(run)
    return found


def _try(effect: Callable[[], None], what: str, note: Callable[[str], None]) -> None:
    try:
        effect()
    except (SandboxError, TimeoutError) as fault:
        journal.trouble("incident.effect", fault)
        note(f"failed, goes on: {what} ({getattr(fault, 'code', 'no answer in time')})")
    else:
        note(what)
