"""Set-up takes exactly the wheels that were asked for, and says in one line what it cannot do."""

from __future__ import annotations

import os
import subprocess
import zipfile
from pathlib import Path

from tests.architecture.house import ROOT


def run(script: str, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    env = {
        "PATH": os.environ["PATH"],
        "HOME": os.environ.get("HOME", "/"),
        "PIP_CONFIG_FILE": os.devnull,
        **environment,
    }
    return subprocess.run(
        ["sh", f"setup/{script}.sh", *words], cwd=ROOT, env=env, capture_output=True, text=True, check=False
    )


def wheel(folder: Path, name: str, version: str) -> Path:
    """The smallest wheel that pip accepts."""
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        info = f"{name}-{version}.dist-info"
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", "")
    return path


def test_a_torch_that_is_not_listed_stops_set_up_in_one_line(tmp_path: Path) -> None:
    house = tmp_path / "wheels"
    links = wheel(tmp_path / "links", "torch", "2.13.0").parent
    done = run(
        "wheels", "runner", VOICE_SANDBOX_WHEELS=str(house), PIP_NO_INDEX="1", PIP_FIND_LINKS=str(links)
    )
    assert done.returncode == 1
    assert done.stderr.splitlines()[1:] != []
    assert len(done.stderr.splitlines()) == 2
    assert "torch-2.13.0-py3-none-any.whl" in done.stderr
    assert "docker/torch.lock" in done.stderr
    assert not (house / "runner").exists()


def test_no_torch_at_all_is_said_too(tmp_path: Path) -> None:
    (tmp_path / "links").mkdir()
    links = str(tmp_path / "links")
    done = run(
        "wheels", "runner", VOICE_SANDBOX_WHEELS=str(tmp_path / "w"), PIP_NO_INDEX="1", PIP_FIND_LINKS=links
    )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("setup: no wheel of torch==2.13.0")


def test_an_unknown_wheelhouse_is_refused() -> None:
    done = run("wheels", "cellar")
    assert (done.returncode, done.stderr) == (1, "setup: no wheelhouse 'cellar': host, runner or cuda\n")


def test_without_root_one_line_says_what_to_install(tmp_path: Path) -> None:
    for name, body in {"dpkg-query": "exit 1", "id": "echo 1000"}.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{body}\n")
        (tmp_path / name).chmod(0o755)
    done = run("packages", PATH=f"{tmp_path}:{os.environ['PATH']}")
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "sudo apt-get install" in done.stderr
    assert " podman " in done.stderr
