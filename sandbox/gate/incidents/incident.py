"""Incidents: opened by what must not happen, or by a person who stops a scope; closed by a person, never by itself."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from sandbox.errors import Conflict, NotFound, NotPermitted, SandboxError
from sandbox.gate.alarms.alerts import raise_alert
from sandbox.gate.database.tables import incidents
from sandbox.gate.house import House
from sandbox.gate.incidents import duties, freeze
from sandbox.gate.incidents.duties import CONTAINER, DEADLY
from sandbox.gate.incidents.scopes import ALL
from sandbox.gate.incidents.stopped import DRILL, kill_all_stands
from sandbox.gate.ledger import log
from sandbox.gate.runs import chronicle
from sandbox.runs import new_id, utc

#: The alert of every incident that is not a rule's own, nor a drill's.
OPENED = "incident.opened"
#: Codes of a failed run that are incidents: somebody or something did what cannot happen by mistake.
ALARMS = frozenset(
    {
        "credential.used",
        "credential.foreign",
        "credential.alive",
        "credential.early",
        "credential.unopened",
        "door.foreign_peer",
        "isolation.mismatch",
        "statement.invalid",
        "seal.broken",
    }
)


def open_for_run(
    connection: Connection,
    run: str,
    kind: str,
    detail: Mapping[str, Any],
    now: datetime,
    *,
    scope: str = "",
    alert: bool = True,
) -> str:
    """Open an incident about one run (that run only; nothing else is stopped). The same kind opens once a run.

    ``scope`` is for what a run found out about something else than itself.

    It is an alert, unless the caller raises one of its own (``alert`` false).
    """
    known = sa.select(incidents.c.id).where(incidents.c.run == run, incidents.c.kind == kind)
    before = connection.execute(known).scalar()
    if before is not None:
        return str(before)
    return _open(connection, kind, run, scope or f"run:{run}", detail, "gate", now, alert=alert)


def alarming(fault: SandboxError) -> bool:
    """Whether a run's fault is an incident: everything a door refuses is."""
    return fault.code in ALARMS or fault.code.partition(".")[0] in ("door", "metric", "artifact", "text")


def open_for_scope(
    connection: Connection, kind: str, scope: str, by: str, now: datetime, *, alert: bool = True
) -> str:
    """Open an incident about a whole scope; from this transaction on nothing of it is admitted. ``alert`` as above."""
    return _open(connection, kind, None, scope, {}, by, now, alert=alert and kind != DRILL)


def find(connection: Connection, name: str) -> Row[Any]:
    """Raises NotFound."""
    row = connection.execute(sa.select(incidents).where(incidents.c.id == name)).first()
    if row is None:
        raise NotFound(f"there is no incident {name}", code="incident.unknown")
    return row


def resume(house: House, name: str, by: str) -> bool:
    """Close an incident; its scope admits again, and its models may be used. Whether the gate logs in anew for it.

    Raises:
        NotFound: no open incident of that name.
        NotPermitted: everything was stopped, and by the same person: that takes two.
        Conflict: something of it was not proved dead yet.
    """
    now = house.clock()

    def close(connection: Connection) -> bool:
        row = find(connection, name)
        if row.closed_at is not None:
            raise NotFound(f"incident {name} is closed", code="incident.unknown")
        if row.scope == ALL and row.by == by:
            mend = "another operator or an approver of Party A resumes"
            raise NotPermitted(
                f"{by} stopped everything and does not resume it alone", code="incident.own", mend=mend
            )
        # after a kill of everything nobody can look a credential up before the gate has a login again
        alive = duties.outstanding(connection, name, (CONTAINER,) if row.scope == ALL else DEADLY)
        if alive:
            said = f"{len(alive)} things of incident {name} are not proved dead: {alive[0].said()}"
            raise Conflict(said, code="incident.outstanding", mend=f"sandbox incident show {name}")
        changed = incidents.update().where(incidents.c.id == name)
        connection.execute(changed.values(closed_at=utc(now), closed_by=by))
        log.append(connection, "incident-closed", now, by, incident=name)
        freeze.unfreeze(connection, name)
        return row.scope == ALL and not kill_all_stands(connection)

    anew = house.store.transact(close)
    if anew:
        house.login.release()
    return anew


def shown(connection: Connection, name: str) -> dict[str, Any]:
    """Everything about one incident, for people. Raises NotFound."""
    row = find(connection, name)
    return {**row._asdict(), "affected": freeze.affected(row), "outstanding": duties.told(connection, name)}


def _open(
    connection: Connection,
    kind: str,
    run: str | None,
    scope: str,
    detail: Mapping[str, Any],
    by: str,
    now: datetime,
    *,
    alert: bool,
) -> str:
    name = new_id("i-")
    values = {"id": name, "kind": kind, "run": run, "scope": scope, "detail": dict(detail)}
    connection.execute(incidents.insert().values(**values, timeline=[], by=by, at=utc(now)))
    log.append(connection, "incident", now, by, incident=name, scope=scope, what=kind)
    if run is not None:
        chronicle.happened(connection, run, "incident", now, {"incident": name, "kind": kind})
    if alert:
        about = {"incident": name, "kind": kind, "scope": scope}
        raise_alert(connection, rule=OPENED, about=about, now=now, severity="critical", incident=name, by=by)
    return name
