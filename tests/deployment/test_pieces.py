"""Locks, settings, ports, rooms, the board: the small things that `up` and `down` rest on."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path

import pytest

from sandbox.deployment import containers, layout, requirements, users
from sandbox.deployment.board import Board, read
from sandbox.deployment.files import write_json
from sandbox.deployment.locks import holder, only_one
from sandbox.deployment.places import Places
from sandbox.deployment.settings import Settings, chosen, free_port, require_free
from sandbox.errors import Conflict, EngineError, SandboxError, Unreachable, Usage


@pytest.fixture
def places(tmp_path: Path) -> Places:
    places = Places(tmp_path / "s")
    places.run.mkdir(parents=True)
    return places


def test_only_one_holds_a_lock_and_the_other_is_told_who(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    assert holder(lock) == 0
    with only_one(lock, "another `sandbox up`"):
        assert holder(lock) == os.getpid()
        with pytest.raises(Conflict, match=f"pid {os.getpid()}"), only_one(lock, "another `sandbox up`"):
            pass
    assert holder(lock) == 0


def test_a_taken_port_is_named_with_the_option_that_changes_it() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(Unreachable, match=f"port {port} for the web pages") as caught:
            require_free(Settings(vault_port=free_port(), web_port=port))
    assert caught.value.code == "port.taken" and "--web-port" in caught.value.mend


def test_chosen_ports_are_kept_and_any_free_one_is_found_once() -> None:
    first = chosen(Settings(), vault_port=0, web_port=0)
    assert chosen(first, vault_port=0, web_port=0) == first
    assert chosen(first, vault_port=None, web_port=None) == first
    assert chosen(first, vault_port=9100, web_port=None).cluster_port == 9101


def test_ports_must_differ() -> None:
    with pytest.raises(Usage, match="must differ"):
        chosen(Settings(), vault_port=8300, web_port=8300)


def test_settings_come_back(places: Places) -> None:
    Settings(vault_port=9000, engine="docker").write(places)
    assert Settings.read(places) == Settings(vault_port=9000, engine="docker")


def test_a_missing_engine_names_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda name: None if name == "podman" else name)
    with pytest.raises(EngineError, match="no podman") as caught:
        requirements.require(Settings())
    assert caught.value.mend == "apt-get install podman" and caught.value.exit_code == 5


def test_rooms_are_made_once_and_again_and_mended(places: Places) -> None:
    rooms = layout.rooms(places, users.one_user(os.getuid(), os.getgid()))
    layout.make(rooms)
    layout.make(rooms)
    assert layout.wrong(rooms) == []
    places.gate_private.chmod(0o755)
    assert layout.wrong(rooms) == [f"{places.gate_private} has mode 755, not 700"]
    layout.make(rooms)
    assert layout.wrong(rooms) == []


def test_a_link_in_place_of_a_room_is_not_followed(places: Places, tmp_path: Path) -> None:
    places.gate.symlink_to(tmp_path)
    with pytest.raises(OSError):
        layout.make(layout.rooms(places, users.one_user(os.getuid(), os.getgid())))


def test_only_two_rooms_let_the_users_group_pass_and_none_lets_it_list(places: Places) -> None:
    account = users.Account
    accounts = users.Accounts(
        account("root", 0, 0),
        account("v", 1, 1),
        account("g", 2, 2),
        account("c", 3, 3),
        users_gid=9,
        separate=True,
    )
    rooms = layout.rooms(places, accounts)
    passable = [room for room in rooms if room.gid == 9]
    assert [room.path for room in passable] == [places.gate, places.custodian]
    assert all(room.mode & 0o060 == 0 for room in passable)
    open_to_all = [room.path for room in rooms if room.mode & 0o007]
    assert open_to_all == [places.state, places.app]


def test_the_gates_user_reads_what_the_custodian_publishes_and_writes_none_of_it(places: Places) -> None:
    account = users.Account
    accounts = users.Accounts(
        account("root", 0, 0),
        account("v", 1, 1),
        account("g", 2, 2),
        account("c", 3, 3),
        users_gid=9,
        separate=True,
    )
    for room in layout.rooms(places, accounts):
        if room.path in (places.sealed, places.registers, places.agreements):
            assert (room.uid, room.gid, room.mode) == (3, 2, 0o2750)


def test_without_root_one_user_runs_all_and_the_note_says_so() -> None:
    accounts = users.one_user(1000, 1000)
    assert not accounts.separate and accounts.gate == accounts.custodian == accounts.vault
    assert "as root" in users.ALONE


def test_a_service_user_has_no_shell_and_no_home() -> None:
    command = users.useradd("sandbox-gate")
    assert "/usr/sbin/nologin" in command and "--no-create-home" in command


def test_the_board_tells_steps_and_why_it_failed(places: Places) -> None:
    board = Board(places, pid=7, started_at=0.0)
    board.begin("vault")
    board.finish("https://127.0.0.1:1")
    board.begin("image")
    board.fail(SandboxError("no base image", code="image.failed", mend="mend it"))
    seen = read(places)
    assert [(step["name"], step["state"]) for step in seen["steps"]] == [
        ("vault", "done"),
        ("image", "failed"),
    ]
    assert seen["failed"] == {
        "code": "image.failed",
        "message": "no base image",
        "mend": "mend it",
        "exit": "1",
    }


def test_json_is_replaced_whole_and_never_through_a_link(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"x": 1}, 0o600)
    assert json.loads((tmp_path / "a.json").read_text()) == {"x": 1}
    assert (tmp_path / "a.json").stat().st_mode & 0o777 == 0o600
    (tmp_path / "target").write_text("kept")
    (tmp_path / ".a.json.new").symlink_to(tmp_path / "target")
    write_json(tmp_path / "a.json", {"x": 2})
    assert (tmp_path / "target").read_text() == "kept"


@pytest.mark.parametrize(
    ("engine", "published", "asked"),
    [
        ("podman", "3" * 64, [["podman", "rmi", "3" * 64]]),
        ("docker", "3" * 64, [["docker", "rmi", f"sha256:{'3' * 64}"]]),
        ("podman", "--all", []),
        ("podman", None, []),
    ],
)
def test_a_purge_forgets_this_installations_image_and_no_other(
    places: Places,
    monkeypatch: pytest.MonkeyPatch,
    engine: str,
    published: str | None,
    asked: list[list[str]],
) -> None:
    places.app.mkdir(parents=True)
    write_json(places.public, {"image_id": published} if published else {})
    commands: list[list[str]] = []
    monkeypatch.setattr(containers, "_ask", lambda _, command: commands.append(command))
    containers.forget_image(places, Settings(engine=engine))
    assert commands == asked
