"""Imports point down the list of layers; the contracts in ``pyproject.toml`` decide."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture.house import PACKAGE, ROOT, contract

LINT = [
    sys.executable,
    "-c",
    "from importlinter.cli import lint_imports_command; lint_imports_command()",
    "--no-cache",
]


def test_every_import_contract_is_kept() -> None:
    done = subprocess.run(LINT, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]


def test_every_name_in_the_package_has_its_layer() -> None:
    layers = contract("layers")
    assert layers["exhaustive"] is True
    listed = {name.strip(" ()") for layer in layers["layers"] for name in layer.split("|")}
    there = {path.stem for path in PACKAGE.glob("*.py")} | {
        path.parent.name for path in PACKAGE.glob("*/__init__.py")
    }
    assert there - {"__init__"} == listed


BROKEN = {
    "the host imports the container's half": ("gate", "import sandbox.training.loop"),
    "the keeper imports the host's half": ("runner", "import sandbox.vault.minting"),
    "the keeper imports torch": ("runner", "import torch"),
    "hvac outside vault": ("gate", "import hvac"),
    "mlflow outside tracking": ("gate", "import mlflow"),
    "opacus outside training": ("policy", "import opacus"),
    "the trainer knows a key": ("training", "import sandbox.sealing.records"),
    "the command line takes the gate's hand": ("cli", "import sandbox.vault.minting"),
    "deployment imports a service": ("deployment", "import sandbox.gate"),
    "vocabulary imports machinery": ("errors", "import sandbox.policy"),
}


@pytest.mark.parametrize(("package", "line"), BROKEN.values(), ids=BROKEN.keys())
def test_a_forbidden_import_is_found(package: str, line: str, tmp_path: Path) -> None:
    """Each contract is real: an import that it forbids makes the linter fail."""
    copy = tmp_path / "sandbox"
    for file in PACKAGE.rglob("*.py"):
        there = copy / file.relative_to(PACKAGE)
        there.parent.mkdir(parents=True, exist_ok=True)
        there.write_bytes(file.read_bytes())
    (tmp_path / "pyproject.toml").write_bytes((ROOT / "pyproject.toml").read_bytes())
    target = copy / f"{package}.py" if (copy / f"{package}.py").exists() else copy / package / "planted.py"
    with target.open("a") as out:
        out.write(f"\n{line}\n")
    done = subprocess.run(
        LINT, cwd=tmp_path, capture_output=True, text=True, check=False, env={"PYTHONPATH": str(tmp_path)}
    )
    assert done.returncode == 1
    assert "BROKEN" in done.stdout
