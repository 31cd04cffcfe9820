"""What every duty of the gate works with: its places, its database, the hands it drives, its clock."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from sandbox.gate.database.store import Store
from sandbox.gate.deciding.bases import Bases
from sandbox.gate.deciding.recipes import Recipes
from sandbox.gate.deciding.registers import RegisterReader
from sandbox.gate.hands import Launcher, Tracking, Vault
from sandbox.gate.incidents.login import Login
from sandbox.gate.places import Places
from sandbox.gate.sealed import Sealed
from sandbox.gate.settings import Settings
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
    bases: Bases
    sealed: Sealed
    settings: Callable[[], Settings]
    trust: Callable[[str], Sequence[PublicKey]]
    clock: Callable[[], datetime]
    owner: str
    #: Reads what Vault's audit file shows by now, and stops what it must; no recipe begins before it returned.
    before_go: Callable[[], object] = bool

    @cached_property
    def login(self) -> Login:
        """This gate's own, at Vault."""
        return Login(self.places.held, self.vault)
