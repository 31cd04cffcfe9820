"""One suite for the Vault that tests use and the one that runs: what gate, custodian and keeper rely on."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any, Protocol

import pytest

from sandbox.errors import (
    Conflict,
    CredentialError,
    CredentialUsed,
    EvidenceMismatch,
    KeyBarred,
    NotFound,
    SealBroken,
    SubjectErased,
)
from sandbox.statements import open_statement, sign_statement
from sandbox.vault.custody import Custody
from sandbox.vault.minting import USES_BESIDES_KEYS, Minting, RunWrap
from sandbox.vault.session import RUN_TOKEN, Session
from tests.fakes.vault import FakeVault
from tests.vault.test_credentials import dies

ANNA, BEN = "spk_anna", "spk_ben0"


class World(Protocol):
    """A Vault and its hands."""

    gate: Minting
    custodian: Custody

    def session(
        self, wrap_token: str | None, expect: str = RUN_TOKEN
    ) -> contextlib.AbstractContextManager[Session]: ...


class Fake:
    def __init__(self) -> None:
        self.vault = FakeVault()
        self.gate, self.custodian = self.vault.gate(), self.vault.custodian()

    @contextlib.contextmanager
    def session(self, wrap_token: str | None, expect: str = RUN_TOKEN) -> Iterator[Session]:
        yield self.vault.session(wrap_token, expect)


class Real:
    def __init__(self, vault: Any) -> None:
        self.vault = vault
        self.gate, self.custodian = vault.gate(), vault.custodian()

    @contextlib.contextmanager
    def session(self, wrap_token: str | None, expect: str = RUN_TOKEN) -> Iterator[Session]:
        with (
            self.vault.door() as door,
            closing(Session.open(door, self.vault.ca_pem, wrap_token, expect)) as session,
        ):
            yield session


@pytest.fixture(params=["fake", pytest.param("openbao", marks=pytest.mark.needs_vault)])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    if request.param == "fake":
        yield Fake()
        return
    real = Real(request.getfixturevalue("real_vault"))
    yield real
    real.gate.close()
    real.custodian.close()


@pytest.fixture
def dataset(world: World, fresh: Callable[[str], str]) -> str:
    name = fresh("ds")
    for subject in ("_index", ANNA, BEN):
        world.custodian.create_subject_key(name, subject)
    world.custodian.write_run_policy(name, "train")
    return name


def mint(world: World, dataset: str, uses: int = 3 + USES_BESIDES_KEYS) -> RunWrap:
    return world.gate.mint_run(dataset, "train", "r-abc234", "g-abc234", uses=uses, ttl_s=60, wrap_ttl_s=30)


def test_keys_unwrap_for_a_run_and_its_credential_dies(world: World, dataset: str) -> None:
    keys = {subject: secrets.token_bytes(32) for subject in ("_index", ANNA, BEN)}
    wraps = {s: world.custodian.wrap_data_key(dataset, s, key) for s, key in keys.items()}
    assert world.custodian.unwrap_index_key(dataset, wraps["_index"]) == keys["_index"]
    minted = mint(world, dataset)
    assert (minted.wrap.creation_path, minted.wrap.ttl_s) == ("auth/token/create/run", 30)
    assert minted.wrap.token not in repr(minted)
    with world.session(minted.wrap.token) as session:
        assert {s: session.unwrap_data_key(dataset, s, wraps[s]) for s in wraps} == keys
        dies(world.gate, minted.wrap.accessor)
        assert not world.gate.is_dead(minted.wrapped_accessor)
        session.revoke_self()
        assert world.gate.is_dead(minted.wrapped_accessor)


def test_a_wrap_opens_once_and_only_if_made_where_expected(world: World, dataset: str) -> None:
    token = mint(world, dataset).wrap.token
    with pytest.raises(CredentialError), world.session(token, "derivatives/decrypt/dsa-1"):
        pass
    with world.session(token):
        pass
    with pytest.raises(CredentialUsed), world.session(token):
        pass


def test_uses_are_counted(world: World, dataset: str) -> None:
    wrapped = world.custodian.wrap_data_key(dataset, ANNA, secrets.token_bytes(32))
    with world.session(mint(world, dataset, uses=1).wrap.token) as session:
        session.unwrap_data_key(dataset, ANNA, wrapped)
        with pytest.raises(CredentialError) as caught:
            session.unwrap_data_key(dataset, ANNA, wrapped)
    assert caught.value.code == "credential.dead"


def test_a_revoked_credential_is_dead_and_stays_so(world: World, dataset: str) -> None:
    minted = mint(world, dataset)
    for _ in range(2):
        world.gate.revoke(minted.wrapped_accessor)
        assert world.gate.is_dead(minted.wrapped_accessor)


def test_barred_erased_and_foreign_are_told_apart(
    world: World, dataset: str, fresh: Callable[[str], str]
) -> None:
    wraps = {s: world.custodian.wrap_data_key(dataset, s, secrets.token_bytes(32)) for s in (ANNA, BEN)}
    other = fresh("ds")
    world.custodian.create_subject_key(other, ANNA)
    with world.session(mint(world, dataset, uses=20).wrap.token) as session:
        with pytest.raises(SealBroken):
            session.unwrap_data_key(dataset, ANNA, wraps[BEN])
        with pytest.raises(KeyBarred):
            session.unwrap_data_key(other, ANNA, wraps[ANNA])
        world.custodian.write_run_policy(dataset, "train", [ANNA])
        with pytest.raises(KeyBarred):
            session.unwrap_data_key(dataset, ANNA, wraps[ANNA])
        world.custodian.write_run_policy(dataset, "train")
        with pytest.raises(EvidenceMismatch):
            world.custodian.prove_destroyed(dataset, ANNA, wraps[ANNA])
        for _ in range(2):
            world.custodian.destroy_key(dataset, ANNA)
            world.custodian.prove_destroyed(dataset, ANNA, wraps[ANNA])
        with pytest.raises(SubjectErased):
            session.unwrap_data_key(dataset, ANNA, wraps[ANNA])
        world.custodian.delete_run_policy(dataset, "train")
        with pytest.raises(KeyBarred):
            session.unwrap_data_key(dataset, BEN, wraps[BEN])


def test_a_rotated_keys_old_wraps_open_until_they_are_retired(world: World, dataset: str) -> None:
    key, hand = secrets.token_bytes(32), world.custodian
    old = hand.wrap_data_key(dataset, ANNA, key)
    hand.rotate_key(dataset, ANNA)
    new = hand.rewrap_data_key(dataset, ANNA, old)
    assert (old[:9], new[:9]) == ("vault:v1:", "vault:v2:")
    with world.session(mint(world, dataset, uses=9).wrap.token) as session:
        assert session.unwrap_data_key(dataset, ANNA, old) == session.unwrap_data_key(dataset, ANNA, new) == key
        for _ in range(2):
            hand.retire_wraps(dataset, ANNA, 2)
            with pytest.raises(SealBroken):
                session.unwrap_data_key(dataset, ANNA, old)
        assert session.unwrap_data_key(dataset, ANNA, new) == key
    with pytest.raises(SealBroken):
        hand.rewrap_data_key(dataset, ANNA, old)
    with pytest.raises(CredentialError):
        hand.retire_wraps(dataset, ANNA, 9)  # no such version: nothing would ever open again


def test_what_has_no_key_is_not_rotated(world: World, dataset: str) -> None:
    wrapped = world.custodian.wrap_data_key(dataset, ANNA, secrets.token_bytes(32))
    world.custodian.destroy_key(dataset, ANNA)
    for turn in (
        lambda: world.custodian.rotate_key(dataset, ANNA),
        lambda: world.custodian.rewrap_data_key(dataset, ANNA, wrapped),
        lambda: world.custodian.retire_wraps(dataset, ANNA, 1),
    ):
        with pytest.raises(NotFound) as caught:
            turn()
        assert caught.value.code == "vault.key_missing"


def test_no_key_is_made_by_wrapping_under_it(world: World, fresh: Callable[[str], str]) -> None:
    with pytest.raises(CredentialError):
        world.custodian.wrap_data_key(fresh("ds"), ANNA, secrets.token_bytes(32))


def test_an_artifacts_key_opens_again_for_its_own_run_and_path(
    world: World, fresh: Callable[[str], str]
) -> None:
    agreement = fresh("dsa-")
    for _ in range(2):
        world.custodian.create_derivatives_key(agreement)
    wrap = world.gate.new_artifact_key(agreement, "r-abc234", "m.safetensors", 30)
    with world.session(None) as session:
        made = session.unwrap_artifact_key(wrap.token, f"derivatives/datakey/plaintext/{agreement}")
        again = world.gate.open_artifact_key(agreement, "r-abc234", "m.safetensors", made.wrapped, 30)
        assert session.unwrap_artifact_key(again.token, f"derivatives/decrypt/{agreement}").key == made.key
    assert world.gate.is_dead(wrap.accessor)
    with pytest.raises(SealBroken):
        world.gate.open_artifact_key(agreement, "r-abc234", "n.safetensors", made.wrapped, 30)


def test_heads_move_by_check_and_set(world: World, dataset: str, fresh: Callable[[str], str]) -> None:
    assert world.gate.dataset_head(dataset) == ({}, 0)
    assert world.custodian.set_head(dataset, {"version": 1}, 0) == 1
    assert world.custodian.set_head(dataset, {"version": 2}, 1) == 2
    for stale in (0, 1):
        with pytest.raises(Conflict):
            world.custodian.set_head(dataset, {"version": 9}, stale)
    assert world.gate.dataset_head(dataset) == world.custodian.head(dataset) == ({"version": 2}, 2)
    heads = world.custodian.register_heads()
    moved = {**heads.value, fresh("register-"): {"seq": 1, "digest": "d"}}
    assert world.custodian.set_register_heads(moved, heads.cas) == heads.cas + 1
    assert world.gate.register_heads() == world.custodian.register_heads() == (moved, heads.cas + 1)
    with pytest.raises(Conflict):
        world.custodian.set_register_heads({}, heads.cas)
    assert world.gate.write_budget(dataset, {"at": 1}, world.gate.read_budget(dataset).cas) == 1
    with pytest.raises(Conflict):
        world.gate.write_budget(dataset, {"at": 0}, 0)


def test_the_intake_key_is_made_once_and_stays(world: World) -> None:
    made = world.custodian.intake_key()
    assert len(made) == 32 and world.custodian.intake_key() == made


@pytest.mark.parametrize("hand", ["gate", "custodian"])
def test_signatures_verify_under_the_hands_public_key(world: World, hand: str) -> None:
    signer = {"gate": world.gate, "custodian": world.custodian}[hand].signer()
    data = sign_statement("grant", [("x", "0" * 64)], {"a": 1}, [signer])
    for keys in (world.gate.public_keys(hand), world.custodian.public_keys(hand)):
        assert open_statement(data, "grant", keys).predicate == {"a": 1}


def test_one_text_has_one_audit_hash(world: World) -> None:
    assert world.gate.audit_hash("x") == world.gate.audit_hash("x") != world.gate.audit_hash("y")


def test_both_renew(world: World) -> None:
    assert world.gate.renew() == world.custodian.renew() == 3600


def test_people_come_and_go(world: World, fresh: Callable[[str], str]) -> None:
    name = fresh("anna.k")
    world.custodian.add_person(name, "a-long-password")
    world.custodian.add_person(name, "another-password")
    world.custodian.disable_person(name)
    world.custodian.disable_person(fresh("nobody"))
    assert world.gate.jwks()["keys"]
