"""From a finding to an alert, and to the incident that it opens: both stand, or neither.

The incident's kills are set in the same transaction; containers die right after it, credentials when their runs settle.
"""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from sandbox.gate.alarms.alerts import raise_alert, raised_before
from sandbox.gate.database.tables import incidents
from sandbox.gate.incidents import incident, scopes
from sandbox.gate.runs import chronicle
from sandbox.policy.detection import Finding, scope_of


def raised(connection: Connection, finding: Finding, now: datetime) -> list[str]:
    """Raise it, once; the live runs that its incident ends."""
    rule = finding.rule
    if raised_before(connection, rule.id, finding.once):
        return []
    opened, doomed = _open(connection, finding, now)
    raise_alert(
        connection,
        rule=rule.id,
        about=finding.about,
        detail={"count": finding.count, "within_s": rule.within, "over": rule.over},
        now=now,
        severity=rule.severity,
        incident=opened,
        once=finding.once,
    )
    return doomed


def _open(connection: Connection, finding: Finding, now: datetime) -> tuple[str | None, list[str]]:
    """The same rule opens one incident for the same scope, while that one is open."""
    scope = scope_of(finding)
    if scope is None:
        return None, []
    named, run = scope
    kind = incidents.c.kind == finding.rule.id
    asked = sa.select(incidents.c.id).where(kind, incidents.c.scope == named, incidents.c.closed_at.is_(None))
    standing = connection.execute(asked).scalar()
    if standing is not None:
        return str(standing), []
    if run is not None:
        name = incident.open_for_run(connection, run, finding.rule.id, finding.about, now, alert=False)
    else:
        name = incident.open_for_scope(
            connection, finding.rule.id, named, chronicle.BY_GATE, now, alert=False
        )
        chosen = incidents.update().where(incidents.c.id == name)
        connection.execute(chosen.values(detail=dict(finding.about)))
    return name, _doom(connection, named, name, now)


def _doom(connection: Connection, scope: str, name: str, now: datetime) -> list[str]:
    wanted = scopes.parse(scope)
    reached = [run for run in chronicle.live(connection) if scopes.reaches(connection, wanted, run)]
    return [
        run
        for run in reached
        if chronicle.ask_kill(connection, run, chronicle.BY_GATE, f"incident {name}", now)
    ]
