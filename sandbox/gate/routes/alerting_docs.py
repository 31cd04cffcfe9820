"""What the routes of alerts and notices are for: their part of the table that OpenAPI is made from."""

from __future__ import annotations

from sandbox.gate.routes.alerting import SEERS
from sandbox.gate.routes.shapes import COUNTED, INCIDENT
from sandbox.gate.routes.standing import STOPPERS, WATCHERS
from sandbox.service.openapi import ANY, TEXT, Doc, Docs, like, maybe, one_of, pages, strictly, thing

ALERT = like("al-[a-z0-9]{4,16}")
_ALERT = thing(
    {
        "id": ALERT,
        "rule": TEXT,
        "severity": one_of("low", "medium", "high", "critical"),
        "about": ANY,
        "detail": ANY,
        "incident": maybe(TEXT),
        "at": TEXT,
        "acknowledged_by": maybe(TEXT),
        "acknowledged_at": maybe(TEXT),
    }
)
_NOTICE = thing(
    {
        "incident": INCIDENT,
        "agreement": TEXT,
        "addressee": TEXT,
        "facts": ANY,
        "text": TEXT,
        "digest": TEXT,
        "due_at": TEXT,
        "sent_at": maybe(TEXT),
    }
)
_UNKNOWN = {404: ("incident.unknown", "notice.none", "notice.unknown")}

ALERTING_DOCS: Docs = {
    ("GET", "/v1/alerts"): Doc(
        "Alerts, oldest first.",
        WATCHERS,
        pages(_ALERT),
        note="`open=true` leaves out what somebody has acknowledged.",
        query={**COUNTED, "open": one_of("true", "false")},
    ),
    ("GET", "/v1/alerts/{id}"): Doc(
        "One alert.", WATCHERS, _ALERT, params={"id": ALERT}, problems={404: ("alert.unknown",)}
    ),
    ("POST", "/v1/alerts/{id}/ack"): Doc(
        "Say that you have seen it; the first who does stands, and it is told no further.",
        SEERS,
        _ALERT,
        params={"id": ALERT},
        problems={404: ("alert.unknown",)},
    ),
    ("GET", "/v1/incidents/{id}/notice"): Doc(
        "The draft notices of an incident, the first due first.",
        WATCHERS,
        pages(_NOTICE),
        params={"id": INCIDENT},
        query=COUNTED,
        problems=_UNKNOWN,
    ),
    ("POST", "/v1/incidents/{id}/notice"): Doc(
        "Say when a notice was sent; from then on it stands as it is.",
        STOPPERS,
        thing({"items": {"type": "array", "items": _NOTICE}}),
        params={"id": INCIDENT},
        body=strictly({"sent_at": TEXT}, addressee=TEXT),
        problems=_UNKNOWN,
    ),
}
