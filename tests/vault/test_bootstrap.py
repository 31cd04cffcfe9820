"""Setting Vault up: once, to the end, however often it is killed on the way."""

from __future__ import annotations

import contextlib
import json
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sandbox.deployment import vault_bootstrap, vault_journal
from sandbox.deployment.vault_bootstrap import adopt, bootstrap, refresh
from sandbox.deployment.vault_journal import Journal
from sandbox.deployment.vault_login import write_login
from sandbox.deployment.vault_server import start_server, stop
from sandbox.errors import CredentialError, Unreachable
from sandbox.vault.http import Vault
from sandbox.vault.minting import Minting
from tests.vault.plugin import RealVault, place

pytestmark = pytest.mark.needs_vault


class Killed(BaseException):
    """The process ends here."""


class Reaper:
    """Kills right after the n-th effect: something written to Vault or to disk, and nothing remembered of it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.left = 0
        monkeypatch.setattr(Vault, "write", self.after(Vault.write))
        for module in (vault_bootstrap, vault_journal):
            monkeypatch.setattr(module, "replace_file", self.after(module.replace_file))

    def after(self, effect: Callable[..., Any]) -> Callable[..., Any]:
        def done(*given: Any, **more: Any) -> Any:
            answer = effect(*given, **more)
            self.left -= 1
            if self.left <= 0 and given[1:2] != ("sys/init",):
                raise Killed
            return answer

        return done


@pytest.fixture
def empty_server(tmp_path: Path) -> Iterator[Any]:
    server = place(tmp_path)
    process = start_server(server, tmp_path / "vault.log")
    yield server
    stop(process)


def test_killed_after_every_single_effect_it_is_set_up_in_the_end(
    empty_server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = (empty_server.addr, empty_server.ca, empty_server.directory, empty_server.templates)
    killed: list[str] = []  # the stage that each death left behind
    with monkeypatch.context() as patched:
        reaper = Reaper(patched)
        while Journal(empty_server.directory).stage != "done":
            reaper.left = max(1, killed.count(Journal(empty_server.directory).stage))
            with contextlib.suppress(Killed):
                bootstrap(*given)
            killed.append(Journal(empty_server.directory).stage)
    outcome = bootstrap(*given)
    assert set(killed) == {"initialising", "configuring", "configured", "done"}
    assert len(killed) > 20
    assert outcome == bootstrap(*given)
    assert outcome.current
    held = json.loads((empty_server.directory / "recovery.json").read_bytes())
    assert list(held) == ["recovery_shares"]
    assert len(held["recovery_shares"]) == 3


def test_nothing_that_it_leaves_is_readable_by_others(real_vault: RealVault) -> None:
    found = [path for path in real_vault.server.directory.rglob("*") if "raft" not in path.parts]
    assert {"supervisor.json", "recovery.json", "bootstrap.json", "server.key", "1.key"} <= {
        p.name for p in found
    }
    for path in found:
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


def test_the_root_token_is_dead_and_written_nowhere(real_vault: RealVault) -> None:
    assert not Journal(real_vault.server.directory).keeps_root


def test_a_vault_that_somebody_else_set_up_is_left_alone(real_vault: RealVault, tmp_path: Path) -> None:
    with pytest.raises(Unreachable) as caught:
        bootstrap(real_vault.addr, real_vault.ca, tmp_path, real_vault.server.templates)
    assert caught.value.code == "vault.foreign"


def test_a_lost_answer_of_the_initialisation_is_told(real_vault: RealVault, tmp_path: Path) -> None:
    Journal(tmp_path).enter("initialising")
    with pytest.raises(Unreachable) as caught:
        bootstrap(real_vault.addr, real_vault.ca, tmp_path, real_vault.server.templates)
    assert caught.value.code == "vault.half_initialised"
    assert str(tmp_path) in caught.value.mend


def changed(templates: Path, tmp_path: Path) -> Path:
    new = tmp_path / "templates"
    new.mkdir()
    for file in templates.iterdir():
        (new / file.name).write_bytes(file.read_bytes())
    (new / "gate.hcl").write_text(
        (new / "gate.hcl").read_text() + '\npath "sys/new" { capabilities = ["read"] }\n'
    )
    return new


def test_new_policies_are_written_while_the_recovery_shares_are_here_and_asked_for_else(
    real_vault: RealVault, tmp_path: Path
) -> None:
    server, recovery = real_vault.server, real_vault.server.directory / "recovery.json"
    new, kept = changed(server.templates, tmp_path), recovery.read_bytes()
    given = (server.addr, server.ca, server.directory)
    recovery.unlink()
    try:
        assert not bootstrap(*given, new).current
        with pytest.raises(CredentialError):
            refresh(*given, new, ["bm90IGEgc2hhcmU="])
        recovery.write_bytes(kept)
        assert bootstrap(*given, new).current
        with real_vault.administrator() as administrator:
            assert "sys/new" in administrator.read("sys/policies/acl/gate")["data"]["policy"]
    finally:
        recovery.write_bytes(kept)
        assert bootstrap(*given, server.templates) == real_vault.outcome


def test_a_vault_of_ones_own_is_set_up_by_its_administrator(real_vault: RealVault, tmp_path: Path) -> None:
    with real_vault.administrator() as administrator:
        token = str(administrator.token)
        outcome = adopt(real_vault.addr, real_vault.ca, token, tmp_path, real_vault.server.templates)
    assert outcome == real_vault.outcome
    assert token not in "".join(path.read_text() for path in tmp_path.iterdir())
    write_login(real_vault.addr, real_vault.ca, tmp_path / "supervisor.json", "gate", tmp_path / "login.wrap")
    Minting.login(real_vault.addr, real_vault.ca, tmp_path / "login.wrap").close()
