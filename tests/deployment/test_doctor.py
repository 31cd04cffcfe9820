"""The doctor names what is wrong with its mend, and never ends at the first fault."""

from __future__ import annotations

import os
import subprocess
from collections import namedtuple
from pathlib import Path

import pytest

from sandbox.deployment import containers, doctor, layout, users
from sandbox.deployment.containers import Live
from sandbox.deployment.doctor import Finding, examine
from sandbox.deployment.places import Places


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Places:
    """A state that is laid out, nothing running; an engine that answers and has no container."""
    monkeypatch.setattr(users, "present", lambda: users.one_user(os.getuid(), os.getgid()))
    monkeypatch.setattr(doctor, "_ask", lambda command: subprocess.CompletedProcess(command, 0, "", ""))
    monkeypatch.setattr(containers, "live", lambda *_: [])
    monkeypatch.setattr("shutil.which", lambda name: name)
    places = Places(tmp_path / "s")
    layout.make(layout.rooms(places, users.one_user(os.getuid(), os.getgid())))
    return places


def bad(found: list[Finding]) -> dict[str, Finding]:
    return {finding.check: finding for finding in found if finding.level == "bad"}


def test_a_sound_machine_has_nothing_to_mend(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "taken", lambda port: False)
    assert bad(examine(places)) == {}


SWAP = {
    "a disk": ("/dev/sda2 partition", False, True),
    "a disk, and locked memory": ("/dev/sda2 partition", True, False),
    "compressed memory": ("/dev/zram0 partition", False, False),
    "none": ("", False, False),
}


@pytest.mark.parametrize(("swap", "locked", "told"), SWAP.values(), ids=SWAP)
def test_swap_is_told_while_the_custodian_is_not_out_of_it(
    places: Places, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, swap: str, locked: bool, told: bool
) -> None:
    (tmp_path / "swaps").write_text(f"Filename Type Size Used Priority\n{swap}\n")
    monkeypatch.setattr(doctor, "_locked", lambda pid: locked)
    found = list(doctor._swap(places, tmp_path / "swaps"))
    assert [finding.level for finding in found] == ["note"] * told
    assert not told or "/dev/sda2" in found[0].says


def test_a_taken_port_is_found_before_up(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "taken", lambda port: port == 8200)
    assert bad(examine(places))["ports"].mend == "sandbox up --vault-port 0"


def test_a_missing_program_names_its_package(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda name: None if name == "conmon" else name)
    assert bad(examine(places))["machine"].mend == "apt-get install conmon"


def test_an_open_private_room_is_found(places: Places) -> None:
    places.vault.chmod(0o755)
    assert "mode 755, not 700" in bad(examine(places))["permissions"].says


def test_before_the_first_up_no_engine_is_asked_for_containers(
    places: Places, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(containers, "live", lambda *_: pytest.fail("asked"))
    assert "engine" not in bad(examine(Places(tmp_path / "none")))


def test_containers_without_a_gate_are_found(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(containers, "live", lambda *_: [Live("r-7f3k9w", "9a1c")])
    assert "r-7f3k9w" in bad(examine(places))["containers"].says


def test_a_full_disk_is_found(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage(10 << 30, 9 << 30, 1 << 30))
    assert "revocation" in bad(examine(places))["disk"].mend


def test_an_engine_that_does_not_answer_is_found(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        doctor, "_ask", lambda command: subprocess.CompletedProcess(command, 125, "", "Error: no cgroup\n")
    )
    assert "no cgroup" in bad(examine(places))["engine"].says


def test_a_check_that_fails_is_a_finding_and_the_others_go_on(
    places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hang(command: list[str]) -> subprocess.CompletedProcess[str]:
        raise subprocess.TimeoutExpired(command, 30)

    monkeypatch.setattr(doctor, "_ask", hang)
    found = examine(places)
    assert "could not be checked" in bad(found)["engine"].says
    assert any(finding.check == "disk" for finding in found)


def test_a_program_that_fails_is_quoted_not_its_command_line(
    places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> list[Live]:
        raise subprocess.CalledProcessError(
            125, ["podman", "ps", "--filter=label=x"], "", "Error: no space\n"
        )

    monkeypatch.setattr(containers, "live", fail)
    says = bad(examine(places))["engine"].says
    assert says == "could not be checked: podman ps ended with 125: Error: no space"
