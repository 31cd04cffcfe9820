"""What the gate's own records must agree on: rows, log, ledger, statements. Pure, over one snapshot."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from sandbox import audit
from sandbox.gate.database import tables
from sandbox.gate.ledger import acts, budget
from sandbox.gate.runs.states import FINAL, NEXT
from sandbox.gate.subjects import heritage, rights, withdrawal
from sandbox.lineage import Lineage
from sandbox.policy import epsilon
from sandbox.policy.registers import Registers
from sandbox.runs import Kind, Outcome, RunState, from_utc
from sandbox.statements import Statement

ENDED = frozenset({RunState.ENDED, RunState.SETTLED})
#: What a settled run's signed statement says with the words of its row.
TOLD = ("decision", "person", "failure", "exit", "killed_by", "container", "unlocked", "epsilon", "model")


@dataclass(frozen=True)
class Seen:
    """The database at one moment."""

    runs: Mapping[str, Row[Any]]
    leases: Mapping[str, float]
    rows: Mapping[str, Sequence[Row[Any]]]
    ledger: budget.Ledger
    graph: Lineage

    def state(self, run: str) -> RunState | None:
        row = self.runs.get(run)
        return None if row is None else RunState(row.state)

    @cached_property
    def entries(self) -> Mapping[str, list[tuple[int, dict[str, Any]]]]:
        """The log's entries by kind, with their index."""
        found = defaultdict(list)
        for row in self.rows["log"]:
            entry = json.loads(row.entry)
            found[str(entry["kind"])].append((int(row[0]), entry))
        return found

    def told(self, kind: str, *names: str) -> set[tuple[Any, ...]]:
        """The fields ``names`` of every entry of that kind."""
        return {tuple(entry.get(name) for name in names) for _, entry in self.entries.get(kind, ())}


def look(connection: Connection) -> Seen:
    """Everything, on one snapshot."""

    def all_of(table: sa.Table) -> Sequence[Row[Any]]:
        return connection.execute(sa.select(table).order_by(*table.primary_key.columns)).all()

    rows = {table.name: all_of(table) for table in tables.metadata.sorted_tables}
    return Seen(
        runs={row.id: row for row in rows["runs"]},
        leases={row.run: row.until for row in rows["leases"]},
        rows=rows,
        ledger=budget.ledger(connection),
        graph=heritage.graph(connection),
    )


def log(seen: Seen) -> Iterator[str]:
    """Every decision, transition and human act has one entry, and every entry has its row."""
    high = ""
    for expected, row in enumerate(seen.rows["log"]):
        if row[0] != expected or audit.leaf_hash(row.entry) != row.leaf:
            yield f"entry {expected} of the log is missing, or its leaf is another's"
            return
        high = max(high, json.loads(row.entry)["at"])
        if row.high != high:
            yield f"entry {expected} of the log: the latest moment is {high}, and {row.high} stands there"
            return
    decided = {(r.id, r.run, r.permitted, r.entry) for r in seen.rows["decisions"]}
    entries = {(e["decision"], e.get("run"), e["permitted"], i) for i, e in seen.entries.get("decision", ())}
    yield from _same("decision", decided, entries)
    rows = seen.rows
    killed = {(row.id,) for row in seen.runs.values() if row.kill is not None}
    yield from _same("kill", killed, seen.told("kill", "run"))
    opened = {(r.id, r.scope) for r in rows["incidents"]}
    yield from _same("incident", opened, seen.told("incident", "incident", "scope"))
    closed = {(r.id,) for r in rows["incidents"] if r.closed_at is not None}
    yield from _same("end of an incident", closed, seen.told("incident-closed", "incident"))
    signed = {(r.digest, r.name, r.id) for r in rows["statements"]}
    yield from _same("statement", signed, seen.told("statement", "digest", "name", "statement"))
    yield from _same(
        "recipe", {(r.digest, r.name) for r in rows["recipes"]}, seen.told("recipe", "digest", "recipe")
    )
    posted = {(r.register, r.seq, r.digest) for r in rows["postings"]}
    yield from _same("register's entry", posted, seen.told("posting", "register", "seq", "digest"))
    tainted = {(f"{r.name}@{r.version}", r.taint) for r in rows["models"] if r.taint is not None}
    yield from _same("taint", tainted, seen.told("taint", "model", "why"))
    marked = {(r.model, r.dataset, r.subject) for r in rows["withdrawals"]}
    yield from _same("withdrawal", marked, seen.told("withdrawal", "model", "dataset", "subject"))
    yield from _transitions(seen)


def _same(what: str, rows: set[tuple[Any, ...]], entries: set[tuple[Any, ...]]) -> Iterator[str]:
    for row in sorted(rows - entries, key=str):
        yield f"the {what} {_words(row)} is not in the log"
    for entry in sorted(entries - rows, key=str):
        yield f"the log tells of the {what} {_words(entry)}, and the database does not"


def _words(values: Iterable[Hashable]) -> str:
    return " ".join(str(value)[:24] for value in values)


def _transitions(seen: Seen) -> Iterator[str]:
    """A run's states in the log are a way through the machine, told to watchers alike, and end where the row stands."""
    logged, shown = defaultdict(list), defaultdict(list)
    for index, entry in seen.entries.get("state", ()):
        logged[entry["run"]].append((entry["state"], index))
    for row in seen.rows["events"]:
        if row.kind == "state":
            shown[row.run].append((row.data["state"], row.data["log_entry"]))
    for run in sorted({*seen.runs, *logged}):
        way = [RunState(state) for state, _ in logged[run]]
        legal = way[:1] == [RunState.ADMITTED] and all(b in NEXT[a] for a, b in pairwise(way))
        if not legal or way[-1] is not seen.state(run):
            yield f"{run} is {seen.state(run)}; the log tells {' '.join(way) or 'nothing'}"
        if logged[run] != shown[run]:
            yield f"{run}: the log and the events tell different states"


def ledger(seen: Seen) -> Iterator[str]:
    """One reservation a run and data subject, at most one settlement of the right kind, nobody above the cap."""
    kinds: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for row in seen.rows["budget"]:
        kinds[row.run][row.kind].append(row.subject)
    trained = {e["run"] for _, e in seen.entries.get("state", ()) if e["state"] == RunState.TRAINING}
    for run, row in seen.runs.items():
        subjects = sorted(row.plan["subjects"]) if row.kind == Kind.AGREEMENT.value else []
        due = {budget.RESERVED: subjects} if subjects else {}
        if subjects and RunState(row.state) in ENDED:
            due[budget.CHARGED if run in trained else budget.RELEASED] = subjects
        if {kind: sorted(found) for kind, found in kinds[run].items()} != due:
            yield f"{run}: the ledger does not hold {' and '.join(due) or 'nothing'} for each of its subjects, once"
    yield from acts.faults(_mapped(seen.rows["ledger"]), _mapped(seen.rows["budget"]))
    caps = {row.id: (row.facts.get("terms") or {}) for row in seen.rows["decisions"]}
    newest = {
        (row.dataset, row.subject): caps[seen.runs[row.run].decision]
        for row in seen.rows["budget"]
        if row.kind == budget.RESERVED and row.sigma is not None
    }
    for (dataset, subject), history in seen.ledger.standing.items():
        cap = newest[dataset, subject]
        spent = epsilon.spent(history, float(cap["max_delta"]))
        if spent > float(cap["max_epsilon"]):
            yield f"{dataset}/{subject} lost {spent:.3g}, and the cap is {cap['max_epsilon']:g}"


def _mapped(rows: Sequence[Row[Any]]) -> list[Mapping[str, Any]]:
    return [dict(row._asdict()) for row in rows]


def settled(seen: Seen, statements: Mapping[str, Statement]) -> Iterator[str]:
    """The row of a settled run still says what was signed, and how the log says that it ended."""
    ends = {
        e["run"]: e.get("outcome") for _, e in seen.entries.get("state", ()) if e["state"] == RunState.SETTLED
    }
    for run, row in seen.runs.items():
        if RunState(row.state) is not RunState.SETTLED:
            continue
        if row.outcome != ends.get(run):
            yield f"{run}: it was settled as {ends.get(run)}, and now is {row.outcome}"
        if row.grant_digest is None:
            continue
        statement = statements.get(str(row.statement))
        if statement is None or statement.predicate["run"] != run:
            yield f"{run}: the statement that settled it is gone"
            continue
        said = statement.predicate
        other = [name for name in (*TOLD, "outcome") if said[name] != getattr(row, name)]
        made = {(a.path, a.sha256) for a in seen.rows["artifacts"] if a.run == run and a.state == "signed"}
        if {(item["path"], item["sha256"]) for item in said["artifacts"]} != made:
            other.append("artifacts")
        if other:
            yield f"{run}: it is settled, and changed since: {', '.join(other)}"


def models(seen: Seen) -> Iterator[str]:
    """Only a finished run has a model; while it settles, only one that nobody killed."""
    for row in seen.rows["models"]:
        run = seen.runs[row.run]
        final = RunState(run.state) in FINAL
        if run.kill is not None or (final and run.outcome != Outcome.FINISHED.value):
            yield f"{row.name}@{row.version} is registered, and {row.run} was {run.outcome or 'killed'}"


def tainted(seen: Seen, known: Registers) -> Iterator[str]:
    """Every model that descends from somebody whose key is destroyed is tainted, of who withdrew marked."""
    marks = {f"{row.name}@{row.version}": row.taint for row in seen.rows["models"]}
    for dataset, subject in rights.erased(known):
        for model in sorted(rights.descendants(seen.graph, (dataset, subject))):
            if marks.get(model) is None:
                yield f"{model} descends from {dataset}/{subject}, who was erased, and is not tainted"
    asked = {f"{r.name}@{r.version}": from_utc(seen.runs[r.run].asked_at) for r in seen.rows["models"]}
    marked = {(r.model, r.dataset, r.subject) for r in seen.rows["withdrawals"]}
    for model, dataset, subject in sorted(withdrawal.due(seen.graph, asked, known.withdrawn_at) - marked):
        yield f"{model} was made from {dataset}/{subject}, who withdrew, and is not marked"
