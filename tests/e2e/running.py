"""Runs of the end-to-end tests: asked for by the real command line, looked at as root looks at them."""

from __future__ import annotations

import os
import re
import sqlite3
import subprocess
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandbox import client
from sandbox.client import Login
from sandbox.demo.attempts import AUDITOR, ENGINEER
from sandbox.demo.story import Stage
from tests.e2e.conftest import Stack

#: A Vault token, or a data key as Vault wraps it.
SECRET = re.compile(
    rb"hv[sb]\.[A-Za-z0-9_-]{20,}|\b[sb]\.(?=[A-Za-z]*\d)[A-Za-z0-9]{24}\b|vault:v\d+:[A-Za-z0-9+/]{20,}"
)
QUIET = {"attempts": False, "steps": 2}


@dataclass(frozen=True)
class Runs:
    """Starts runs of ``probe`` and follows them in the gate's own database."""

    stack: Stack
    stage: Stage

    def start(self, name: str = "probe", person: str = ENGINEER, **parameters: Any) -> str:
        """Ask for a run and return as soon as it is admitted; its id."""
        changes = {"parameters": {**QUIET, **parameters}} if name == "probe" else {}
        path = self.stage.config(name, **changes)
        recipes = str(self.stage.source / "recipes")
        answer = self.stack.must(person, "run", str(path), "--recipes", recipes, "--detach")
        return str(answer.last["run"])

    def row(self, run: str) -> dict[str, Any]:
        """The run as the gate's database has it this instant."""
        return self._ask("SELECT * FROM runs WHERE id = ?", run)[0]

    def artifacts(self, run: str) -> list[dict[str, Any]]:
        """What the run has sent, as the gate's database has it this instant."""
        return self._ask("SELECT * FROM artifacts WHERE run = ?", run)

    def until(self, run: str, *states: str, limit_s: float = 180.0) -> dict[str, Any]:
        """The row as soon as the run is in one of ``states``."""
        end = time.monotonic() + limit_s
        while time.monotonic() < end:
            row = self.row(run)
            if row["state"] in states:
                return row
            time.sleep(0.002)
        raise AssertionError(f"{run} is still {row['state']}")

    def _ask(self, words: str, run: str) -> list[dict[str, Any]]:
        database = f"file:{self.stack.places.gate_private / 'gate.db'}?mode=ro"
        with closing(sqlite3.connect(database, uri=True, timeout=10)) as connection:
            connection.row_factory = sqlite3.Row
            return [dict(row) for row in connection.execute(words, (run,))]

    def settled(self, run: str, limit_s: float = 300.0) -> dict[str, Any]:
        """What the gate says of the run once it is settled."""
        self.until(run, "settled", limit_s=limit_s)
        return self.show(run)

    def show(self, run: str) -> dict[str, Any]:
        return self.stack.must(ENGINEER, "runs", "show", run).last

    def finished(self, name: str = "probe", **parameters: Any) -> dict[str, Any]:
        shown = self.settled(self.start(name, **parameters))
        assert shown["outcome"] == "finished", shown["failure"]
        return shown

    def incidents(self, run: str) -> list[str]:
        """The kinds of this run's incidents."""
        found = self.stack.must(AUDITOR, "incident", "list").lines
        return [str(entry["kind"]) for entry in found if entry.get("run") == run]

    def broken(self) -> list[str]:
        """GATE.md's invariants that do not hold."""
        state = self.stack.house.state
        bearer = Login.at(state, {"XDG_RUNTIME_DIR": str(self.stack.house.work / "people" / AUDITOR)})
        with client.gate(state, bearer=bearer) as gate:
            return [str(fault) for fault in gate.get("/v1/invariants")["broken"]]

    def leaves_nothing(self, shown: dict[str, Any]) -> None:
        """No live credential, no container, no door, and everything that must agree agrees."""
        assert [c["kind"] for c in shown["credentials"] if not c["dead_at"]] == []
        assert containers(str(shown["id"])) == []
        assert not (self.stack.places.doors / str(shown["id"])).exists()
        assert self.broken() == []
        end = time.monotonic() + 60
        verified = self.stack.ask(AUDITOR, "audit", "verify")
        while verified.code != 0 and time.monotonic() < end:  # MLflow is told of marks beside everything else
            time.sleep(0.5)
            verified = self.stack.ask(AUDITOR, "audit", "verify")
        assert verified.code == 0, verified.text


def containers(run: str) -> list[str]:
    """The engine's containers of this run, dead ones too."""
    asked = ["podman", "ps", "--all", "--quiet", "--filter", f"label=voice-sandbox.run={run}"]
    return subprocess.run(asked, capture_output=True, text=True, check=True).stdout.split()


def children(pid: int) -> list[int]:
    """Processes whose parent is ``pid``."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                status = (entry / "status").read_text()
            except OSError:
                continue
            if f"\nPPid:\t{pid}\n" in status:
                found.append(int(entry.name))
    return found


def secrets_in(pid: int) -> list[bytes]:
    """Everything in a process's writable memory and environment that reads like a token or a wrapped key."""
    found = SECRET.findall(Path(f"/proc/{pid}/environ").read_bytes())
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb") as memory:
        for line in maps:
            span, mode, *_ = line.split()
            if mode.startswith("rw"):
                start, end = (int(x, 16) for x in span.split("-"))
                try:
                    found += SECRET.findall(os.pread(memory.fileno(), end - start, start))
                except OSError:
                    continue
    return found
