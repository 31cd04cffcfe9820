"""What the gate and the custodian share: HTTP behind identity, problems, idempotency, a journal of JSON lines."""

from sandbox.service.answers import Event, Events, Lines, Reply
from sandbox.service.http import Call, Route, application
from sandbox.service.identity import Caller, IdentityVerifier

__all__ = [
    "Call",
    "Caller",
    "Event",
    "Events",
    "IdentityVerifier",
    "Lines",
    "Reply",
    "Route",
    "application",
]
