"""A folder packed into a consignment at Party A: no gate, no custodian, no engine, no Vault.

    names = Pseudonyms.at(Path("studio.names.csv"))
    packed = pack(recordings, order, names, Treatment(redact=True), party_a_key, Path("1.consignment"), now)

Who a pseudonym is stays with Party A: lists of names and files are written beside, for their owner alone (0600).
"""

from __future__ import annotations

from sandbox.client.packing.pack import Order, Packed, pack
from sandbox.client.packing.pseudonyms import Pseudonyms
from sandbox.client.packing.treatment import Treatment

__all__ = ["Order", "Packed", "Pseudonyms", "Treatment", "pack"]
