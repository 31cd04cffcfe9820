"""The operator's daemon: brings an installation up step by step, keeps it up, takes it down in order.

    python -m sandbox.deployment.supervisor --state /var/lib/voice-sandbox

1. Vault starts and unseals itself.   2. Once: bootstrap.   3. The runner image, keyed by its inputs.
4. Launcher, custodian, gate, MLflow's pages; gate and custodian get a fresh wrapped secret-id before **each** start.
Every step may be cut off at any line and is made again by the next start. SIGTERM takes all down in reverse order.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType

from sandbox.deployment import programs
from sandbox.deployment.board import Board
from sandbox.deployment.layout import make, rooms
from sandbox.deployment.locks import only_one
from sandbox.deployment.places import Places
from sandbox.deployment.settings import Settings
from sandbox.deployment.supervision import Child, Program, State
from sandbox.deployment.users import Accounts, ensure
from sandbox.errors import SandboxError, Unreachable
from sandbox.memory import allow_locked_memory, empty_core_dumps

_TICK_S = 0.1
#: Seconds until everything has answered once; a gate that migrates a large database needs some.
COME_UP_S = 120.0


class Stopped(BaseException):
    """SIGTERM or SIGINT came: whatever is under way ends here."""


class Supervisor:
    """The children and the loop. Single-threaded."""

    def __init__(self, board: Board, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self.board = board
        self.children: dict[str, Child] = {}
        self._sleep = sleep

    def add(self, program: Program) -> None:
        self.children[program.name] = Child(program)

    def tick(self) -> None:
        """One look at every child, and the board brought up to date."""
        now = time.monotonic()
        for child in self.children.values():
            ready = all(self.children[name].state is State.READY for name in child.program.needs)
            child.step(now, ready)
        self.board.services = {name: child.report() for name, child in self.children.items()}
        self.board.post()

    def until_ready(self, *names: str, limit_s: float = COME_UP_S) -> None:
        """Run the loop until the named children are ready. Raises Unreachable, with the last fault, when one is not."""
        end = time.monotonic() + limit_s
        while True:
            self.tick()
            late = [name for name in names if self.children[name].state is not State.READY]
            if not late:
                return
            child = self.children[late[0]]
            if time.monotonic() > end or child.restarts > 6:
                raise Unreachable(
                    f"{late[0]} does not come up: {child.fault or 'no answer'}",
                    code=f"{late[0]}.down",
                    mend=f"read {child.program.log}",
                )
            self._sleep(_TICK_S)

    def forever(self) -> None:
        while True:
            self.tick()
            self._sleep(_TICK_S)

    def stop(self) -> None:
        """The last started first: nothing loses what it needs while it still works."""
        for child in reversed(self.children.values()):
            child.stop()
            self.board.services[child.program.name] = child.report()
            self.board.post()


def bring_up(supervisor: Supervisor, places: Places, accounts: Accounts, settings: Settings) -> None:
    """All steps; returns when everything has answered. Raises SandboxError."""
    board = supervisor.board
    board.begin("vault")
    supervisor.add(programs.vault(places, accounts, settings))
    supervisor.until_ready("vault")
    board.finish(f"https://127.0.0.1:{settings.vault_port}")

    board.begin("bootstrap")
    board.finish(programs.bootstrap(places, accounts, settings))

    board.begin("image")
    board.finish(programs.image(places, settings, board.note))

    board.begin("services")
    services = programs.services(places, accounts, settings)
    for program in services:
        supervisor.add(program)
    supervisor.until_ready(*(program.name for program in services))
    programs.take_first_login(places)
    board.finish()
    board.phase = "up"
    board.post()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m sandbox.deployment.supervisor")
    parser.add_argument("--state", type=Path, required=True)
    places = Places.at(parser.parse_args().state)
    signal.signal(signal.SIGTERM, _stop)
    signal.signal(signal.SIGINT, _stop)
    try:
        empty_core_dumps()  # and so for every child, containers of Podman included
        allow_locked_memory()  # a container has a limit of its own: none
        accounts = ensure()
        make(rooms(places, accounts))
        with only_one(places.supervisor_lock, "a supervisor"):
            return _serve(places, accounts)
    except Stopped:
        return 0
    except SandboxError as fault:
        sys.stderr.write(f"{fault.code}: {fault.message}\n")
        return fault.exit_code


def _serve(places: Places, accounts: Accounts) -> int:
    board = Board(places, os.getpid(), time.time())
    supervisor = Supervisor(board)
    try:
        bring_up(supervisor, places, accounts, Settings.read(places))
        supervisor.forever()
    except Stopped:
        board.phase = "going down"
    except SandboxError as fault:
        board.fail(fault)
    except Exception as fault:  # a fault of ours: say its class and place, take everything down
        board.fail(SandboxError(f"the supervisor failed: {type(fault).__name__}: {fault}"))
        raise
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        supervisor.stop()
        board.phase = "failed" if board.failed else "down"
        board.post()
    return int(board.failed.get("exit", 0))


def _stop(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - a signal handler's signature
    raise Stopped


if __name__ == "__main__":
    sys.exit(main())
