"""Alerts: what a person must know at once. A row and its log entry, in the transaction of the act that it tells.

``about`` and ``detail`` hold ids, codes and counts, never content. Telling others (journal, webhook, e-mail) happens
afterwards and elsewhere (:mod:`sandbox.gate.alarms.delivery`): an alert is never lost because nobody could be told.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from sandbox.errors import NotFound
from sandbox.gate.database.tables import alerts
from sandbox.gate.ledger import log
from sandbox.gate.runs import chronicle
from sandbox.runs import new_id, utc

SEVERITIES = ("low", "medium", "high", "critical")


def raise_alert(
    connection: Connection,
    *,
    rule: str,
    about: Mapping[str, Any],
    detail: Mapping[str, Any] | None = None,
    now: datetime,
    severity: str = "high",
    incident: str | None = None,
    once: str = "",
    by: str = chronicle.BY_GATE,
) -> str:
    """Raise an alert inside the caller's transaction; its id.

    ``once`` names the finding: raised a second time it is the same alert, and nothing is written. Without it each call
    raises a new one.
    """
    if severity not in SEVERITIES:
        raise ValueError(f"no severity {severity}")
    name = new_id("al-")
    known = raised_before(connection, rule, once) if once else None
    if known is not None:
        return known
    key = f"{rule}|{once}" if once else name
    values = {
        "id": name,
        "rule": rule,
        "severity": severity,
        "about": dict(about),
        "detail": dict(detail or {}),
    }
    connection.execute(alerts.insert().values(**values, incident=incident, at=utc(now), once=key))
    told = {"incident": incident} if incident else {}
    log.append(
        connection, "alert", now, by, alert=name, rule=rule, severity=severity, about=dict(about), **told
    )
    return name


def raised_before(connection: Connection, rule: str, once: str) -> str | None:
    """The alert that this finding raised already."""
    asked = sa.select(alerts.c.id).where(alerts.c.once == f"{rule}|{once}")
    known = connection.execute(asked).scalar()
    return None if known is None else str(known)


def acknowledge(connection: Connection, name: str, by: str, now: datetime) -> dict[str, Any]:
    """A person has seen it; the first one stands. Raises NotFound."""
    found = find(connection, name)
    if found["acknowledged_by"] is None:
        chosen = alerts.update().where(alerts.c.id == name)
        connection.execute(chosen.values(acknowledged_by=by, acknowledged_at=utc(now)))
        log.append(connection, "alert-acknowledged", now, by, alert=name)
    return find(connection, name)


def find(connection: Connection, name: str) -> dict[str, Any]:
    """Raises NotFound."""
    row = connection.execute(sa.select(alerts).where(alerts.c.id == name)).mappings().first()
    if row is None:
        raise NotFound(f"there is no alert {name}", code="alert.unknown")
    return shown(dict(row))


def shown(row: Mapping[str, Any]) -> dict[str, Any]:
    """As people see it."""
    return {key: value for key, value in row.items() if key != "once"}
