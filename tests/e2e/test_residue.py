"""Nothing of a recording is left: after a run, after a container died in training, after its person was erased.

A canary (noise and words like no others) is sealed among real speech and given to a run. Then every place is searched,
and in every place where a test may write, a second canary is planted and must be found.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.demo.attempts import STEWARD
from sandbox.demo.story import AGREEMENT, CONSENT
from sandbox.isolation.profile import container_name
from sandbox.residue import Scan, draw, installation, scan
from sandbox.residue.canary import Canary
from sandbox.residue.places import storage
from tests.e2e.conftest import Stack
from tests.e2e.running import Runs, children

SUBJECT = "spk_cana1"
#: What only a scan as root reads all of.
pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="reads every user's files and memory")


@pytest.fixture(scope="module")
def canary(runs: Runs) -> Canary:
    """Sealed into ``digits``, as the recording of a person who consents."""
    found, folder = draw("canary"), runs.stage.work / "canary"
    folder.mkdir()
    found.write(folder / "canary.wav")
    listing = f"file,text,subject,language\ncanary.wav,{found.text},{SUBJECT},en\n"
    (folder / "metadata.csv").write_text(listing, encoding="utf-8")
    runs.stack.must(STEWARD, "consent", "give", SUBJECT, "--dataset", "digits", *CONSENT)
    runs.stack.must(
        STEWARD, "data", "seal", str(folder), "--dataset", "digits", "--agreement", AGREEMENT, "--add"
    )
    return found


def everywhere(runs: Runs, canary: Canary, skip: list[Path]) -> Scan:
    asked = installation(runs.stack.house.state, skip=[runs.stage.work, *skip])
    found = scan(asked, canary.needles())
    keep(found)
    return found


def keep(found: Scan) -> None:
    """The figures, for whoever asks for them: ``RESIDUE_FIGURES`` names a file."""
    if path := os.environ.get("RESIDUE_FIGURES"):
        with open(path, "a", encoding="utf-8") as file:
            file.write(json.dumps([vars(place) for place in found.places]) + "\n")


@pytest.fixture
def outside(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """What is the tests' own."""
    return [tmp_path_factory.getbasetemp().parent]


def test_after_a_run_nothing_is_left(runs: Runs, canary: Canary, outside: list[Path]) -> None:
    shown = runs.finished(steps=2)
    assert shown["metrics"]["utterances"][0]["value"] >= 32
    found = everywhere(runs, canary, outside)
    assert list(found.findings) == []
    searched = {place.place: place for place in found.places}
    for name in ("state", "databases", "Vault's storage", "MLflow's store", "image layers", "memory of services"):
        assert searched[name].bytes > 0, name
    assert [place.place for place in found.places if place.closed] == []
    assert found.bytes > 100_000_000


def test_after_a_container_was_killed_in_training_nothing_is_left(
    runs: Runs, canary: Canary, outside: list[Path]
) -> None:
    run = runs.start(steps=10_000, sleep_ms=50)
    row = runs.until(run, "training")
    keeper = int(row["pid"])
    (trainer,) = children(keeper)
    assert [Path(f"/proc/{pid}/coredump_filter").read_text().strip() for pid in (keeper, trainer)] == ["00000000"] * 2
    os.kill(keeper, signal.SIGKILL)
    runs.settled(run)
    assert list(everywhere(runs, canary, outside).findings) == []


def test_after_an_erasure_nothing_is_left(
    runs: Runs, canary: Canary, outside: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # certificates are written beside the caller
    runs.stack.must("a.approver.1", "erase", SUBJECT, "--dataset", "digits")
    assert list(everywhere(runs, canary, outside).findings) == []


def test_the_custodian_is_closed_to_other_programs_of_its_user(stack: Stack) -> None:
    pid = stack.until_ready("custodian")
    assert os.stat(f"/proc/{pid}/mem").st_uid == 0
    assert int(Path(f"/proc/{pid}/coredump_filter").read_text(), 16) == 0
    (allowed,) = re.findall(r"Max locked memory +(\S+)", Path(f"/proc/{pid}/limits").read_text())
    (locked,) = re.findall(r"VmLck:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    assert (int(locked) > 0) is (allowed == "unlimited")


def write_inside(run: str, path: str, data: bytes) -> None:
    """Write a file as the container's own user would."""
    code = f"import sys; open({path!r}, 'wb').write(sys.stdin.buffer.read())"
    command = ["podman", "exec", "--interactive", container_name(run), "/opt/venv/bin/python", "-c", code]
    subprocess.run(command, input=data, check=True)


@pytest.fixture
def planted(runs: Runs) -> Iterator[tuple[Canary, list[str]]]:
    """A canary in every place of a running installation where a file can be put, the container's tmpfs included."""
    canary, name = draw("planted"), f"planted-{secrets.token_hex(6)}"
    run = runs.start(steps=10_000, sleep_ms=100)
    runs.until(run, "training")
    places = runs.stack.places
    data = os.urandom(999) + canary.samples.tobytes() + canary.text.encode()
    files = {
        "state": places.custodian_private / name,
        "databases": places.gate_private / f"{name}.db",
        "Vault's storage": places.vault / name,
        "MLflow's store": places.mlflow / name,
        "logs and journals": places.logs / name,
        "temporary files": Path("/var/tmp") / name,
        "shared memory": Path("/dev/shm") / name,
        "image layers": storage("podman")[0] / name,
    }
    try:
        for path in files.values():
            path.write_bytes(data)
        write_inside(run, f"/tmp/{name}", data)  # goes with the container
        yield canary, [*files, "container tmpfs"]
    finally:
        for path in files.values():
            path.unlink(missing_ok=True)
        runs.stack.must("eng.li", "runs", "kill", run)
        runs.settled(run)


def test_the_scan_is_blind_in_no_place(
    runs: Runs, planted: tuple[Canary, list[str]], outside: list[Path]
) -> None:
    canary, places = planted
    found = everywhere(runs, canary, outside)
    assert [name for name in places if not found.found_in(name)] == []
