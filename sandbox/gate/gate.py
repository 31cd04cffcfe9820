"""The gate as a whole: put together once, at start."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from sandbox.gate.alarms.detection import Detection
from sandbox.gate.database.store import Store
from sandbox.gate.deciding.admission import Admission
from sandbox.gate.deciding.bases import Bases
from sandbox.gate.deciding.images import Images
from sandbox.gate.deciding.knowledge import Knowledge
from sandbox.gate.deciding.recipes import Recipes
from sandbox.gate.deciding.registers import RegisterReader
from sandbox.gate.hands import Launcher, Tracking, Vault
from sandbox.gate.house import House
from sandbox.gate.places import Places
from sandbox.gate.runs.supervision import Supervision
from sandbox.gate.sealed import Mounted, Sealed
from sandbox.gate.settings import Settings
from sandbox.runs import new_id
from sandbox.statements import PublicKey


@dataclass(frozen=True)
class Gate:
    """Its parts, by name."""

    house: House
    admission: Admission
    supervision: Supervision
    detection: Detection

    @cached_property
    def registers(self) -> RegisterReader:
        return self.house.registers

    @cached_property
    def images(self) -> Images:
        return Images(self.house.store, self.house.registers, self.house.settings, self.house.clock)


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
    bases = Bases(places, store, settings, clock)
    datasets = Mounted(places) if sealed is None else sealed(store)
    house = House(
        places=places,
        store=store,
        vault=vault,
        launcher=launcher,
        tracking=tracking,
        registers=registers,
        recipes=recipes,
        bases=bases,
        sealed=datasets,
        settings=settings,
        trust=trust,
        clock=clock,
        owner=f"{socket.gethostname()}:{new_id('')}",
        before_go=lambda: detection.before_go(),  # noqa: PLW0108 - it is made below
    )
    supervision = Supervision(house, alone=alone)
    detection = Detection(house, supervision.strike)
    knowledge = Knowledge(datasets, store, vault, registers, recipes, bases, settings, trust, clock)
    admission = Admission(store, knowledge, lambda: settings().image_id, clock)
    return Gate(house, admission, supervision, detection)
