"""What each hand may not do. One line a temptation; remove a line of a policy's restraint and one of these opens."""

from __future__ import annotations

import secrets
from collections.abc import Callable

import pytest

from sandbox.errors import CredentialError, SandboxError
from sandbox.vault.custody import Custody
from sandbox.vault.http import Vault
from sandbox.vault.keys import context
from sandbox.vault.minting import Minting
from sandbox.vault.run_policy import run_policy
from tests.vault.plugin import RealVault

pytestmark = pytest.mark.needs_vault

RUN = {"policies": ["run-ds1-train"]}
KEY = {"type": "aes256-gcm96", "derived": True}
PERSON = {"password": "a password", "token_policies": "person", "token_no_default_policy": True}

GATE = {
    "mint without a wrap": ("write", "auth/token/create/run", RUN, None),
    "mint in a long wrap": ("write", "auth/token/create/run", RUN, 3600),
    "mint for itself": ("write", "auth/token/create", RUN, 30),
    "mint an orphan": ("write", "auth/token/create-orphan", RUN, 30),
    "see an artifact key": ("write", "derivatives/datakey/plaintext/dsa-1", {"context": "eA=="}, None),
    "open an artifact key": (
        "write",
        "derivatives/decrypt/dsa-1",
        {"ciphertext": "x", "context": "eA=="},
        None,
    ),
    "encrypt under derivatives": ("write", "derivatives/encrypt/dsa-1", {"plaintext": "eA=="}, 30),
    "have keys unwrapped": (
        "write",
        "subjects/decrypt/ds1.spk_a1",
        {"ciphertext": "x", "context": "eA=="},
        30,
    ),
    "make a subject's key": ("write", "subjects/keys/ds1.spk_a1", KEY, None),
    "destroy a subject's key": ("delete", "subjects/keys/ds1.spk_a1", None, None),
    "write a policy": ("write", "sys/policies/acl/run-ds1-train", {"policy": "x"}, None),
    "read a policy": ("read", "sys/policies/acl/run-ds1-train", None, None),
    "sign as the custodian": ("write", "sign/sign/custodian", {"input": "eA=="}, None),
    "export its signing key": ("read", "sign/export/signing-key/gate", None, None),
    "rotate its signing key": ("write", "sign/keys/gate/rotate", {}, None),
    "move a dataset's head": ("write", "kv/data/datasets/ds1", {"options": {"cas": 0}, "data": {}}, None),
    "move a register's head": (
        "write",
        "kv/data/registers",
        {"options": {"cas": 0}, "data": {}},
        None,
    ),
    "read the intake key": ("read", "kv/data/intake", None, None),
    "put another intake key": ("write", "kv/data/intake", {"options": {"cas": 1}, "data": {}}, None),
    "delete a budget": ("delete", "kv/data/budgets/b1", None, None),
    "forget a budget": ("delete", "kv/metadata/budgets/b1", None, None),
    "wrap what it likes": ("write", "sys/wrapping/wrap", {"x": "y"}, 30),
    "make a login": ("write", "auth/approle/role/gate/secret-id", {}, 30),
    "switch the audit off": ("delete", "sys/audit/main", None, None),
    "add a person": ("write", "auth/userpass/users/mallory", PERSON, None),
    "be a person": ("read", "identity/oidc/token/sandbox", None, None),
    "keep a secret aside": ("write", "cubbyhole/x", {"x": "y"}, None),
    "take a snapshot": ("read", "sys/storage/raft/snapshot", None, None),
    "seal Vault": ("write", "sys/seal", {}, None),
    "loosen the run role": ("write", "auth/token/roles/run", {"allowed_policies_glob": ["*"]}, None),
}

CUSTODIAN = {
    "decrypt a voice": ("write", "subjects/decrypt/ds1.spk_a1", {"ciphertext": "x", "context": "eA=="}, None),
    "make an exportable key": ("write", "subjects/keys/ds1.spk_a1", {**KEY, "exportable": True}, None),
    "make an underived key": ("write", "subjects/keys/ds1.spk_a1", {**KEY, "derived": False}, None),
    "make a key without saying how": ("write", "subjects/keys/ds1.spk_a1", {}, None),
    "make a convergent key": (
        "write",
        "subjects/keys/ds1.spk_a1",
        {**KEY, "convergent_encryption": True},
        None,
    ),
    "make a key exportable": ("write", "subjects/keys/ds1.spk_a1/config", {"exportable": True}, None),
    "allow a plaintext backup": (
        "write",
        "subjects/keys/ds1.spk_a1/config",
        {"allow_plaintext_backup": True},
        None,
    ),
    "wrap under an old version": ("write", "subjects/keys/ds1.spk_a1/config", {"min_encryption_version": 1}, None),
    "throw versions of a key away": ("write", "subjects/keys/ds1.spk_a1/trim", {"min_available_version": 1}, None),
    "export a key": ("read", "subjects/export/encryption-key/ds1.spk_a1", None, None),
    "back a key up": ("read", "subjects/backup/ds1.spk_a1", None, None),
    "restore a key": ("write", "subjects/restore", {"backup": "x"}, None),
    "soft-delete a key": ("write", "subjects/keys/ds1.spk_a1/soft-delete", {}, None),
    "draw a data key in Vault": ("write", "subjects/datakey/plaintext/ds1.spk_a1", {"context": "eA=="}, None),
    "allow upserts": ("write", "subjects/config/keys", {"disable_upsert": False}, None),
    "destroy the derivatives' key": ("delete", "derivatives/keys/dsa-1", None, None),
    "open an artifact key": (
        "write",
        "derivatives/decrypt/dsa-1",
        {"ciphertext": "x", "context": "eA=="},
        30,
    ),
    "have an artifact key made": ("write", "derivatives/datakey/plaintext/dsa-1", {"context": "eA=="}, 30),
    "mint": ("write", "auth/token/create/run", RUN, 30),
    "mint for itself": ("write", "auth/token/create", {}, None),
    "sign as the gate": ("write", "sign/sign/gate", {"input": "eA=="}, None),
    "write its own policy": ("write", "sys/policies/acl/custodian", {"policy": "x"}, None),
    "write the gate's policy": ("write", "sys/policies/acl/gate", {"policy": "x"}, None),
    "write the person's policy": ("write", "sys/policies/acl/person", {"policy": "x"}, None),
    "write a budget": ("write", "kv/data/budgets/b1", {"options": {"cas": 0}, "data": {}}, None),
    "forget a head": ("delete", "kv/metadata/datasets/ds1", None, None),
    "forget the intake key": ("delete", "kv/metadata/intake", None, None),
    "undo the intake key": ("delete", "kv/data/intake", None, None),
    "add a mighty person": (
        "write",
        "auth/userpass/users/mallory",
        {**PERSON, "token_policies": "custodian"},
        None,
    ),
    "add a person with a default policy": (
        "write",
        "auth/userpass/users/mallory",
        {**PERSON, "token_no_default_policy": False},
        None,
    ),
    "add a person with any policy": (
        "write",
        "auth/userpass/users/mallory",
        {"password": "a password"},
        None,
    ),
    "give a person more policies": (
        "write",
        "auth/userpass/users/mallory/policies",
        {"policies": "gate"},
        None,
    ),
    "give an identity policies": ("write", "identity/entity/name/mallory", {"policies": ["gate"]}, None),
    "make an identity by id": ("write", "identity/entity", {"name": "mallory", "policies": ["gate"]}, None),
    "merge identities": (
        "write",
        "identity/entity/merge",
        {"from_entity_ids": [], "to_entity_id": "x"},
        None,
    ),
    "make a group": ("write", "identity/group", {"name": "g", "policies": ["gate"]}, None),
    "alias a service login": (
        "write",
        "identity/entity-alias",
        {"name": "x", "canonical_id": "y", "mount_accessor": "auth_approle_1"},
        None,
    ),
    "change identity tokens": ("write", "identity/oidc/role/sandbox", {"key": "sandbox"}, None),
    "be a person": ("read", "identity/oidc/token/sandbox", None, None),
    "make a login": ("write", "auth/approle/role/custodian/secret-id", {}, 30),
    "take a snapshot": ("read", "sys/storage/raft/snapshot", None, None),
}

SUPERVISOR = {
    "see a secret-id": ("write", "auth/approle/role/gate/secret-id", {}, None),
    "see the custodian's secret-id": ("write", "auth/approle/role/custodian/secret-id", {}, None),
    "make another supervisor": ("write", "auth/approle/role/supervisor/secret-id", {}, 30),
    "change a role": ("write", "auth/approle/role/gate", {"token_policies": ["custodian"]}, None),
    "mint": ("write", "auth/token/create/run", RUN, 30),
    "read a head": ("read", "kv/data/datasets/ds1", None, None),
    "install a snapshot": ("write", "sys/storage/raft/snapshot", {}, None),
    "install a foreign snapshot": ("write", "sys/storage/raft/snapshot-force", {}, None),
}


def attempt(vault: Vault, verb: str, path: str, body: object, wrap_ttl_s: int | None) -> str:
    """The code of the refusal, or "done"."""
    try:
        if verb == "write":
            vault.write(path, body, wrap_ttl_s)
        elif verb == "read":
            vault.read(path)
        else:
            vault.delete(path)
    except SandboxError as fault:
        return fault.code
    return "done"


@pytest.mark.parametrize("what", GATE)
def test_the_gate_may_not(gate: Minting, what: str) -> None:
    assert attempt(gate._vault, *GATE[what]) == "credential.denied"


@pytest.mark.parametrize("what", CUSTODIAN)
def test_the_custodian_may_not(custodian: Custody, what: str) -> None:
    assert attempt(custodian._vault, *CUSTODIAN[what]) == "credential.denied"


@pytest.mark.parametrize("what", SUPERVISOR)
def test_the_supervisor_may_not(real_vault: RealVault, what: str) -> None:
    vault = real_vault.supervisor()
    assert attempt(vault, *SUPERVISOR[what]) == "credential.denied"
    vault.close()


BAD_MINTS = {
    "the gate's own policy": {"policies": ["gate"]},
    "root": {"policies": ["root"]},
    "a foreign policy besides": {"policies": ["run-ds1-train", "custodian"]},
}


@pytest.mark.parametrize("what", BAD_MINTS)
def test_a_credential_for_anything_but_a_run_is_not_minted(gate: Minting, what: str) -> None:
    assert attempt(gate._vault, "write", "auth/token/create/run", BAD_MINTS[what], 30) in (
        "vault.rejected",
        "credential.denied",
    )


CAPPED = {
    "ten hours": {"ttl": "10h", "explicit_max_ttl": "10h"},
    "a period": {"period": "10h"},
    "endless uses": {"num_uses": 0},
    "a batch token": {"type": "batch"},
    "the default policy": {"no_default_policy": False},
    "an orphan": {"no_parent": True},
    "a name of its own": {"id": "chosen"},
}


@pytest.mark.parametrize("what", CAPPED)
def test_the_role_caps_what_a_mint_asks_for(real_vault: RealVault, gate: Minting, what: str) -> None:
    try:
        wrap = gate._vault.write("auth/token/create/run", {**RUN, **CAPPED[what]}, 30)["wrap_info"]
    except CredentialError as fault:
        assert fault.code in ("vault.rejected", "credential.denied")  # noqa: PT017 - refused outright is as good
        return
    vault = real_vault.raw(wrap["token"])
    auth = vault.write("sys/wrapping/unwrap")["auth"]
    vault.close()
    seen = gate._vault.write("auth/token/lookup-accessor", {"accessor": auth["accessor"]})["data"]
    gate.revoke(auth["accessor"])
    assert auth["client_token"] != "chosen"
    assert seen["policies"] == ["run-ds1-train"]
    assert (seen["type"], seen["orphan"], seen["renewable"]) == ("service", False, False)
    assert 0 < seen["ttl"] <= 15 * 60
    assert 0 < seen["num_uses"] <= 32_768
    assert not seen.get("period")


def test_a_mint_that_names_no_policy_can_do_nothing(gate: Minting) -> None:
    wrap = gate._vault.write("auth/token/create/run", {}, 30)["wrap_info"]
    seen = gate._vault.write("auth/token/lookup-accessor", {"accessor": wrap["wrapped_accessor"]})["data"]
    gate.revoke(wrap["wrapped_accessor"])
    assert seen["policies"] == []


def test_the_gate_cannot_look_into_a_wrap_and_close_it_again(gate: Minting) -> None:
    minted = gate.mint_run("ds1", "train", "r-abc234", "g-abc234", uses=4, ttl_s=30, wrap_ttl_s=30)
    assert (
        attempt(gate._vault, "write", "sys/wrapping/rewrap", {"token": minted.wrap.token}, None)
        == "credential.denied"
    )
    gate.revoke(minted.wrapped_accessor)


def test_a_run_policy_opens_one_dataset_and_denies_whom_it_bars(
    custodian: Custody, fresh: Callable[[str], str]
) -> None:
    dataset = fresh("ds")
    text = run_policy(dataset, ["spk_b2", "spk_a1", "spk_a1"])
    assert text.count("deny") == 2
    assert text.count(f'"context" = ["{context(dataset)}"]') == 2
    custodian.write_run_policy(dataset, "train", ["spk_b2", "spk_a1"])


@pytest.mark.parametrize("name", ['x" { }', "Anna", "spk_A1", "*", "+", "spk_a1/../x"])
def test_nothing_but_an_id_enters_a_policy(name: str) -> None:
    with pytest.raises(SandboxError):
        run_policy("ds1", [name])
    with pytest.raises(SandboxError):
        run_policy(name, [])


def test_a_key_is_never_made_in_passing(custodian: Custody, fresh: Callable[[str], str]) -> None:
    with pytest.raises(CredentialError):
        custodian.wrap_data_key(fresh("ds"), "spk_a1", secrets.token_bytes(32))
