"""The house's Vault, with second factors: they are kept by the other fake, which knows them."""

from __future__ import annotations

from typing import Any

from tests.fakes.custody import FakeCustody

KNOWN = ("has_factor", "code_fits", "draw_factor", "confirm_factor", "drop_factor")


class Factors:
    def __init__(self, vault: Any) -> None:
        self._vault, self._factors = vault, FakeCustody()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._factors if name in KNOWN else self._vault, name)
