"""Regions by name: ``CN-AH`` lies in ``CN``."""

from __future__ import annotations


def inside(region: str, allowed: str) -> bool:
    """Whether ``region`` is ``allowed`` or a part of it. Case does not matter; nothing lies in an empty name."""
    found, wanted = region.casefold(), allowed.casefold()
    return bool(wanted) and (found == wanted or found.startswith(wanted + "-"))
