"""No host program and no keeper ever loads torch, TTS, trainer or opacus: seen in ``sys.modules``."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture.house import ROOT, contract, modules_of

HEAVY = contract("no-torch")["forbidden_modules"]
HOST = contract("host-half")["source_modules"]
SHARED = [
    "sandbox.errors",
    "sandbox.statements",
    "sandbox.records",
    "sandbox.runs",
    "sandbox.frames",
    "sandbox.memory",
    "sandbox.sealing",
]

LOOK = """
import importlib, sys
for name in sys.argv[2].split(","):
    importlib.import_module(name)
print(*sorted({name.partition(".")[0] for name in sys.modules} & set(sys.argv[1].split(","))))
"""


def loaded(modules: list[str], among: list[str], tmp_path: Path) -> set[str]:
    """Which of ``among`` a fresh interpreter has loaded after importing ``modules``; stand-ins make each importable."""
    for name in HEAVY:
        (tmp_path / name).mkdir(exist_ok=True)
        (tmp_path / name / "__init__.py").touch()
    env = {
        "PYTHONPATH": f"{ROOT}:{tmp_path}",
        "PATH": "/usr/bin:/bin",
        "HOME": str(tmp_path),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    command = [sys.executable, "-c", LOOK, ",".join(among), ",".join(modules)]
    done = subprocess.run(command, env=env, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return set(done.stdout.split())


@pytest.mark.parametrize("package", HOST)
def test_a_host_program_loads_no_torch(package: str, tmp_path: Path) -> None:
    # Alembic runs env.py itself, inside a migration.
    modules = [name for name in modules_of(package) if not name.endswith("migrations.env")]
    assert loaded(modules, HEAVY, tmp_path) == set()


def test_the_keeper_loads_no_torch(tmp_path: Path) -> None:
    keeper = [
        name
        for package in ["sandbox.runner", *SHARED, "sandbox.vault.session"]
        for name in modules_of(package)
    ]
    assert loaded(keeper, HEAVY, tmp_path) == set()


def test_the_keeper_loads_nothing_of_the_host(tmp_path: Path) -> None:
    host = [
        "mlflow",
        "starlette",
        "uvicorn",
        "sqlalchemy",
        "pydantic",
        "click",
        "rich",
        "dp_accounting",
        "jwt",
    ]
    assert loaded(modules_of("sandbox.runner"), host, tmp_path) == set()


def test_the_look_itself_sees_torch(tmp_path: Path) -> None:
    assert loaded(["torch", "opacus"], HEAVY, tmp_path) == {"torch", "opacus"}
