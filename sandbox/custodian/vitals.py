"""Whether the custodian can work (``/readyz``), and its numbers (``/metrics``); no label holds a person."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field

from sandbox.custodian.desk import Desk
from sandbox.custodian.people import require
from sandbox.service import Route
from sandbox.service.health import health_routes
from sandbox.service.lease import Lease
from sandbox.service.metrics import Meter

REGISTERS = ("people", "access", "consent", "dataset", "status", "erasure", "intake")


@dataclass(frozen=True)
class Vitals:
    """What a custodian counts with."""

    meter: Meter = field(default_factory=Meter)
    lease: Lease = field(default_factory=Lease)


def vital_routes(desk: Desk, vitals: Vitals) -> list[Route]:
    """``/healthz``, ``/readyz``, ``/metrics``."""
    meter = vitals.meter
    meter.gauge("sandbox_vault_token_seconds", "Until the custodian's credential ends.", vitals.lease.left_s)
    meter.gauge(
        "sandbox_register_entries",
        "Entries of the signed registers.",
        lambda: {name: float(len(desk.registers.entries(name))) for name in REGISTERS},
        "register",
    )
    meter.gauge(
        "sandbox_sealed_disk_free_bytes",
        "Room where sealed datasets lie.",
        lambda: {"": float(shutil.disk_usage(desk.sealed).free)},
    )
    checks: dict[str, Callable[[], object]] = {
        "vault": desk.vault.register_heads,
        "registers": lambda: desk.registers.entries("status"),
        "storage": desk.root.datasets,
    }
    return health_routes(checks, meter, lambda name: require(desk, name, "operator", "auditor"))
