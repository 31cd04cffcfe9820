"""Small values in Vault's KV store that only ever move forward: heads of datasets and registers, budgets.

Every write names the version it replaces (check-and-set); the loser of a race gets Conflict.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from sandbox.errors import NotFound
from sandbox.vault.answers import part
from sandbox.vault.http import Vault


class Kept(NamedTuple):
    """A value and the check-and-set number that replaces it; a value never written is ``({}, 0)``."""

    value: dict[str, Any]
    cas: int


def read(vault: Vault, name: str) -> Kept:
    """``name`` is ``datasets/<id>``, ``budgets/<name>`` or ``registers``, which holds every register's head."""
    try:
        data = part(vault.read(f"kv/data/{name}"), "data")
    except NotFound:
        return Kept({}, 0)
    return Kept(dict(part(data, "data")), int(part(data, "metadata")["version"]))


def write(vault: Vault, name: str, value: Mapping[str, Any], cas: int) -> int:
    """The new check-and-set number. Raises Conflict when ``cas`` is not the number in force."""
    body = {"options": {"cas": cas}, "data": dict(value)}
    return int(part(vault.write(f"kv/data/{name}", body), "data")["version"])
