"""The gate as a whole: put together once, at start."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from sandbox.gate.admission import Admission
from sandbox.gate.hands import Launcher, Tracking, Vault
from sandbox.gate.house import House
from sandbox.gate.knowledge import Knowledge
from sandbox.gate.places import Places
from sandbox.gate.recipes import Recipes
from sandbox.gate.registers import RegisterReader
from sandbox.gate.sealed import Mounted, Sealed
from sandbox.gate.settings import Settings
from sandbox.gate.store import Store
from sandbox.gate.supervision import Supervision
from sandbox.runs import new_id
from sandbox.statements import PublicKey


@dataclass(frozen=True)
class Gate:
    """Its parts, by name."""

    house: House
    admission: Admission
    supervision: Supervision

    @cached_property
    def registers(self) -> RegisterReader:
        return self.house.registers


def build(
    places: Places,
    *,
    vault: Vault,
    launcher: Launcher,
    tracking: Tracking,
    settings: Callable[[], Settings],
    trust: Callable[[str], Sequence[PublicKey]],
    clock: Callable[[], datetime],
    store: Store | None = None,
    sealed: Callable[[Store], Sealed] | None = None,
    alone: bool = True,
) -> Gate:
    """Make what is missing below ``places`` and wire everything. Starts nothing."""
    places.make()
    store = store or Store(places.database)
    registers = RegisterReader(places, store, vault, trust, clock)
    recipes = Recipes(places, store, registers, clock)
    datasets = Mounted(places) if sealed is None else sealed(store)
    house = House(
        places=places,
        store=store,
        vault=vault,
        launcher=launcher,
        tracking=tracking,
        registers=registers,
        recipes=recipes,
        sealed=datasets,
        settings=settings,
        trust=trust,
        clock=clock,
        owner=f"{socket.gethostname()}:{new_id('')}",
    )
    knowledge = Knowledge(datasets, store, vault, registers, recipes, settings, trust, clock)
    admission = Admission(store, knowledge, lambda: settings().image_id, clock)
    return Gate(house, admission, Supervision(house, alone=alone))
