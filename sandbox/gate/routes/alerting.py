"""The routes of alerts and of incidents' notices: read by who watches, acknowledged and sent by who may stop things."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from sandbox.errors import Usage
from sandbox.gate.alarms import alerts
from sandbox.gate.database.tables import alerts as rows
from sandbox.gate.gate import Gate
from sandbox.gate.incidents import notices
from sandbox.gate.routes.standing import AUDITOR, STOPPERS, WATCHERS, require
from sandbox.policy.fields import moment
from sandbox.policy.notice import PARTY_A
from sandbox.runs import utc
from sandbox.service import Call, Route
from sandbox.service.paging import page

#: Who may say that they have seen an alert.
SEERS = (*STOPPERS, AUDITOR)


def alerting(gate: Gate) -> list[Route]:
    return [
        Route("GET", "/v1/alerts", lambda call: _list(gate, call)),
        Route("GET", "/v1/alerts/{id}", lambda call: _show(gate, call)),
        Route("POST", "/v1/alerts/{id}/ack", lambda call: _acknowledge(gate, call)),
        Route("GET", "/v1/incidents/{id}/notice", lambda call: _notice(gate, call)),
        Route("POST", "/v1/incidents/{id}/notice", lambda call: _sent(gate, call)),
    ]


def _list(gate: Gate, call: Call) -> dict[str, Any]:
    """Oldest first; ``open=true`` leaves out what somebody has acknowledged."""
    require(gate.registers, call.caller.name, *WATCHERS)
    asked = sa.select(rows).order_by(rows.c.at, rows.c.id)
    if call.query.get("open") == "true":
        asked = asked.where(rows.c.acknowledged_at.is_(None))
    found = gate.house.store.read(lambda c: [alerts.shown(dict(row)) for row in c.execute(asked).mappings()])
    return page(found, call.query)


def _show(gate: Gate, call: Call) -> dict[str, Any]:
    require(gate.registers, call.caller.name, *WATCHERS)
    return gate.house.store.read(lambda c: alerts.find(c, call.params["id"]))


def _acknowledge(gate: Gate, call: Call) -> dict[str, Any]:
    require(gate.registers, call.caller.name, *SEERS)
    now, name = gate.house.clock(), call.params["id"]
    return gate.house.store.transact(lambda c: alerts.acknowledge(c, name, call.caller.name, now))


def _notice(gate: Gate, call: Call) -> dict[str, Any]:
    require(gate.registers, call.caller.name, *WATCHERS)
    found = gate.house.store.read(lambda c: notices.found(c, call.params["id"]))
    return page(found, call.query)


def _sent(gate: Gate, call: Call) -> dict[str, Any]:
    """``sent_at`` with its offset, not later than now; ``addressee`` is Party A unless another is named."""
    require(gate.registers, call.caller.name, *STOPPERS)
    now, body = gate.house.clock(), call.body
    try:
        sent = moment(body.get("sent_at"))
    except ValueError as fault:
        raise Usage(f"sent_at: {fault}") from None
    if sent > now:
        raise Usage(f"sent_at lies ahead of {utc(now)}: mark a notice when it was sent")
    to = str(body.get("addressee") or PARTY_A)
    marked = gate.house.store.transact(
        lambda c: notices.mark_sent(c, call.params["id"], to, sent, call.caller.name, now)
    )
    return {"items": marked}
