"""From ``application/problem+json`` back to the error a caller can act on (RFC 9457)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from sandbox import errors
from sandbox.errors import Reason, Refused, SandboxError

_BY_STATUS: dict[int, type[SandboxError]] = {
    400: errors.Usage,
    401: errors.IdentityInvalid,
    403: errors.NotPermitted,
    404: errors.NotFound,
    409: errors.Conflict,
    405: errors.Usage,
    408: errors.Usage,
    413: errors.Usage,
    415: errors.Usage,
    422: errors.Usage,
    429: errors.TooMany,
    431: errors.Usage,
    502: errors.Unreachable,
    503: errors.Unreachable,
    504: errors.Unreachable,
}


def problem(status: int, body: Mapping[str, Any]) -> SandboxError:
    """The error that a service meant: by its kind or code where we know it, else by its HTTP status."""
    code = str(body.get("code") or "")
    message = str(body.get("detail") or body.get("title") or f"the service answered {status}")
    mend = str(body.get("mend") or "")
    kind = (
        _BY_CODE.get(str(body.get("kind") or ""))
        or _BY_CODE.get(code)
        or _BY_STATUS.get(status)
        or SandboxError
    )
    reasons = tuple(_reason(entry) for entry in body.get("reasons") or () if isinstance(entry, Mapping))
    if reasons and not issubclass(kind, Refused):
        kind = Refused
    if issubclass(kind, Refused):
        decision = str(body.get("decision") or "")
        return kind(message, reasons=reasons, code=code or None, mend=mend, decision=decision)
    return kind(message, code=code or None, mend=mend)


def _reason(entry: Mapping[str, Any]) -> Reason:
    return Reason(**{name: str(entry.get(name) or "") for name in ("code", "about", "why", "mend", "clause")})


def _tree(root: type[SandboxError]) -> Iterator[type[SandboxError]]:
    for kind in root.__subclasses__():
        yield kind
        yield from _tree(kind)


def _codes() -> dict[str, type[SandboxError]]:
    found: dict[str, type[SandboxError]] = {}
    for kind in _tree(SandboxError):
        if "code" in vars(kind):
            found.setdefault(kind.code, kind)
    found[SandboxError.code] = SandboxError
    return found


_BY_CODE = _codes()
