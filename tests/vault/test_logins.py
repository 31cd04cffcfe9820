"""How a service logs in, once, and what its end takes along."""

from __future__ import annotations

import json
import stat
from contextlib import closing
from pathlib import Path

import pytest

from sandbox.deployment.vault_login import write_login
from sandbox.errors import CredentialError, CredentialUsed
from sandbox.vault.custody import Custody
from sandbox.vault.minting import Minting
from tests.vault.plugin import RealVault

pytestmark = pytest.mark.needs_vault


def test_a_login_file_is_its_users_alone_and_gone_once_used(real_vault: RealVault) -> None:
    file = real_vault.login_file("gate")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    Minting.login(real_vault.addr, real_vault.ca, file).close()
    assert not file.exists()
    with pytest.raises(CredentialError) as caught:
        Minting.login(real_vault.addr, real_vault.ca, file)
    assert caught.value.code == "login.missing"


def test_a_login_that_somebody_opened_first_is_an_incident(real_vault: RealVault) -> None:
    file = real_vault.login_file("gate")
    with closing(real_vault.raw(json.loads(file.read_bytes())["wrap"])) as thief:
        thief.write("sys/wrapping/unwrap")
    with pytest.raises(CredentialUsed):
        Minting.login(real_vault.addr, real_vault.ca, file)


def test_a_secret_id_works_once(real_vault: RealVault) -> None:
    held = json.loads(real_vault.login_file("gate").read_bytes())
    with closing(real_vault.raw(held["wrap"])) as vault:
        secret_id = vault.write("sys/wrapping/unwrap")["data"]["secret_id"]
        vault.use(None)
        login = {"role_id": held["role_id"], "secret_id": secret_id}
        token = vault.write("auth/approle/login", login)["auth"]
        assert (token["policies"], token["lease_duration"]) == (["gate"], 3600)
        with pytest.raises(CredentialError):
            vault.write("auth/approle/login", login)


def test_a_login_is_not_taken_from_another_hand_nor_of_another_making(
    real_vault: RealVault, gate: Minting
) -> None:
    with pytest.raises(CredentialError) as caught:
        Custody.login(real_vault.addr, real_vault.ca, real_vault.login_file("gate"))
    assert caught.value.code == "credential.foreign"
    file = real_vault.login_file("gate")
    minted = gate.mint_run("ds1", "train", "r-abc234", "g-abc234", uses=3, ttl_s=30, wrap_ttl_s=30)
    file.write_text(json.dumps({**json.loads(file.read_bytes()), "wrap": minted.wrap.token}))
    with pytest.raises(CredentialError) as caught:
        Minting.login(real_vault.addr, real_vault.ca, file)
    assert caught.value.code == "credential.foreign"
    gate.revoke(minted.wrapped_accessor)


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"role_id": 1}', "hvs.SECRET"])
def test_an_unreadable_login_is_told_without_its_text(
    real_vault: RealVault, tmp_path: Path, text: str
) -> None:
    file = tmp_path / "login.wrap"
    file.write_text(text)
    with pytest.raises(CredentialError) as caught:
        Minting.login(real_vault.addr, real_vault.ca, file)
    assert "SECRET" not in str(caught.value)


def test_without_the_supervisors_file_there_is_no_login(real_vault: RealVault, tmp_path: Path) -> None:
    with pytest.raises(CredentialError):
        write_login(real_vault.addr, real_vault.ca, tmp_path / "none.json", "gate", tmp_path / "login.wrap")
    assert not (tmp_path / "login.wrap").exists()


def test_the_end_of_the_gates_login_ends_every_credential_it_minted(
    real_vault: RealVault, gate: Minting
) -> None:
    with closing(real_vault.gate()) as leaving:
        minted = [
            leaving.mint_run("ds1", "train", "r-abc234", "g-abc234", uses=3, ttl_s=60, wrap_ttl_s=60)
            for _ in range(3)
        ]
        leaving.revoke_self()
        with pytest.raises(CredentialError) as caught:
            leaving.renew()
        assert caught.value.code == "credential.dead"
    assert all(gate.is_dead(run.wrapped_accessor) for run in minted)


def test_a_dead_hand_proves_nothing_dead(real_vault: RealVault) -> None:
    with closing(real_vault.gate()) as leaving:
        leaving.revoke_self()
        with pytest.raises(CredentialError):
            leaving.is_dead("no-such-accessor")


def test_an_audit_line_is_found_by_its_accessors_hash_and_a_runs_metadata(
    real_vault: RealVault, gate: Minting
) -> None:
    minted = gate.mint_run("ds1", "train", "r-audit2", "g-audit2", uses=3, ttl_s=30, wrap_ttl_s=30)
    hashed = gate.audit_hash(minted.wrap.accessor)
    lines = [
        line
        for line in real_vault.audited()
        if line["type"] == "response"
        and line.get("response", {}).get("wrap_info", {}).get("accessor") == hashed
    ]
    gate.revoke(minted.wrapped_accessor)
    assert [line["request"]["path"] for line in lines] == ["auth/token/create/run"]
    assert minted.wrap.token not in real_vault.server.audit_log.read_text()
