"""One incident as people read it: what and who, its timeline in milliseconds, what it reached, what is still owed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from sandbox.cli.show import local_time

if TYPE_CHECKING:
    from rich.console import Console

#: Names shown of each kind before the rest is only counted.
SHOWN = 6


def timeline(console: Console, steps: Iterable[Mapping[str, Any]]) -> None:
    """A step a line, milliseconds first."""
    for step in steps:
        console.print(f"{step.get('ms', 0):>7} ms  {step.get('what', '')}", soft_wrap=True, markup=False)


def outstanding(console: Console, owed: Iterable[Mapping[str, Any]]) -> None:
    for one in owed:
        why = f", {one['fault']}" if one.get("fault") else ""
        text = f"     owed  {one['what']} (tried {one['tries']} times{why}); it is tried until it is proved"
        console.print(text, soft_wrap=True, markup=False)


def show(console: Console, found: Mapping[str, Any]) -> None:
    """Everything that the gate says of it."""
    lines = [
        ("incident", str(found["id"])),
        ("kind", str(found["kind"])),
        ("scope", str(found["scope"])),
        ("opened", f"{local_time(str(found['at']))} by {found['by']}"),
    ]
    if closed := found.get("closed_at"):
        lines.append(("resumed", f"{local_time(str(closed))} by {found.get('closed_by') or 'the gate'}"))
    else:
        lines.append(("resumed", "no: it stands"))
    lines += [
        (name, _names(found["affected"].get(name, ()))) for name in ("runs", "subjects", "datasets", "models")
    ]
    for name, value in lines:
        console.print(f"{name:<10} {value}", soft_wrap=True, markup=False)
    timeline(console, found["timeline"])
    outstanding(console, found["outstanding"])


def _names(found: Iterable[str]) -> str:
    names = list(found)
    if not names:
        return "none"
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"{len(names)}: {', '.join(names[:SHOWN])}{more}"
