"""The two services of one installation, by where they listen: on their sockets, or where ``services.json`` says."""

from __future__ import annotations

from pathlib import Path

from sandbox.client.address import Address
from sandbox.client.https import Https
from sandbox.client.identity import Bearer, Login
from sandbox.client.service import Service


def gate(state: Path, *, bearer: Bearer | None = None) -> Service:
    """The gate of the installation at ``state``, asked as the person who is logged in (or as ``bearer``)."""
    address = Address.of(state)
    return Service("gate", Https.read(state, "gate") or address.gate_socket, bearer or Login.at(state))


def custodian(state: Path, *, bearer: Bearer | None = None) -> Service:
    """The custodian of the installation at ``state``, asked as the person who is logged in."""
    address = Address.of(state)
    return Service(
        "custodian", Https.read(state, "custodian") or address.custodian_socket, bearer or Login.at(state)
    )
