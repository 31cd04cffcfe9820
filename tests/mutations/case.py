"""A case of the mutation table, and how it is judged.

A case prepares something sound, changes one thing in it, and opens it as the product would. It holds when

1. unchanged, it opens;
2. changed, exactly the error that the table names is raised;
3. changed, with the one check removed that the table names, that error is raised no longer: it opens, or something
   behind that check refuses (for most ciphertext this is GCM);
4. unchanged, with that check removed, it still opens: the edit took a check away and broke nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

from sandbox.errors import SandboxError, SealBroken
from tests.mutations.removal import Check, removed

OPENED = "opened"


@dataclass(frozen=True)
class Case:
    """``prepare(folder)`` makes the thing, ``damage(thing)`` changes it, ``open(thing)`` is the product at work."""

    group: str
    name: str
    prepare: Callable[[Path], Any]
    damage: Callable[[Any], object]
    open: Callable[[Any], object]
    code: str
    check: Check
    error: type[SandboxError] = SealBroken

    @property
    def title(self) -> str:
        return f"{self.group}: {self.name}"

    @property
    def expected(self) -> str:
        return f"{self.error.__name__} {self.code}"


@dataclass(frozen=True)
class Row:
    """What became of a case. ``error`` and ``without_check`` read ``Class code``, ``Class`` or ``opened``."""

    case: str
    caught: bool
    error: str
    red_without_check: bool
    check: str
    without_check: str

    @property
    def holds(self) -> bool:
        return self.caught and self.red_without_check


def judge(case: Case, folder: Path) -> Row:
    """All four conditions, each on a copy of its own under ``folder``."""
    sound = attempt(case, folder / "sound", damage=False)
    error = attempt(case, folder / "changed", damage=True)
    with removed(case.check):
        still_sound = attempt(case, folder / "sound-without", damage=False)
        without = attempt(case, folder / "changed-without", damage=True)
    return Row(
        case=case.title,
        caught=sound == OPENED and error == case.expected,
        error=error,
        red_without_check=still_sound == OPENED and code_of(without) != case.code,
        check=case.check.name,
        without_check=without if still_sound == OPENED else f"the edit breaks more: {still_sound}",
    )


def attempt(case: Case, folder: Path, *, damage: bool) -> str:
    """``opened``, or the error that stopped it. Faults of preparing and changing are the table's own, and raised."""
    folder.mkdir(parents=True)
    with patch("os.fsync"):  # nothing here is about a crash, and a disk takes most of the time
        thing = case.prepare(folder)
        if damage:
            case.damage(thing)
        return outcome(case.open, thing)


def outcome(opening: Callable[[Any], object], thing: Any) -> str:
    """What became of opening ``thing``: ``opened``, ``Class code``, or the bare ``Class`` of a crash."""
    try:
        opening(thing)
    except SandboxError as fault:
        return f"{type(fault).__name__} {fault.code}"
    except Exception as fault:  # noqa: BLE001 - a crash in place of a clear error is an outcome of its own
        return type(fault).__name__
    return OPENED


def code_of(outcome: str) -> str:
    """The error's code in an outcome; empty when it opened or crashed."""
    return outcome.partition(" ")[2]
