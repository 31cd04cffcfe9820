"""Everything that the gate did with one pseudonym, as a statement of its own: runs, decisions, models, log (R-5.2)."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from sandbox.gate.database.tables import budget, decisions, models, runs
from sandbox.gate.gate import Gate
from sandbox.gate.ledger import log
from sandbox.gate.routes.standing import APPROVER, REVIEWER, STEWARD, require
from sandbox.gate.subjects import heritage, withdrawal
from sandbox.lineage import Kind, Node
from sandbox.records import check_id
from sandbox.runs import utc
from sandbox.statements import canonical_json, sha256, sign_statement

STATEMENT = "subject-report"
RUN = ("id", "grant", "grant_digest", "person", "agreement", "purpose", "dataset", "recipe", "state", "outcome",
       "asked_at", "changed_at", "statement")  # fmt: skip
LEDGER = ("run", "kind", "dataset", "sigma", "sample_rate", "steps", "epsilon", "delta", "at")
_PSEUDONYM = re.compile(r"spk_[a-z0-9]{2,32}")


def report(gate: Gate, caller: str, subject: str) -> dict[str, Any]:
    """``{"statement": …}``, signed; that it was asked for stands in the log."""
    require(gate.registers, caller, STEWARD, APPROVER, REVIEWER)
    check_id("subject", subject)
    house = gate.house
    fact = {"by": "gate", "at": utc(house.clock()), **house.store.read(lambda c: facts(c, subject))}
    named = [(subject, sha256(canonical_json(fact)))]
    made = sign_statement(STATEMENT, named, fact, [house.vault.signer()])
    now = house.clock()
    house.store.transact(
        lambda c: log.append(c, STATEMENT, now, caller, subject=subject, digest=sha256(made))
    )
    return {"statement": made.decode()}


def facts(connection: Connection, subject: str) -> dict[str, Any]:
    """Everything below the subject in the lineage, every decision that looked at it, and what the log tells of it."""
    below = _below(connection, subject)
    heard = {node.id for node in below if node.kind is Kind.RUN}
    made = {node.id for node in below if node.kind is Kind.MODEL}
    decided = [
        found for row in connection.execute(sa.select(decisions)) if (found := _decision(row, subject))
    ]
    about = {*heard, *made, *(str(one["id"]) for one in decided)}
    return {
        "subject": subject,
        "runs": _rows(connection, runs, RUN, lambda row: row.id in heard),
        "decisions": decided,
        "models": _models(connection, made, subject),
        "releases": sorted(node.id for node in below if node.kind is Kind.RELEASE),
        "privacy": _rows(connection, budget, LEDGER, lambda row: row.subject == subject),
        "log": _log(connection, subject, about),
    }


def _below(connection: Connection, subject: str) -> frozenset[Node]:
    graph = heritage.graph(connection)
    start = [node for node in graph.forward if node.kind is Kind.SUBJECT and node.id.endswith(f"/{subject}")]
    return graph.descendants(*start)


def _rows(
    connection: Connection, table: sa.Table, shown: tuple[str, ...], wanted: Callable[[Any], bool]
) -> list[dict[str, Any]]:
    found = connection.execute(sa.select(table).order_by(*table.primary_key.columns))
    return [{name: getattr(row, name) for name in shown} for row in found if wanted(row)]


def _decision(row: Any, subject: str) -> dict[str, Any] | None:
    """A decision that looked at this person, with what it said of them and of nobody else."""
    looked = {str(one.get("subject")) for one in row.facts.get("consents", ())}
    mine = [one for one in row.reasons if one.get("about") == subject]
    if subject not in looked and not mine and subject not in (row.request.get("subjects") or ()):
        return None
    said = {name: getattr(row, name) for name in ("id", "run", "person", "permitted", "at", "entry")}
    return {**said, "purpose": row.request.get("purpose"), "reasons": [one.get("code") for one in mine]}


def _models(connection: Connection, made: set[str], subject: str) -> list[dict[str, Any]]:
    marks, found = withdrawal.marks(connection), []
    for row in connection.execute(sa.select(models)):
        name = f"{row.name}@{row.version}"
        if name in made:
            state = {"taint": row.taint or "", "withdrawn": marks.get(name, "")}
            told = {key: _alone(value, subject) for key, value in state.items()}
            found.append({"model": name, "run": row.run, "sha256": row.sha256, "at": row.at, **told})
    return found


def _log(connection: Connection, subject: str, about: set[str]) -> list[dict[str, Any]]:
    """Entries about the person or one of their runs, models and decisions; other people are left out of them."""
    found = []
    for index, entry in enumerate(log.entries(connection)):
        text = entry.decode()
        said = json.loads(text)
        if subject in _PSEUDONYM.findall(text) or about & {str(value) for value in said.values()}:
            found.append({"index": index, "leaf": sha256(b"\x00" + entry), "entry": _alone(text, subject)})
    return found


def _alone(text: str, subject: str) -> str:
    """The text without anybody else's pseudonym."""
    return _PSEUDONYM.sub(lambda one: one[0] if one[0] == subject else "(another)", text)
