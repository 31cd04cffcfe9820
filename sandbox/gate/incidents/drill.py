"""The kill drill: live containers of a recipe of the drill's own are killed as in an incident, and every step is timed.

1. A recipe that only waits is entered; its bytes hold the drill's name, so its digest is a scope that nothing else has.
2. So many dry runs of it are admitted, on public speech, and each is brought to its training in a real container.
3. Each gets a wrapped token that opens nothing, as a run that is about to unlock holds one.
4. The scope is killed by :func:`sandbox.gate.incidents.kill.stop`, like any other.
5. The old credentials are shown again: each accessor must be unknown to Vault, each wrap must be refused.
6. The scope is resumed; the report stays with the incident.
"""

from __future__ import annotations

import base64
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from sandbox.audit.vault_join import TOKEN
from sandbox.errors import RunFailed, SandboxError
from sandbox.gate.database.tables import credentials, incidents
from sandbox.gate.database.tables import runs as runs_
from sandbox.gate.deciding.admission import Admission
from sandbox.gate.deciding.knowledge import Knowledge
from sandbox.gate.gate import Gate
from sandbox.gate.incidents import incident, kill
from sandbox.gate.incidents.stopped import DRILL
from sandbox.gate.runs import chronicle
from sandbox.gate.runs.states import FINAL
from sandbox.gate.settings import Settings
from sandbox.runs import Compute, Kind, Request, RunState, recipe_digest, utc
from sandbox.vault.minting import USES_BESIDES_KEYS, Wrap

NAME, PURPOSE = "drill", "test"
RUNS, RUNS_MAX = 20, 50
#: At once on their way to training: an engine that starts twenty beside each other is late with all of them.
STARTING = 4
READY_S, SETTLE_S, TIME_S = 60.0, 120.0, 900
#: What VAULT.md and the agreement's switch (clause 3.5) are held to.
CREDENTIALS_P99_MS, CONTAINERS_MS = 2000, 5000
CARD = b"""\
name: drill
summary: Waits until it is killed.
purposes: [test]
engine: none
dataset: none
metrics:
  alive: {min: 0, max: 1, decimals: 0, every: 1}
"""
CODE = b"""\
# drill %s
import time


def main(run):
    run.log("alive", 0, 1)
    while not run.stopping:
        time.sleep(0.2)
"""


@dataclass
class Drill:
    """One drill as it goes on. ``state``: starting, killing, done or failed."""

    id: str
    by: str
    runs: int
    state: str = "starting"
    ready: int = 0
    fault: str = ""
    report: dict[str, Any] = field(default_factory=dict)


def perform(gate: Gate, drill: Drill) -> None:
    """All steps; the drill says how it went. Never leaves a run of its own alive."""
    files = {"recipe.yaml": CARD, "recipe.py": CODE % drill.id.encode()}
    scope = f"recipe:{recipe_digest(files)}"
    killed = False
    try:
        body = {"files": {path: base64.b64encode(data).decode() for path, data in files.items()}}
        gate.house.recipes.submit(body, drill.by)
        runs = _start(gate, drill, recipe_digest(files))
        wraps = {run: _mint(gate, run) for run in runs}
        drill.state, killed = "killing", True
        drill.report = _killed(gate, drill, scope, runs, wraps)
        drill.state = "done"
    except SandboxError as fault:
        drill.state, drill.fault = "failed", f"{fault.code}: {fault.message}"
    finally:
        if not killed:
            found = kill.stop(gate.house, scope, drill.by, kind=DRILL)
            gate.supervision.converge()
            incident.resume(gate.house, str(found["id"]), drill.by)


def _start(gate: Gate, drill: Drill, digest: str) -> list[str]:
    """The runs, each in training. Raises RunFailed when one is not in time."""
    admission, runs, waiting = _admission(gate, drill.runs), list[str](), list[str]()
    request = Request(
        recipe=NAME,
        recipe_digest=digest,
        agreement="",
        purpose=PURPOSE,
        dataset=None,
        subjects=None,
        inputs={},
        privacy=None,
        compute=Compute(cpus=1.0, memory_bytes=1 << 30, time_limit_s=TIME_S),
        parameters={},
        kind=Kind.DRY,
    )
    deadline = time.monotonic() + READY_S
    while len(runs) < drill.runs or waiting:
        if len(runs) < drill.runs and len(waiting) < STARTING:
            run = admission.ask(request, drill.by).run
            gate.supervision.begin(run)
            runs.append(run)
            waiting.append(run)
            deadline = time.monotonic() + READY_S
            continue
        arrived = [run for run in waiting if _state(gate, run) is RunState.TRAINING]
        waiting = [run for run in waiting if run not in arrived]
        drill.ready += len(arrived)
        gone = [run for run in waiting if _state(gate, run) in FINAL | {RunState.ENDED}]
        if gone or time.monotonic() > deadline:
            raise RunFailed(f"{(gone or waiting)[0]} did not come to its training", code="drill.unready")
        if not arrived:
            time.sleep(0.05)
    return runs


def _admission(gate: Gate, more: int) -> Admission:
    """The gate's own, but for the number of runs that may live: a drill's come on top."""
    house = gate.house

    def settings() -> Settings:
        known = house.settings()
        return replace(known, live_runs_max=known.live_runs_max + more)

    kept = (house.sealed, house.store, house.vault, house.registers, house.recipes, house.bases)
    knowledge = Knowledge(*kept, settings, house.trust, house.clock)
    return Admission(house.store, knowledge, lambda: house.settings().image_id, house.clock)


def _mint(gate: Gate, run: str) -> str:
    """A wrapped token for nothing: its policy does not exist. The wrap, which the drill shows again in the end."""
    house, settings = gate.house, gate.house.settings()
    plan = chronicle.granted(house.store.read(lambda c: chronicle.find(c, run)))
    made = house.vault.mint_run(
        NAME,
        PURPOSE,
        run,
        plan.grant,
        uses=USES_BESIDES_KEYS,
        ttl_s=settings.credential_ttl_s,
        wrap_ttl_s=settings.wrap_ttl_s,
    )
    ends = house.clock() + timedelta(seconds=settings.credential_ttl_s)
    rows = [
        {
            "accessor": accessor,
            "run": run,
            "kind": kind,
            "path": made.wrap.creation_path,
            "audit_hash": house.vault.audit_hash(accessor),
            "created_at": made.wrap.created_at,
            "expires_at": utc(ends),
        }
        for accessor, kind in ((made.wrap.accessor, NAME), (made.wrapped_accessor, TOKEN))
    ]
    house.store.transact(lambda c: c.execute(credentials.insert(), rows))
    return _alive(gate, made.wrap, [str(row["accessor"]) for row in rows])


def _alive(gate: Gate, wrap: Wrap, accessors: Sequence[str]) -> str:
    """A drill that kills what was dead already shows nothing. Raises RunFailed."""
    if not gate.house.vault.wrap_lives(wrap.token) or any(map(gate.house.vault.is_dead, accessors)):
        raise RunFailed("a credential of the drill was dead before it began", code="drill.unready")
    return wrap.token


def _killed(
    gate: Gate, drill: Drill, scope: str, runs: Sequence[str], wraps: Mapping[str, str]
) -> dict[str, Any]:
    house, began = gate.house, time.monotonic()
    accessors = [
        accessor
        for run in runs
        for accessor in house.store.read(lambda c, r=run: chronicle.accessors(c, r))  # type: ignore[misc]
    ]
    stopped = kill.stop(house, scope, drill.by, kind=DRILL)
    name = str(stopped["id"])
    gone = _until(lambda: not {found.run for found in house.launcher.list()} & set(runs), began)
    settled = _until(lambda: all(_state(gate, run) in FINAL for run in runs), began)
    dead = sum(house.vault.is_dead(accessor) for accessor in accessors)
    denied = sum(not house.vault.wrap_lives(wrap) for wrap in wraps.values())
    times = {
        "state": _spread([step["ms"] for step in stopped["timeline"] if step.get("step") == "state"][:1]),
        "containers_dead": _spread(_ms(stopped, "container")),
        "credentials_dead": _spread(_ms(stopped, "credential")),
    }
    report = {
        "incident": name,
        "scope": scope,
        "runs": len(runs),
        "times_ms": {**times, "containers_removed": gone, "settled": settled},
        "replayed": {
            "accessors": len(accessors),
            "dead": dead,
            "wraps": len(wraps),
            "denied": denied,
        },
        "outstanding": house.store.read(lambda c: incident.shown(c, name))["outstanding"],
        "timeline": stopped["timeline"],
    }
    report["faults"] = list(_faults(report))
    report["holds"] = not report["faults"]
    keep = (
        incidents.update().where(incidents.c.id == name).values(detail={"drill": drill.id, "report": report})
    )
    house.store.transact(lambda c: c.execute(keep))
    incident.resume(house, name, drill.by)
    return report


def _faults(report: Mapping[str, Any]) -> list[str]:
    """What the switch promises and this drill did not show."""
    times, shown, runs = report["times_ms"], report["replayed"], report["runs"]
    found = []
    if times["containers_dead"]["count"] != runs or times["containers_dead"]["max"] > CONTAINERS_MS:
        found.append(f"not every container was dead within {CONTAINERS_MS} ms")
    if times["credentials_dead"]["count"] < 2 * runs or times["credentials_dead"]["p99"] > CREDENTIALS_P99_MS:
        found.append(f"not every credential was proved dead within {CREDENTIALS_P99_MS} ms")
    if shown["dead"] != shown["accessors"] or shown["denied"] != shown["wraps"]:
        found.append("an old credential was not refused")
    if times["containers_removed"] is None or times["settled"] is None:
        found.append("not every run was settled")
    if report["outstanding"]:
        found.append(f"{len(report['outstanding'])} things are still owed")
    return found


def _ms(stopped: Mapping[str, Any], step: str) -> list[int]:
    steps = stopped["timeline"]
    return [int(one["ms"]) for one in steps if one.get("step") == step and not one.get("failed")]


def _spread(found: Sequence[int]) -> dict[str, int]:
    """Nearest-rank percentiles in milliseconds."""
    ranked = sorted(found)
    if not ranked:
        return {"count": 0, "p50": 0, "p99": 0, "max": 0}
    p50, p99 = (ranked[math.ceil(share * len(ranked)) - 1] for share in (0.5, 0.99))
    return {"count": len(ranked), "p50": p50, "p99": p99, "max": ranked[-1]}


def _until(true: Callable[[], bool], began: float) -> int | None:
    """Milliseconds since ``began`` until it is true; None when it was not in time."""
    deadline = time.monotonic() + SETTLE_S
    while not true():
        if time.monotonic() > deadline:
            return None
        time.sleep(0.1)
    return round((time.monotonic() - began) * 1000)


def _state(gate: Gate, run: str) -> RunState:
    asked = sa.select(runs_.c.state).where(runs_.c.id == run)
    return RunState(gate.house.store.read(lambda c: c.execute(asked).scalar_one()))
