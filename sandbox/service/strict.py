"""Reading what a request says, strictly: one text has one meaning, and nothing in it surprises what comes after.

JSON (RFC 8259, I-JSON RFC 7493): no name twice, no NaN or infinity, no whole number beyond 64 bits, no NUL, no lone
surrogate, not deeper than ``MAX_DEPTH``. Queries: no name twice, no control character.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, NoReturn
from urllib.parse import parse_qsl

from sandbox.errors import Usage

MAX_DEPTH = 32
MAX_TEXT = 1024  # characters of one parameter
MAX_FIELDS = 64
_MOST = 1 << 63
_ODD_ESCAPE = re.compile(rb"\\u(0000|[dD][89a-fA-F])")
_CONTROL = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")


def json_object(raw: bytes) -> dict[str, Any]:
    """The one JSON object that ``raw`` is; empty for no bytes. Raises Usage for anything else."""
    if not raw:
        return {}
    try:
        found = json.loads(
            raw.decode("utf-8", "strict"),
            object_pairs_hook=_object,
            parse_constant=_constant,
            parse_int=_whole,
            parse_float=_number,
        )
    except (ValueError, RecursionError):
        raise Usage("the request's body is not JSON") from None
    if not isinstance(found, dict):
        raise Usage("the request's body is not a JSON object")
    if raw.count(b"[") + raw.count(b"{") > MAX_DEPTH or _ODD_ESCAPE.search(raw):
        _check(found)
    return found


def query(raw: bytes) -> dict[str, str]:
    """The parameters behind ``?``. Raises Usage for one that stands twice, is too long or holds a control character."""
    try:
        pairs = parse_qsl(
            raw.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=MAX_FIELDS
        )
    except ValueError:
        raise Usage("the query is not readable") from None
    found = dict(pairs)
    if len(found) != len(pairs):
        raise Usage("a parameter of the query stands twice")
    return plain(found)


def plain(params: Mapping[str, Any]) -> dict[str, str]:
    """``params`` as text. Raises Usage for one that no id and no number could be."""
    found = {name: str(value) for name, value in params.items()}
    for text in (*found, *found.values()):
        if len(text) > MAX_TEXT or _CONTROL.search(text):
            raise Usage("a parameter is too long, or holds a control character")
    return found


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise Usage("a name stands twice in one JSON object")
    return found


def _constant(_: str) -> NoReturn:
    raise Usage("NaN and infinity are no JSON")


def _whole(text: str) -> int:
    value = int(text)
    if not -_MOST <= value < _MOST:
        raise Usage("a whole number has at most 64 bits")
    return value


def _number(text: str) -> float:
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise Usage("a number is beyond what can be counted with")
    return value


def _check(root: object) -> None:
    """Depth, and every text. Raises Usage."""
    waiting: list[tuple[object, int]] = [(root, 1)]
    while waiting:
        value, depth = waiting.pop()
        if isinstance(value, str):
            if "\0" in value or (not value.isascii() and any("\ud800" <= c <= "\udfff" for c in value)):
                raise Usage("a text holds NUL or half a character")
            continue
        inside: Iterable[object] = ()
        if isinstance(value, dict):
            inside = (*value, *value.values())
        elif isinstance(value, list):
            inside = value
        if inside and depth > MAX_DEPTH:
            raise Usage(f"the request's body is nested more than {MAX_DEPTH} deep")
        waiting += [(one, depth + 1) for one in inside]
