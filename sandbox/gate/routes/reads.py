"""Reading the gate: runs, events, decisions, recipes, models, budgets, incidents, the log and its proofs, evidence."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from sandbox.errors import NotFound, NotPermitted
from sandbox.gate.console import model_cards
from sandbox.gate.database.tables import decisions, incidents, models, runs, settlements, statements
from sandbox.gate.gate import Gate
from sandbox.gate.incidents import incident
from sandbox.gate.ledger import balances, invariants, log
from sandbox.gate.routes import report
from sandbox.gate.routes.standing import EVERYBODY, WATCHERS, require, roles
from sandbox.gate.runs import chronicle
from sandbox.gate.runs.states import FINAL
from sandbox.gate.subjects import withdrawal
from sandbox.policy.replay import replay
from sandbox.runs import RunState
from sandbox.service import Call, Event, Events, Reply, Route
from sandbox.service.paging import PAGE, limit_of, number_of, page

POLL_S = 1.0  # for what another gate wrote; what this one writes is seen at once
ALIVE_S = 10.0
SHOWN = ("id", "grant", "decision", "kind", "person", "agreement", "purpose", "dataset", "recipe", "state")
ALSO = ("outcome", "failure", "asked_at", "changed_at", "model", "epsilon", "statement", "killed_by")

Read = Callable[[Connection, Call], Any]


def reading(gate: Gate) -> list[Route]:
    """Every GET route; who may read what stands beside it."""

    def route(path: str, read: Read, *wanted: str) -> Route:
        def handler(call: Call) -> Any:
            require(gate.registers, call.caller.name, *wanted)
            return gate.house.store.read(lambda connection: read(connection, call))

        return Route("GET", path, handler)

    return [
        route("/v1/runs", lambda c, call: _page(c, _runs(), runs.c.id, call, dict), *EVERYBODY),
        route("/v1/runs/{id}", _run, *EVERYBODY),
        Route("GET", "/v1/runs/{id}/events", lambda call: _events(gate, call)),
        Route("GET", "/v1/recipes", lambda call: _recipes(gate, call)),
        Route("GET", "/v1/recipes/{digest}", lambda call: _recipe(gate, call)),
        route("/v1/decisions", _decisions, *WATCHERS),
        Route("GET", "/v1/decisions/{id}", lambda call: _found_decision(gate, call)),
        Route("GET", "/v1/decisions/{id}/replay", lambda call: _replay(gate, call)),
        route(
            "/v1/models",
            lambda c, call: page(_models(c), call.query),
            *EVERYBODY,
        ),
        route("/v1/models/{model}/card", lambda c, call: model_cards.of(c, call.params["model"]), *EVERYBODY),
        Route("GET", "/v1/budgets", lambda call: _budgets(gate, call)),
        route("/v1/incidents", lambda c, call: page(_incidents(c), call.query), *EVERYBODY),
        route("/v1/incidents/{id}", lambda c, call: incident.shown(c, call.params["id"]), *EVERYBODY),
        route("/v1/lineage", lambda c, _: report.graph(c), *WATCHERS),
        route("/v1/log", _log, *WATCHERS),
        route(
            "/v1/log/checkpoint",
            lambda c, _: Reply(report.newest_checkpoint(c), media_type="text/plain"),
            *EVERYBODY,
        ),
        route(
            "/v1/statements",
            lambda c, call: _page(c, sa.select(statements), statements.c.digest, call, dict),
            *WATCHERS,
        ),
        Route("GET", "/v1/statements/{digest}", lambda call: _statement(gate, call)),
        Route("GET", "/v1/invariants", lambda call: _invariants(gate, call)),
    ]


def _runs() -> Any:
    return sa.select(*(runs.c[name] for name in (*SHOWN, *ALSO)))


def _decisions(connection: Connection, call: Call) -> dict[str, Any]:
    """In brief; with ``whole=true`` each with its request and all its facts, as ``sandbox audit replay`` wants them."""
    show = dict if call.query.get("whole") == "true" else _decision
    return _page(connection, sa.select(decisions), decisions.c.id, call, show)


def _decision(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: row[name] for name in ("id", "run", "person", "permitted", "reasons", "at", "entry")}


def _page(
    connection: Connection, asked: Any, key: Any, call: Call, show: Callable[[Any], Mapping[str, Any]]
) -> dict[str, Any]:
    """Oldest id first; ``after`` goes on behind that id."""
    if after := call.query.get("after"):
        asked = asked.where(key > after)
    limit = limit_of(call.query, PAGE)
    rows = connection.execute(asked.order_by(key).limit(limit + 1)).mappings().all()
    found = [dict(show(row)) for row in rows[:limit]]
    return {"items": found, "next": str(found[-1][key.name]) if len(rows) > limit else "", "limit": limit}


def _run(connection: Connection, call: Call) -> dict[str, Any]:
    """Everything about one run but its wraps, which nobody has."""
    row = chronicle.find(connection, call.params["id"])
    proofs = connection.execute(sa.select(settlements).where(settlements.c.run == row.id)).mappings()
    return {
        **{name: getattr(row, name) for name in (*SHOWN, *ALSO)},
        "kill": row.kill,
        "container": row.container,
        "exit": row.exit,
        "grant_digest": row.grant_digest,
        "unlocked": row.unlocked,
        "metric_points": row.points,
        "metrics": report.metrics_of(connection, row.id),
        "plan": row.plan,
        "artifacts": report.artifacts_of(connection, row.id),
        "credentials": report.credentials_of(connection, row.id),
        "proofs": {proof["step"]: proof["proof"] for proof in proofs},
    }


def _events(gate: Gate, call: Call) -> Events:
    """What happened and what happens, until the run is final; resumes after ``Last-Event-ID``."""
    require(gate.registers, call.caller.name, *EVERYBODY)
    run = call.params["id"]
    gate.house.store.read(lambda connection: chronicle.find(connection, run))
    seen = call.last_event_id
    after = int(seen) if seen.isascii() and seen.isdecimal() and len(seen) < 16 else 0

    def follow(after: int) -> Iterator[Event]:
        spoke = time.monotonic()
        while True:
            written = gate.house.store.changes
            rows = gate.house.store.read(lambda c, seen=after: chronicle.since(c, run, seen))  # type: ignore[misc]
            for row in rows:
                after, spoke = row.id, time.monotonic()
                yield Event(row.kind, {**row.data, "at": row.at, "run": run}, str(row.id))
                if row.kind == "state" and RunState(row.data["state"]) in FINAL:
                    return
            if time.monotonic() - spoke > ALIVE_S:
                spoke = time.monotonic()
                yield Event("")
            gate.house.store.await_change(written, POLL_S)

    return Events(follow(after))


def _budgets(gate: Gate, call: Call) -> dict[str, Any]:
    require(gate.registers, call.caller.name, *EVERYBODY)
    return page(balances.told(gate.house.store), call.query)


def _recipes(gate: Gate, call: Call) -> dict[str, Any]:
    require(gate.registers, call.caller.name, *EVERYBODY)
    return page(gate.house.recipes.listing(), call.query)


def _recipe(gate: Gate, call: Call) -> dict[str, Any]:
    require(gate.registers, call.caller.name, *EVERYBODY)
    return gate.house.recipes.describe(call.params["digest"])


def _found_decision(gate: Gate, call: Call) -> dict[str, Any]:
    """The decision; its person may read it, and who watches. Raises NotFound, NotPermitted."""
    asked = sa.select(decisions).where(decisions.c.id == call.params["id"])
    row = gate.house.store.read(lambda c: c.execute(asked).mappings().first())
    if row is None:
        raise NotFound(f"there is no decision {call.params['id']}")
    held = set(roles(gate.registers, call.caller.name))
    if row["person"] != call.caller.name and not held & set(WATCHERS):
        raise NotPermitted("this decision is somebody else's")
    return dict(row)


def _replay(gate: Gate, call: Call) -> dict[str, Any]:
    """Decide again from the stored request and facts, which must be those that the log tells of."""
    row = _found_decision(gate, call)
    told = gate.house.store.read(lambda c: log.shown(c, row["entry"] - 1, 1))
    logged = next((entry for entry in told if entry.get("decision") == row["id"]), None)
    return replay(row, logged).to_json()


def _invariants(gate: Gate, call: Call) -> dict[str, Any]:
    """What must always hold and does not; empty when all is well."""
    require(gate.registers, call.caller.name, *WATCHERS)
    return {"broken": invariants.broken(gate.house)}


def _models(connection: Connection) -> list[dict[str, Any]]:
    """Each with ``withdrawn``: whose consent was withdrawn since it was made."""
    marks = withdrawal.marks(connection)
    rows = connection.execute(sa.select(models)).mappings()
    return [{**row, "withdrawn": marks.get(f"{row['name']}@{row['version']}", "")} for row in rows]


def _incidents(connection: Connection) -> list[dict[str, Any]]:
    return [dict(row) for row in connection.execute(sa.select(incidents).order_by(incidents.c.at)).mappings()]


def _log(connection: Connection, call: Call) -> dict[str, Any]:
    after, limit = number_of(call.query, -1, least=-1), limit_of(call.query, PAGE)
    found = log.shown(connection, after, limit)
    return {
        "items": found,
        "next": str(found[-1]["index"]) if len(found) == limit else "",
        "limit": limit,
    }


def _statement(gate: Gate, call: Call) -> Reply:
    """Exact bytes. Engineers read those of their own runs."""
    asked = sa.select(statements).where(statements.c.digest == call.params["digest"])
    row = gate.house.store.read(lambda c: c.execute(asked).first())
    if row is None:
        raise NotFound("there is no such statement")
    held = set(roles(gate.registers, call.caller.name))
    if not held & set(WATCHERS):
        person = sa.select(runs.c.person).where(runs.c.id == row.run)
        if gate.house.store.read(lambda c: c.execute(person).scalar()) != call.caller.name:
            raise NotPermitted("this statement is about somebody else's run")
    path = gate.house.places.statements / f"{row.name}-{row.id}.dsse.json"
    return Reply(path.read_bytes(), media_type="application/json")
