"""Errors as ``application/problem+json`` (RFC 9457): what, why, and what mends it; never a traceback."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from sandbox import errors
from sandbox.errors import Refused, SandboxError

MEDIA_TYPE = "application/problem+json"

# What HTTP itself has a number for (RFC 9110, RFC 6585); a code decides before a class.
_BY_CODE = {
    "method.unknown": 405,
    "request.timeout": 408,
    "input.too_large": 413,
    "media_type.unknown": 415,
    "headers.too_large": 431,
    "register.head": 500,  # ours, not what was sent
}

# The first class that fits decides.
_STATUS: tuple[tuple[type[SandboxError], int], ...] = (
    (errors.Usage, 400),
    (errors.IdentityInvalid, 401),
    (errors.CredentialError, 503),  # the service's own
    (errors.NotFound, 404),
    (errors.TooMany, 429),
    (errors.Conflict, 409),
    (errors.IsolationMismatch, 500),
    (errors.Refused, 403),
    (errors.Unreachable, 503),
    (errors.StatementError, 422),
    (errors.ConsignmentError, 422),
)


def status_of(fault: SandboxError) -> int:
    if fault.code in _BY_CODE:
        return _BY_CODE[fault.code]
    return next((status for kind, status in _STATUS if isinstance(fault, kind)), 500)


def problem(fault: SandboxError) -> dict[str, Any]:
    """The body that describes ``fault``; ``sandbox.client.problems`` turns it back into the same class."""
    body: dict[str, Any] = {
        "type": f"urn:voice-sandbox:problem:{fault.code}",
        "code": fault.code,
        "kind": type(fault).code,
        "title": fault.code.replace(".", ": ").replace("_", " "),
        "detail": fault.message,
        "mend": fault.mend,
        "status": status_of(fault),
        "reasons": [],
    }
    if isinstance(fault, Refused):
        body["reasons"] = [asdict(reason) for reason in fault.reasons]
        body["decision"] = fault.decision
    return body


def internal(fault: BaseException, where: str) -> SandboxError:
    """A fault nobody meant: its class and place, not its text, which could quote a request."""
    return SandboxError(f"unexpected {type(fault).__name__} at {where}", mend="report it")
