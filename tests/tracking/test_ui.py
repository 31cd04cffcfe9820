"""MLflow's real server, as it is started for people."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx
import pytest

from sandbox.tracking import ui


@pytest.fixture(scope="module")
def server(empty):
    """The socket of a running server; its folder is short because a socket's path must be."""
    with tempfile.TemporaryDirectory(prefix="vs") as name:
        folder = Path(name)
        shutil.copy(empty, folder / "mlflow.db")
        path = folder / "ui.sock"
        argv = ui.arguments(Path(sys.executable), f"sqlite:///{folder}/mlflow.db", path, folder / "artifacts")
        clean = {"PATH": os.environ["PATH"], "HOME": name, **ui.environment()}
        process = subprocess.Popen(
            argv,
            env=clean,
            cwd=folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            _await(path)
            with httpx.Client(
                transport=httpx.HTTPTransport(uds=str(path)), base_url="http://localhost"
            ) as http:
                yield http, process.pid
        finally:
            os.killpg(process.pid, 15)
            process.wait(20)


def test_the_pages_answer_on_the_socket_and_nothing_listens_on_a_port(server) -> None:
    http, pid = server
    assert http.post("/mlflow/api/2.0/mlflow/experiments/search", json={"max_results": 5}).status_code == 200
    listening = {
        line.split()[9]
        for line in Path("/proc/net/tcp").read_text().splitlines()[1:]
        if line.split()[3] == "0A"
    }
    assert not _sockets(pid) & listening


def test_artifacts_are_not_served(server) -> None:
    http, _ = server
    assert http.get("/mlflow/api/2.0/mlflow-artifacts/artifacts", params={"path": ""}).status_code >= 400


def test_everything_dangerous_is_off() -> None:
    off = {
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_ENABLE_AI_GATEWAY": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    assert off.items() <= ui.environment().items()


def _await(path: Path) -> None:
    for _ in range(600):
        with socket.socket(socket.AF_UNIX) as probe:
            if probe.connect_ex(str(path)) == 0:
                return
        time.sleep(0.2)
    pytest.fail("MLflow's server did not start")


def _sockets(leader: int) -> set[str]:
    """Inodes of every socket of the server's process group."""
    found = set()
    for entry in Path("/proc").iterdir():
        try:
            if not entry.name.isdigit() or os.getpgid(int(entry.name)) != leader:
                continue
            for file in (entry / "fd").iterdir():
                target = os.readlink(file)
                if target.startswith("socket:["):
                    found.add(target[8:-1])
        except OSError:
            continue
    return found
