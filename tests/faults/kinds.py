"""What can go wrong at a site, and what is done about it then: each kind as one small act."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from typing import Any

from sandbox.errors import SandboxError
from tests.fakes.power import PowerCut
from tests.fakes.vault import refuse
from tests.faults.record import Point
from tests.faults.wires import LAUNCHER, STORE, TRACKING, VAULT, Act, Step, Wires, silence, timeout

HANG_S = 60.0


class Then(Enum):
    """What follows the fault; in the end another gate is started, always."""

    DEAD = "the gate is dead"
    AWAY = "the service stays away until the gate is restarted"
    HANGS = "the call hangs; a kill is asked meanwhile; then its time is over"
    ON = "the same gate goes on"


@dataclass(frozen=True)
class Kind:
    """One kind of fault: its name, at which points it can happen, what it does, what follows."""

    name: str
    act: Act
    then: Then
    fits: Callable[[Point], bool]


def _dies_before(wires: Wires, step: Step) -> Any:
    wires.off.set()
    step.undone()
    raise PowerCut


def _dies_after(wires: Wires, step: Step) -> Any:
    with suppress(SandboxError, TimeoutError):
        step.effect()
    wires.off.set()
    raise PowerCut


def _goes_away(wires: Wires, step: Step) -> Any:
    wires.away = step.site.hand
    raise silence(step.site.hand)


def _answer_is_lost(wires: Wires, step: Step) -> Any:
    with suppress(SandboxError, TimeoutError):
        step.effect()
    raise timeout(step.site.hand)


def _answers_500(wires: Wires, step: Step) -> Any:
    raise refuse(500, "internal error")


def _hangs(wires: Wires, step: Step) -> Any:
    with suppress(SandboxError, TimeoutError):
        step.effect()
    wires.hanging.set()
    wires.released.wait(HANG_S)
    raise timeout(step.site.hand)


def _container_dies(wires: Wires, step: Step) -> Any:
    wires.end_container()
    return step.effect()


def _is_killed(wires: Wires, step: Step) -> Any:
    try:
        return step.effect()
    finally:
        wires.kill()


def _at(*hands: str) -> Callable[[Point], bool]:
    return lambda point: point.site.hand in hands


_NAMES = {VAULT: "Vault", TRACKING: "MLflow", LAUNCHER: "the engine"}
_ALL = _at(STORE, *_NAMES)

KINDS = (
    Kind("the gate dies before it", _dies_before, Then.DEAD, _ALL),
    Kind("the gate dies after it", _dies_after, Then.DEAD, _ALL),
    *(Kind(f"{said} goes away", _goes_away, Then.AWAY, _at(hand)) for hand, said in _NAMES.items()),
    *(Kind(f"{said}'s answer is lost", _answer_is_lost, Then.ON, _at(hand)) for hand, said in _NAMES.items()),
    *(Kind(f"{said} hangs", _hangs, Then.HANGS, _at(hand)) for hand, said in _NAMES.items()),
    Kind("Vault answers 500", _answers_500, Then.ON, _at(VAULT)),
    Kind("the container dies", _container_dies, Then.ON, lambda point: point.container),
    Kind("a kill is asked", _is_killed, Then.ON, lambda point: point.run),
)
