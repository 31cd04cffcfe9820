"""An engine without containers: a "container" is a process that shows the keeper's command line and reads an order.

The state machine is the real one (found by name and by label, dead when killed), so the launcher is tested whole where
there is no engine.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from sandbox.isolation.spec import COMMAND, Spec

#: A shell takes ``-m`` as an option and the next word as its script: the keeper's command line, but our program.
KEEPER = """#!/bin/sh
order=$(cat)
case $order in fail) exit 7 ;; *) exit 0 ;; esac
"""
CLIENT = f"""
import os, pathlib, signal, sys
folder, verb, *words = pathlib.Path(sys.argv[1]), *sys.argv[2:]
def pids():
    found = {{}}
    for file in folder.glob("r-*"):
        try:
            found[file.name] = int(file.read_text())
        except FileNotFoundError:  # it has just ended
            pass
    return found
if verb == "run":
    run = words[0]
    child = os.fork()
    if child == 0:
        os.chdir(folder)
        os.execv("/bin/sh", {list(COMMAND)!r})
    (folder / f".{{run}}").write_text(str(child))
    (folder / f".{{run}}").rename(folder / run)
    status = os.waitpid(child, 0)[1]
    (folder / run).unlink(missing_ok=True)
    sys.exit(137 if os.WIFSIGNALED(status) else os.waitstatus_to_exitcode(status))
if verb == "inspect":
    print(*(f"id-{{run}} {{pid}}" for run, pid in pids().items() if run == words[0]))
if verb == "listing":
    sys.stdout.writelines(f"{{run}} id-{{run}}\\n" for run in pids())
if verb == "remove":
    for run, pid in pids().items():
        if f"id-{{run}}" == words[0]:
            os.kill(pid, signal.SIGKILL)
"""


@dataclass(frozen=True)
class StubEngine:
    """Keeps its containers' pids in ``folder``."""

    folder: Path
    name: str = "podman"

    @classmethod
    def make(cls, folder: Path) -> StubEngine:
        folder.mkdir()
        (folder / COMMAND[2]).write_text(KEEPER)
        return cls(folder)

    def _client(self, *words: str) -> list[str]:
        return [sys.executable, "-c", CLIENT, str(self.folder), *words]

    def run(self, spec: Spec, state: str) -> list[str]:
        return self._client("run", spec.run)

    def inspect(self, run: str) -> list[str]:
        return self._client("inspect", run)

    def listing(self, state: str) -> list[str]:
        return self._client("listing")

    def kill(self, container: str) -> list[str]:
        return self._client("remove", container)

    def remove(self, container: str) -> list[str]:
        return self._client("remove", container)
