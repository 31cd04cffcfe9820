"""Alerts on their way out: at least once over each channel, beside everything else.

What was told is written down after it was told, so a crash in between tells it again. An alert that a channel did not
take is tried again after a while that doubles; it holds up no other alert, and a channel that fails no other channel.
What somebody has acknowledged is not told any more.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from sandbox.errors import SandboxError, Usage
from sandbox.gate.alarms.alerts import raise_alert, shown
from sandbox.gate.alarms.channels import Channel, channels, to_journal
from sandbox.gate.database.tables import alerts, deliveries
from sandbox.gate.house import House
from sandbox.runs import utc
from sandbox.service import journal
from sandbox.statements import sha256

FIRST_S, MOST_S = 5.0, 900.0
BATCH = 50
LOOK_S = 1.0


def deliver(house: House, ways: Mapping[str, Channel], now: Callable[[], float] = time.time) -> int:
    """Tell what is due over every channel; how many were told. Never raises for a channel's fault."""
    told = 0
    for name, tell in ways.items():
        for alert, attempts in house.store.read(lambda c, n=name: _due(c, n, now())):  # type: ignore[misc]
            try:
                tell(alert)
            except Exception as fault:  # noqa: BLE001 - whatever a channel does, the others are told
                journal.trouble("alert.untold", fault, alert=alert["id"], channel=name)
                wait = min(FIRST_S * 2**attempts, MOST_S)
                _note(house, alert["id"], name, attempts + 1, due=now() + wait, delivered=None)
                break  # this channel's turn is over: the next would only fail, too
            _note(house, alert["id"], name, attempts + 1, due=now(), delivered=utc(house.clock()))
            told += 1
    return told


def keep_telling(house: House, stop: threading.Event, every_s: float = LOOK_S) -> None:
    """Until ``stop``."""
    ways: Mapping[str, Channel] = {"journal": to_journal}
    while not stop.wait(every_s):
        try:
            ways = configured(house, ways)
            deliver(house, ways)
        except Exception as fault:  # noqa: BLE001 - the thread's last line
            journal.trouble("alert.delivery", fault)


def configured(house: House, before: Mapping[str, Channel]) -> Mapping[str, Channel]:
    """The channels of ``configs/alerts.yaml``; those of before, and an alert, while it has a fault."""
    data = b""
    try:
        data = (house.places.app / "configs" / "alerts.yaml").read_bytes()
        return channels(data)
    except (OSError, Usage) as fault:
        code, now = fault.code if isinstance(fault, SandboxError) else "file.missing", house.clock()
        about, detail, once = {"source": "delivery"}, {"code": code}, f"{sha256(data)}|{utc(now)[:10]}"
        house.store.transact(
            lambda c: raise_alert(c, rule="alert.channels", about=about, detail=detail, now=now, once=once)
        )
        return before


def _due(connection: Connection, channel: str, now: float) -> list[tuple[dict[str, Any], int]]:
    """Unacknowledged alerts that this channel has not told and whose time has come, those never tried first."""
    mine = deliveries.c.channel == channel
    joined = sa.outerjoin(alerts, deliveries, sa.and_(deliveries.c.alert == alerts.c.id, mine))
    asked = (
        sa.select(alerts, sa.func.coalesce(deliveries.c.attempts, 0).label("attempts"))
        .select_from(joined)
        .where(
            deliveries.c.delivered_at.is_(None),
            alerts.c.acknowledged_at.is_(None),
            sa.func.coalesce(deliveries.c.due, 0.0) <= now,
        )
        .order_by(sa.func.coalesce(deliveries.c.attempts, 0), alerts.c.at, alerts.c.id)
        .limit(BATCH)
    )
    found = []
    for row in connection.execute(asked).mappings():
        values = dict(row)
        attempts = int(values.pop("attempts"))
        found.append((shown(values), attempts))
    return found


def _note(
    house: House, alert: str, channel: str, attempts: int, *, due: float, delivered: str | None
) -> None:
    values = {"attempts": attempts, "due": due, "delivered_at": delivered}

    def keep(connection: Connection) -> None:
        wanted = sa.and_(deliveries.c.alert == alert, deliveries.c.channel == channel)
        if not connection.execute(deliveries.update().where(wanted).values(**values)).rowcount:
            connection.execute(deliveries.insert().values(alert=alert, channel=channel, **values))

    house.store.transact(keep)
