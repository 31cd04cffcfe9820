"""What every duty of the gate works with: its places, its database, the hands it drives, its clock."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sandbox.gate.hands import Launcher, Tracking, Vault
from sandbox.gate.places import Places
from sandbox.gate.recipes import Recipes
from sandbox.gate.registers import RegisterReader
from sandbox.gate.sealed import Sealed
from sandbox.gate.settings import Settings
from sandbox.gate.store import Store
from sandbox.statements import PublicKey


@dataclass(frozen=True)
class House:
    """One gate. ``owner`` names this process in leases (``host:random``)."""

    places: Places
    store: Store
    vault: Vault
    launcher: Launcher
    tracking: Tracking
    registers: RegisterReader
    recipes: Recipes
    sealed: Sealed
    settings: Callable[[], Settings]
    trust: Callable[[str], Sequence[PublicKey]]
    clock: Callable[[], datetime]
    owner: str
