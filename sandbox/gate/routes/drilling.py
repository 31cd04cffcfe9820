"""The routes of the kill drill: begun by an operator, looked at until it is done. One at a time; its report stays."""

from __future__ import annotations

import threading
from dataclasses import asdict
from typing import Any

from sandbox.errors import Conflict, NotFound, SandboxError, Usage
from sandbox.gate.gate import Gate
from sandbox.gate.incidents import drill
from sandbox.gate.incidents.drill import RUNS, RUNS_MAX, Drill
from sandbox.gate.routes.standing import EVERYBODY, OPERATOR, require
from sandbox.runs import new_id
from sandbox.service import Call, Route, journal


class Drills:
    """The drills of this process."""

    def __init__(self, gate: Gate) -> None:
        self._gate, self._lock = gate, threading.Lock()
        self._known: dict[str, Drill] = {}

    def begin(self, call: Call) -> dict[str, Any]:
        require(self._gate.registers, call.caller.name, OPERATOR)
        count = call.body.get("runs", RUNS)
        if not isinstance(count, int) or isinstance(count, bool) or not 1 <= count <= RUNS_MAX:
            raise Usage(f"a drill has 1 to {RUNS_MAX} runs")
        with self._lock:
            if any(known.state in ("starting", "killing") for known in self._known.values()):
                raise Conflict("a drill is under way", code="drill.busy")
            made = Drill(new_id("k-"), call.caller.name, count)
            self._known[made.id] = made
        threading.Thread(target=self._perform, args=(made,), name=f"drill-{made.id}", daemon=True).start()
        return asdict(made)

    def show(self, call: Call) -> dict[str, Any]:
        """Raises NotFound: a restarted gate knows a drill by its incident only."""
        require(self._gate.registers, call.caller.name, *EVERYBODY)
        found = self._known.get(call.params["id"])
        if found is None:
            raise NotFound(f"there is no drill {call.params['id']}", code="drill.unknown")
        return asdict(found)

    def _perform(self, made: Drill) -> None:
        journal.say("drill.begun", drill=made.id, runs=made.runs, person=made.by)
        try:
            drill.perform(self._gate, made)
        except Exception as fault:  # noqa: BLE001 - the thread's last line
            journal.trouble("drill.failed", fault)
            code = fault.code if isinstance(fault, SandboxError) else "drill.broken"
            made.state, made.fault = "failed", code
        journal.say("drill.ended", drill=made.id, state=made.state)


def drilling(gate: Gate) -> list[Route]:
    drills = Drills(gate)
    return [Route("POST", "/v1/drills", drills.begin), Route("GET", "/v1/drills/{id}", drills.show)]
