"""Whether the gate can work (``/readyz``), and its numbers (``/metrics``): states, incidents, alerts, log, disk.

Labels are states, rules and kinds; never a person, a subject, a run or a dataset.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from sandbox.errors import Refused
from sandbox.gate.database.tables import checkpoints, incidents, log, metadata, runs
from sandbox.gate.gate import Gate
from sandbox.gate.routes.standing import AUDITOR, OPERATOR, require
from sandbox.runs import RunState, from_utc
from sandbox.service import Route
from sandbox.service.health import Checks, health_routes
from sandbox.service.lease import Lease
from sandbox.service.metrics import Look, Meter

OVER = (RunState.SETTLED, RunState.REFUSED)


@dataclass(frozen=True)
class Vitals:
    """What a gate counts with."""

    meter: Meter = field(default_factory=Meter)
    lease: Lease = field(default_factory=Lease)


def vital_routes(gate: Gate, vitals: Vitals) -> list[Route]:
    """``/healthz``, ``/readyz``, ``/metrics``."""
    _add_gauges(gate, vitals)

    def watcher(name: str) -> object:
        return require(gate.registers, name, OPERATOR, AUDITOR)

    return health_routes(_checks(gate), vitals.meter, watcher)


def _checks(gate: Gate) -> Checks:
    """Each part is asked something small; it raises when it does not answer."""
    house = gate.house
    find = getattr(house.tracking, "find", lambda _: None)
    return {
        "database": lambda: house.store.read(lambda c: c.execute(sa.select(sa.literal(1))).scalar()),
        "vault": house.vault.register_heads,
        "engine": house.launcher.list,
        "mlflow": lambda: find("r-none"),
    }


def _add_gauges(gate: Gate, vitals: Vitals) -> None:
    house, meter = gate.house, vitals.meter

    def reading(read: Callable[[Connection], Mapping[str, float]]) -> Look:
        return lambda: house.store.read(read)

    def age(connection: Connection) -> dict[str, float]:
        return _age(connection, house.clock())

    audit = house.places.vault_audit.parent
    meter.gauge("sandbox_live_runs", "Runs that are not over.", reading(_live), "state")
    meter.gauge("sandbox_incidents_open", "Incidents that nobody closed.", reading(_open))
    meter.gauge("sandbox_alerts", "Alerts of the detection rules.", reading(_alerts), "rule")
    meter.gauge("sandbox_log_entries", "Entries of the log.", reading(_entries))
    meter.gauge("sandbox_checkpoint_age_seconds", "Since the newest checkpoint was signed.", reading(age))
    meter.gauge("sandbox_vault_token_seconds", "Until the gate's credential ends.", vitals.lease.left_s)
    meter.gauge(
        "sandbox_audit_disk_free_bytes",
        "Room for Vault's audit file; when it is full, Vault stops.",
        lambda: {"": float(shutil.disk_usage(audit).free)},
    )
    meter.gauge(
        "sandbox_database_bytes",
        "Size of the gate's database.",
        lambda: _size(house.store.engine.url),
    )


def _size(url: sa.URL) -> dict[str, float]:
    """Bytes of an SQLite file; a server's size is not asked for."""
    file = url.database if url.get_backend_name() == "sqlite" else None
    return {"": float(Path(file).stat().st_size)} if file else {}


def _live(connection: Connection) -> dict[str, float]:
    asked = sa.select(runs.c.state, sa.func.count()).where(runs.c.state.not_in(OVER)).group_by(runs.c.state)
    found = {str(state): float(count) for state, count in connection.execute(asked)}
    return {state.value: found.get(state.value, 0.0) for state in RunState if state not in OVER}


def _open(connection: Connection) -> dict[str, float]:
    asked = sa.select(sa.func.count()).select_from(incidents).where(incidents.c.closed_at.is_(None))
    return {"": float(connection.execute(asked).scalar() or 0)}


def _alerts(connection: Connection) -> dict[str, float]:
    alerts: Any = metadata.tables.get("alerts")
    if alerts is None:
        return {}
    asked = sa.select(alerts.c.rule, sa.func.count()).group_by(alerts.c.rule)
    return {str(rule): float(count) for rule, count in connection.execute(asked)}


def _entries(connection: Connection) -> dict[str, float]:
    last = connection.execute(sa.select(sa.func.max(log.c.index))).scalar()
    return {"": 0.0 if last is None else float(last) + 1}


def _age(connection: Connection, now: datetime) -> dict[str, float]:
    newest = connection.execute(sa.select(sa.func.max(checkpoints.c.at))).scalar()
    return {} if newest is None else {"": max(0.0, (now - from_utc(newest)).total_seconds())}


def counting(meter: Meter, decide: Callable[[], Any]) -> Any:
    """Run ``decide``, timed; the reasons of a refusal are counted by family."""
    with meter.deciding():
        try:
            return decide()
        except Refused as fault:
            meter.refused({reason.code for reason in fault.reasons} or {fault.code})
            raise
