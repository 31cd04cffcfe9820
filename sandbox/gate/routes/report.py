"""What an auditor is handed: log, checkpoints, statements, credentials' windows, balances, the lineage graph."""

from __future__ import annotations

import base64
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from sandbox.gate.database.tables import artifacts, checkpoints, credentials, events, models, runs, statements
from sandbox.gate.house import House
from sandbox.gate.ledger import balances, log
from sandbox.gate.subjects import heritage, withdrawal
from sandbox.lineage import Kind


def graph(connection: Connection) -> dict[str, Any]:
    """The lineage as nodes and links, with each node's label and taint, and whose consent a model outlived."""
    found, marks = heritage.graph(connection), withdrawal.marks(connection)
    nodes = sorted(found.forward)
    return {
        "nodes": [
            {
                "kind": node.kind.value,
                "id": node.id,
                "label": found.label(node),
                "taint": found.taint(node),
                "withdrawn": marks.get(node.id, "") if node.kind is Kind.MODEL else "",
            }
            for node in nodes
        ],
        "links": [
            {"from": f"{node.kind.value}:{node.id}", "how": how.value, "to": f"{to.kind.value}:{to.id}"}
            for node in nodes
            for how, to in found.children(node)
        ],
    }


def artifacts_of(connection: Connection, run: str) -> list[dict[str, Any]]:
    asked = sa.select(artifacts).where(artifacts.c.run == run).order_by(artifacts.c.step, artifacts.c.path)
    shown = ("path", "step", "media_type", "size", "sha256", "state", "statement")
    return [{name: row[name] for name in shown} for row in connection.execute(asked).mappings()]


def metrics_of(connection: Connection, run: str) -> dict[str, list[dict[str, float]]]:
    """Every point that left, by metric, in order; at most as many as the run was granted."""
    asked = sa.select(events.c.data).where(events.c.run == run, events.c.kind == "metric")
    found: dict[str, list[dict[str, float]]] = {}
    for data in connection.execute(asked.order_by(events.c.id)).scalars():
        found.setdefault(str(data["name"]), []).append({"step": data["step"], "value": data["value"]})
    return found


def credentials_of(connection: Connection, run: str) -> list[dict[str, Any]]:
    """Kinds, paths, and the proof of death; an accessor only as Vault's audit file shows it."""
    asked = sa.select(credentials).where(credentials.c.run == run)
    shown = ("kind", "path", "audit_hash", "created_at", "expires_at", "dead_at")
    return [{name: row[name] for name in shown} for row in connection.execute(asked).mappings()]


def newest_checkpoint(connection: Connection) -> bytes:
    asked = sa.select(checkpoints.c.note).order_by(checkpoints.c.size.desc()).limit(1)
    return bytes(connection.execute(asked).scalar() or b"")


def windows(connection: Connection) -> list[dict[str, Any]]:
    """For each run, when each state began, and its credentials as Vault's audit file shows them."""
    found = []
    for run in connection.execute(sa.select(runs.c.id, runs.c.grant).order_by(runs.c.asked_at)):
        asked = sa.select(events.c.data, events.c.at).where(events.c.run == run.id, events.c.kind == "state")
        began = {row.data["state"]: row.at for row in connection.execute(asked.order_by(events.c.id))}
        given = credentials_of(connection, run.id)
        found.append({"run": run.id, "grant": run.grant, "began": began, "credentials": given})
    return found


def evidence(house: House) -> dict[str, Any]:
    """Everything that ``sandbox audit verify`` joins, as one snapshot, budgets composed after it; bytes are base64."""

    def read(connection: Connection) -> dict[str, Any]:
        notes = connection.execute(sa.select(checkpoints.c.note).order_by(checkpoints.c.size)).scalars()
        listed = connection.execute(sa.select(statements).order_by(statements.c.at)).mappings().all()
        return {
            "origin": log.ORIGIN,
            "entries": [_text(entry) for entry in log.entries(connection)],
            "checkpoints": [_text(bytes(note)) for note in notes],
            "statements": [dict(row) for row in listed],
            "windows": windows(connection),
            "models": [dict(row) for row in connection.execute(sa.select(models)).mappings()],
        }

    found = house.store.read(read)
    found["budgets"] = balances.told(house.store)
    for row in found["statements"]:
        path = house.places.statements / f"{row['name']}-{row['id']}.dsse.json"
        row["envelope"] = _text(path.read_bytes()) if path.exists() else ""
    found["erasures"] = [_text(data) for data in house.registers.envelopes("erasure")]
    found["keys"] = {hand: [key.text for key in house.trust(hand)] for hand in ("gate", "custodian")}
    return found


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
