"""MLflow's own pages: how its server is started on a Unix socket, with nothing dangerous beside it.

The socket lies in a directory of the gate's own (0700): MLflow makes the socket itself 0666. People reach it through
the gate's read-only proxy, which allows paths and methods by name. Artifacts are not served at all: sealed bytes stay
with the gate. The server answers only where the request says ``Host: localhost``.
"""

from __future__ import annotations

from pathlib import Path

from sandbox.tracking.client import SWITCHES


def arguments(
    python: Path, uri: str, socket: Path, artifacts: Path, prefix: str = "/mlflow"
) -> tuple[str, ...]:
    """argv of the server; one worker, no TCP port, no artifact proxy."""
    return (
        *(str(python), "-m", "mlflow", "server", "--workers", "1"),
        *("--backend-store-uri", uri, "--registry-store-uri", uri),
        *("--no-serve-artifacts", "--default-artifact-root", str(artifacts)),
        *("--static-prefix", prefix, "--uvicorn-opts", f"--uds {socket} --log-level warning"),
    )


def environment() -> dict[str, str]:
    """What the server must find in its environment: telemetry, jobs and the gateway are off."""
    return dict(SWITCHES)
