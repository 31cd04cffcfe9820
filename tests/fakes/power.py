"""A gate that can lose its power between any two lines: from then on none of its threads has an effect any more.

Every effect and every commit passes a named point. At the chosen one the gate dies: a ``PowerCut`` is raised there, and
at whatever else the dead gate still tries.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from sandbox.gate.database.store import Store
from sandbox.gate.database.tables import runs, settlements

T = TypeVar("T")


class PowerCut(BaseException):
    """Not an Exception: nothing in the gate may catch it and go on."""


class Power:
    """``cut_at`` is the name of a point; ``passed`` are all points so far."""

    def __init__(self, cut_at: str = "") -> None:
        self.cut_at, self.passed, self.off = cut_at, list[str](), threading.Event()

    def check(self) -> None:
        if self.off.is_set():
            raise PowerCut

    def passes(self, point: str) -> None:
        self.check()
        self.passed.append(point)
        if point == self.cut_at:
            self.off.set()
            raise PowerCut


class Wired:
    """A hand of the gate: each call passes ``before NAME.call`` and ``after NAME.call``."""

    def __init__(self, hand: Any, name: str, power: Power) -> None:
        self._hand, self._name, self._power = hand, name, power

    def __getattr__(self, call: str) -> Any:
        effect = getattr(self._hand, call)

        def wired(*args: Any, **kwargs: Any) -> Any:
            self._power.passes(f"before {self._name}.{call}")
            result = effect(*args, **kwargs)
            self._power.passes(f"after {self._name}.{call}")
            return result

        return wired


class WiredStore(Store):
    """The real store; a commit that moves a run or proves a step is a point, too: ``state X``, ``proof X``."""

    def __init__(self, url: str, power: Power) -> None:
        super().__init__(url)
        _compile_once(self.engine)
        self._power = power
        self._watched = power.cut_at.startswith(("state", "proof", "stored"))
        self._known = super().read(_marks)

    def transact(self, work: Callable[[Connection], T]) -> T:
        self._power.check()
        result = super().transact(work)
        if self._watched:
            now = super().read(_marks)
            fresh, self._known = sorted(now - self._known), now
            for point in fresh:
                self._power.passes(point)
        return result

    def read(self, work: Callable[[Connection], T]) -> T:
        self._power.check()
        return super().read(work)


_FIRST: dict[str, Engine] = {}


def _compile_once(engine: Engine) -> None:
    """Every test has a database of its own; the same statements are compiled for the first of their kind only."""
    first = _FIRST.setdefault(engine.dialect.name, engine)
    if engine.dialect.name == "sqlite":
        engine.dialect = first.dialect
        engine._compiled_cache = first._compiled_cache


def _marks(connection: Connection) -> set[str]:
    found = {f"state {row.state}" for row in connection.execute(sa.select(runs.c.state))}
    found |= {f"proof {row.step}" for row in connection.execute(sa.select(settlements.c.step))}
    stored = connection.execute(sa.select(sa.func.sum(runs.c.stored))).scalar()
    return found | {f"stored {stored}"}
