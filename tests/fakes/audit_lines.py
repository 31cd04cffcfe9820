"""Lines of Vault's audit file with the fields that the join reads, spelt as OpenBao spells them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

DENIED = "1 error occurred:\n\t* permission denied\n\n"


def answer(
    path: str,
    at: str = "12:00:30",
    *,
    policies: tuple[str, ...] = (),
    grant: str = "",
    accessor: str = "",
    wrap: str = "",
    data: tuple[str, ...] = ("plaintext",),
    error: str = "",
) -> dict[str, Any]:
    """One answer on 2026-11-24. What is wrapped shows the wrap and no data; what is refused, why."""
    auth: dict[str, Any] = {"token_type": "service", "accessor": accessor, "policies": list(policies)}
    if grant:
        auth["metadata"] = {"grant_id": grant, "run_id": f"r{grant[1:]}"}
    shown: dict[str, Any] = {"mount_class": "secret"}
    if wrap:
        shown["wrap_info"] = {"accessor": wrap, "creation_path": path, "ttl": 60}
    elif data:
        shown["data"] = dict.fromkeys(("error",) if error else data, "hmac-sha256:0")
    line = {"time": f"2026-11-24T{at}.902805487Z", "type": "response", "auth": auth}
    line |= {"request": {"path": path, "operation": "update"}, "response": shown}
    return {**line, "error": error} if error else line


def asked(said: Mapping[str, Any]) -> dict[str, Any]:
    """The request before an answer."""
    line = {key: value for key, value in said.items() if key not in ("response", "type")}
    return {**line, "type": "request"}


def both(*answers: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Every answer behind its request, as they stand in the file."""
    return [line for said in answers for line in (asked(said), dict(said))]
