"""The gate's and the custodian's API, as a person speaks to them: for the command line and for tests.

    from sandbox import client

    with client.gate(state) as gate:
        for run in gate.get("/v1/runs", {"limit": 10})["items"]:
            print(run["id"])

Every problem a service answers comes back as the error class of ``sandbox.errors`` with all its reasons.
"""

from __future__ import annotations

from sandbox.client.address import Address, Public
from sandbox.client.events import Event
from sandbox.client.identity import Bearer, Login
from sandbox.client.service import Service
from sandbox.client.services import custodian, gate
from sandbox.client.tar import tar_stream

__all__ = [
    "Address",
    "Bearer",
    "Event",
    "Login",
    "Public",
    "Service",
    "custodian",
    "gate",
    "tar_stream",
]
