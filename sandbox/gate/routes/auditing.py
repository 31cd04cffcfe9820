"""What an auditor compares, handed out as it is: the evidence pack, what MLflow shows, Vault's own audit file.

Nothing is judged here: ``sandbox audit verify`` does that at the auditor's side, with keys that it does not take from
the gate. Repairing writes what was signed over what MLflow says; the log keeps who asked.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from sandbox import audit
from sandbox.errors import Unreachable
from sandbox.gate.gate import Gate
from sandbox.gate.ledger import log
from sandbox.gate.routes import report
from sandbox.gate.routes.standing import APPROVER, AUDITOR, OPERATOR, WATCHERS, require
from sandbox.service import Call, Reply, Route
from sandbox.tracking.signed import signed_runs

#: Who sees Vault's audit file: its secrets are HMACs, its paths name data subjects.
AUDITORS = (AUDITOR, OPERATOR, APPROVER)
TRIES = 5


def auditing(gate: Gate) -> list[Route]:
    """The routes below which nothing is summed up."""
    return [
        Route("GET", "/v1/evidence", lambda call: _evidence(gate, call)),
        Route("GET", "/v1/tracking", lambda call: _tracking(gate, call)),
        Route("POST", "/v1/tracking/repair", lambda call: _repair(gate, call)),
        Route("GET", "/v1/vault-audit", lambda call: _vault_audit(gate, call)),
    ]


def _evidence(gate: Gate, call: Call) -> dict[str, Any]:
    """A checkpoint is signed first, so that nothing in the pack stands outside of one; again, if the log grew since."""
    require(gate.registers, call.caller.name, *WATCHERS)
    house = gate.house
    for _ in range(TRIES):
        note = log.checkpoint(house.store, house.vault.signer, house.clock())
        pack = report.evidence(house)
        if len(pack["entries"]) == audit.open_checkpoint(note, log.ORIGIN, house.trust("gate")).size:
            break
    return pack


def _tracking(gate: Gate, call: Call) -> dict[str, Any]:
    require(gate.registers, call.caller.name, *WATCHERS)
    return gate.house.tracking.survey().to_json()


def _repair(gate: Gate, call: Call) -> dict[str, Any]:
    """MLflow says again what was signed; what is left needs a person."""
    require(gate.registers, call.caller.name, *AUDITORS)
    house, now = gate.house, gate.house.clock()
    house.store.transact(lambda c: log.append(c, "repair", now, call.caller.name))
    pack = audit.Evidence.from_json(report.evidence(house))
    found = audit.verify_evidence(pack, house.trust("gate"))
    left = house.tracking.repair(
        signed_runs(found.statements.values(), found.taints, found.withdrawn, found.frozen)
    )
    return {"left": [asdict(one) for one in left]}


def _vault_audit(gate: Gate, call: Call) -> Reply:
    """The exact lines, oldest first, rotated files included."""
    require(gate.registers, call.caller.name, *AUDITORS)
    newest = gate.house.places.vault_audit
    rotated = sorted(newest.parent.glob(f"{newest.name}.*"), key=lambda path: path.stat().st_mtime)
    try:
        lines = b"".join(path.read_bytes() for path in (*rotated, newest))
    except OSError:
        raise Unreachable(
            "Vault's audit file cannot be read here",
            code="audit.no_vault_file",
            mend="sandbox audit verify --vault-audit FILE, with Party A's own copy",
        ) from None
    return Reply(lines, media_type="application/jsonl")
