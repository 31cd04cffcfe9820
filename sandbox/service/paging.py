"""Lists come in pages: ``{"items": […], "next": "…", "limit": n}``; ``?after=`` takes ``next``, empty at the end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sandbox.errors import Usage

PAGE = 200


def limit_of(query: Mapping[str, str], most: int = PAGE) -> int:
    """How many items are asked for. Raises Usage."""
    asked = query.get("limit", str(most))
    if not (asked.isascii() and asked.isdecimal() and len(asked) <= 6) or not 1 <= int(asked) <= most:
        raise Usage(f"limit is 1 to {most}")
    return int(asked)


def number_of(query: Mapping[str, str], otherwise: int = 0, *, least: int = 0) -> int:
    """``after`` as a number: where the last page ended. Raises Usage."""
    asked = query.get("after") or str(otherwise)
    digits = asked.removeprefix("-")
    if not (digits.isascii() and digits.isdecimal() and len(digits) <= 15) or int(asked) < least:
        raise Usage("after is what the page before called next")
    return int(asked)


def page(items: Sequence[Any], query: Mapping[str, str], most: int = PAGE) -> dict[str, Any]:
    """One page of a list that is at hand as a whole; ``after`` counts the items seen."""
    limit, seen = limit_of(query, most), number_of(query)
    found = list(items[seen : seen + limit])
    more = seen + limit < len(items)
    return {"items": found, "next": str(seen + limit) if more else "", "limit": limit}
