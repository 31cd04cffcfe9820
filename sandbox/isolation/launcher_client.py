"""The gate's way to the launcher."""

from __future__ import annotations

import base64
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandbox.errors import EngineError, Refused, SandboxError, Unreachable, Usage
from sandbox.isolation.spec import Spec
from sandbox.isolation.wire import receive_line, send_line
from sandbox.runs import ExitClass

START_S = 60
QUICK_S = 20
_FAULTS: dict[int, type[SandboxError]] = {2: Usage, 3: Refused, 5: EngineError}


@dataclass(frozen=True)
class Started:
    """A container that runs: its id, and the pid of its first process on the host."""

    container_id: str
    pid: int
    engine: str


@dataclass(frozen=True)
class Found:
    """A container of this installation that the engine knows."""

    run: str
    container_id: str
    pid: int


class Launcher:
    """Every call may raise Unreachable (no launcher) or EngineError (the engine failed)."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def start(self, spec: Spec) -> Started:
        """Start the container of ``spec`` and answer once its first process is the keeper."""
        return Started(**self._ask({"do": "start", "spec": spec.to_json()}, START_S))

    def stdin(self, run: str, data: bytes) -> None:
        """Write the order to the first process, once; then its stdin is closed."""
        self._ask({"do": "stdin", "run": run, "data": base64.b64encode(data).decode()}, QUICK_S)

    def readback(self, run: str) -> Mapping[str, Any]:
        """Property -> value, from the kernel."""
        return dict(self._ask({"do": "readback", "run": run}, QUICK_S))

    def kill(self, run: str) -> None:
        """Return once no process of the run is left; a run that is not there is as good."""
        self._ask({"do": "kill", "run": run}, QUICK_S)

    def strike(self, runs: Sequence[str]) -> list[str]:
        """Kill the first process of each at once, without waiting for the engine; the runs that were not seen dead."""
        return [str(run) for run in self._ask({"do": "strike", "runs": list(runs)}, QUICK_S)["alive"]]

    def wait(self, run: str, timeout_s: float | None = None) -> ExitClass:
        """How it ended; ``gone`` when nobody saw it end.

        Raises:
            TimeoutError: it still runs.
        """
        return ExitClass(self._ask({"do": "wait", "run": run}, timeout_s)["exit"])

    def list(self) -> list[Found]:
        """Every container of this installation, dead or alive."""
        return [Found(**item) for item in self._ask({"do": "list"}, QUICK_S)["containers"]]

    def _ask(self, request: Mapping[str, Any], timeout_s: float | None) -> Any:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(timeout_s)
            try:
                connection.connect(str(self._path))
                send_line(connection, request)
                answer = receive_line(connection)
            except TimeoutError:
                raise TimeoutError(f"the launcher did not answer {request['do']} in time") from None
            except (OSError, SandboxError):
                raise Unreachable("the launcher does not answer", code="launcher.unreachable") from None
        fault = answer.get("fault")
        if fault is not None:
            kind = _FAULTS.get(int(fault.get("exit", 5)), EngineError)
            raise kind(str(fault["message"]), code=str(fault["code"]), mend=str(fault.get("mend", "")))
        return answer["ok"]
