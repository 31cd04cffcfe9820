"""What runs is described by paths and numbers only; every service starts with a fresh login and nothing of ours."""

from __future__ import annotations

from pathlib import Path

import pytest

from sandbox.deployment import programs, users, vault_login
from sandbox.deployment.places import Places
from sandbox.deployment.settings import Settings
from sandbox.deployment.supervision import Program
from sandbox.memory import OVERWRITE_FREED

ACCOUNTS = users.Accounts(
    users.Account("root", 0, 0),
    users.Account("sandbox-vault", 11, 11),
    users.Account("sandbox-gate", 12, 12, (9,)),
    users.Account("sandbox-custodian", 13, 13, (9,)),
    users_gid=9,
    separate=True,
)
PLACES = Places(Path("/var/lib/voice-sandbox"))


def all_programs() -> list[Program]:
    return [
        programs.launcher(PLACES, ACCOUNTS),
        programs.custodian(PLACES, ACCOUNTS, Settings()),
        programs.gate(PLACES, ACCOUNTS, Settings()),
        programs.mlflow(PLACES, ACCOUNTS),
    ]


def test_each_runs_as_its_own_user() -> None:
    users = {program.name: program.account.uid for program in all_programs()}
    assert users == {"launcher": 0, "custodian": 13, "gate": 12, "mlflow": 12}


def test_all_run_from_the_installation_and_see_a_made_up_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAULT_TOKEN", "hvs.secret")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    for program in all_programs():
        assert program.argv[0] == str(PLACES.python)
        assert program.env["PYTHONPATH"] == str(PLACES.app)
        assert "secret" not in str(program.env) + str(program.argv)


@pytest.mark.parametrize(("hand", "uid"), [("gate", 12), ("custodian", 13)])
def test_a_fresh_login_is_left_before_every_start(
    hand: str, uid: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    left: list[tuple[object, ...]] = []
    monkeypatch.setattr(vault_login, "write_login", lambda *given: left.append(given))
    program = next(program for program in all_programs() if program.name == hand)
    program.before()
    program.before()
    assert [given[3:] for given in left] == [(hand, PLACES.wrap(hand), uid)] * 2


def test_the_gate_waits_for_what_it_needs() -> None:
    needs = {program.name: program.needs for program in all_programs()}
    assert needs["gate"] == ("vault", "launcher", "custodian") and needs["custodian"] == ("vault",)


def test_whoever_opens_recordings_overwrites_the_memory_that_it_frees() -> None:
    custodian = all_programs()[1]
    assert {**custodian.env, **OVERWRITE_FREED} == custodian.env


def test_only_the_gates_uid_may_speak_to_the_launcher() -> None:
    launcher = all_programs()[0]
    assert launcher.argv[-2:] == ("--owner-uid", "12")


def test_mlflow_listens_on_a_socket_in_the_gates_directory_and_serves_no_artifacts() -> None:
    argv = all_programs()[3].argv
    assert "--no-serve-artifacts" in argv and f"--uds {PLACES.mlflow_socket}" in argv[-1]


def test_the_first_login_moves_to_the_operator_and_a_link_is_not_followed(tmp_path: Path) -> None:
    places = Places(tmp_path)
    places.custodian_private.mkdir(parents=True)
    assert not programs.take_first_login(places)
    left = places.custodian_private / "first-login.json"
    left.symlink_to("/etc/shadow")
    assert not programs.take_first_login(places) and not places.first_login.exists()
    left.unlink()
    left.write_text('{"name": "a.approver.1", "password": "x"}')
    assert programs.take_first_login(places) and not left.exists()
    assert places.first_login.stat().st_mode & 0o777 == 0o600
