"""What a run's credential can do, once, and what becomes of every other use of it."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field

import pytest

from sandbox.errors import (
    CredentialError,
    CredentialUsed,
    KeyBarred,
    SealBroken,
    SubjectErased,
    VaultUnreachable,
)
from sandbox.vault.custody import Custody
from sandbox.vault.minting import USES_BESIDES_KEYS, Minting, RunWrap
from sandbox.vault.session import Session, unwrap_artifact_key
from tests.vault.plugin import RealVault

pytestmark = pytest.mark.needs_vault


@dataclass
class Corpus:
    """A dataset with an index and two subjects, and a policy to train on it."""

    dataset: str
    keys: dict[str, bytes] = field(default_factory=dict)
    wraps: dict[str, str] = field(default_factory=dict)


ANNA, BEN = "spk_anna", "spk_ben0"


@pytest.fixture
def corpus(custodian: Custody, fresh: Callable[[str], str]) -> Corpus:
    made = Corpus(fresh("ds"))
    for subject in ("_index", ANNA, BEN):
        made.keys[subject] = secrets.token_bytes(32)
        custodian.create_subject_key(made.dataset, subject)
        made.wraps[subject] = custodian.wrap_data_key(made.dataset, subject, made.keys[subject])
    custodian.write_run_policy(made.dataset, "train")
    return made


def mint(gate: Minting, corpus: Corpus, uses: int = 3 + USES_BESIDES_KEYS, ttl_s: int = 60) -> RunWrap:
    return gate.mint_run(
        corpus.dataset, "train", "r-abc234", "g-abc234", uses=uses, ttl_s=ttl_s, wrap_ttl_s=30
    )


@pytest.fixture
def session(real_vault: RealVault, gate: Minting, corpus: Corpus) -> Iterator[Session]:
    minted = mint(gate, corpus)
    with (
        real_vault.door() as door,
        closing(Session.open(door, real_vault.ca_pem, minted.wrap.token)) as opened,
    ):
        yield opened


def test_a_run_unwraps_its_keys_and_its_credential_is_dead_afterwards(
    real_vault: RealVault, gate: Minting, corpus: Corpus
) -> None:
    minted = mint(gate, corpus)
    assert not gate.is_dead(minted.wrapped_accessor)
    with (
        real_vault.door() as door,
        closing(Session.open(door, real_vault.ca_pem, minted.wrap.token)) as session,
    ):
        for subject, key in corpus.keys.items():
            assert session.unwrap_data_key(corpus.dataset, subject, corpus.wraps[subject]) == key
        dies(gate, minted.wrap.accessor)
        session.revoke_self()
    assert gate.is_dead(minted.wrapped_accessor)


def test_a_credential_opened_before_stops_the_run(
    real_vault: RealVault, gate: Minting, corpus: Corpus
) -> None:
    token = mint(gate, corpus).wrap.token
    with real_vault.door() as door:
        Session.open(door, real_vault.ca_pem, token).close()
    with real_vault.door() as door, pytest.raises(CredentialUsed):
        Session.open(door, real_vault.ca_pem, token)


def test_garbage_is_no_credential(real_vault: RealVault) -> None:
    with real_vault.door() as door, pytest.raises(CredentialUsed):
        Session.open(door, real_vault.ca_pem, "s.garbage")


def test_an_expired_wrap_opens_nothing_and_its_token_must_be_revoked(
    real_vault: RealVault, gate: Minting, corpus: Corpus
) -> None:
    minted = gate.mint_run(corpus.dataset, "train", "r-abc234", "g-abc234", uses=4, ttl_s=60, wrap_ttl_s=10)
    time.sleep(11)
    with real_vault.door() as door, pytest.raises(CredentialUsed):
        Session.open(door, real_vault.ca_pem, minted.wrap.token)
    dies(gate, minted.wrap.accessor)
    assert not gate.is_dead(
        minted.wrapped_accessor
    )  # nobody can reach it, but only revoking (or its ttl) ends it
    gate.revoke(minted.wrapped_accessor)
    assert gate.is_dead(minted.wrapped_accessor)


def test_a_credential_made_by_another_path_is_not_opened(
    real_vault: RealVault, gate: Minting, custodian: Custody, fresh: Callable[[str], str]
) -> None:
    agreement = fresh("dsa-")
    custodian.create_derivatives_key(agreement)
    wrap = gate.new_artifact_key(agreement, "r-abc234", "model.safetensors", 30)
    with real_vault.door() as door, pytest.raises(CredentialError) as caught:
        Session.open(door, real_vault.ca_pem, wrap.token)
    assert caught.value.code == "credential.foreign"
    assert not gate.is_dead(wrap.accessor)  # it was looked at, not opened


def test_an_artifact_key_opens_later_only_for_its_run_and_path(
    real_vault: RealVault, gate: Minting, custodian: Custody, fresh: Callable[[str], str]
) -> None:
    agreement = fresh("dsa-")
    custodian.create_derivatives_key(agreement)
    new, again = f"derivatives/datakey/plaintext/{agreement}", f"derivatives/decrypt/{agreement}"
    with real_vault.door() as door, closing(Session.open(door, real_vault.ca_pem, None)) as session:
        wrap = gate.new_artifact_key(agreement, "r-abc234", "model.safetensors", 30)
        made = unwrap_artifact_key(session, wrap.token, new)
        with pytest.raises(CredentialUsed):
            unwrap_artifact_key(session, wrap.token, new)
        later = gate.open_artifact_key(agreement, "r-abc234", "model.safetensors", made.wrapped, 30)
        assert unwrap_artifact_key(session, later.token, again) == (made.key, "")
        for run, path in (("r-other2", "model.safetensors"), ("r-abc234", "other.safetensors")):
            with pytest.raises(SealBroken):
                gate.open_artifact_key(agreement, run, path, made.wrapped, 30)


def test_a_barred_subject_is_refused_at_once_even_to_a_live_credential(
    session: Session, custodian: Custody, corpus: Corpus
) -> None:
    session.unwrap_data_key(corpus.dataset, ANNA, corpus.wraps[ANNA])
    custodian.write_run_policy(corpus.dataset, "train", barred=[ANNA])
    with pytest.raises(KeyBarred):
        session.unwrap_data_key(corpus.dataset, ANNA, corpus.wraps[ANNA])
    assert session.unwrap_data_key(corpus.dataset, BEN, corpus.wraps[BEN]) == corpus.keys[BEN]


def test_an_erased_subject_is_told_from_a_barred_one(
    session: Session, custodian: Custody, corpus: Corpus
) -> None:
    custodian.destroy_key(corpus.dataset, ANNA)
    custodian.destroy_key(corpus.dataset, ANNA)
    custodian.prove_destroyed(corpus.dataset, ANNA, corpus.wraps[ANNA])
    with pytest.raises(SubjectErased):
        session.unwrap_data_key(corpus.dataset, ANNA, corpus.wraps[ANNA])


def test_without_its_policy_a_dataset_opens_to_nobody(
    session: Session, custodian: Custody, corpus: Corpus
) -> None:
    custodian.delete_run_policy(corpus.dataset, "train")
    custodian.delete_run_policy(corpus.dataset, "train")
    with pytest.raises(KeyBarred):
        session.unwrap_data_key(corpus.dataset, BEN, corpus.wraps[BEN])


def test_another_datasets_keys_and_wraps_do_not_open(
    session: Session, custodian: Custody, corpus: Corpus, fresh: Callable[[str], str]
) -> None:
    other = fresh("ds")
    custodian.create_subject_key(other, ANNA)
    wrapped = custodian.wrap_data_key(other, ANNA, secrets.token_bytes(32))
    with pytest.raises(KeyBarred):
        session.unwrap_data_key(other, ANNA, wrapped)
    with pytest.raises(SealBroken):
        session.unwrap_data_key(corpus.dataset, ANNA, wrapped)
    with pytest.raises(SealBroken):
        session.unwrap_data_key(corpus.dataset, ANNA, corpus.wraps[BEN])


@pytest.mark.parametrize(
    "body",
    [
        {"batch_input": [{"ciphertext": "vault:v1:x", "context": "eA=="}]},
        {"ciphertext": "vault:v1:x"},
        {"ciphertext": "vault:v1:x", "context": "b3RoZXI="},
        {"context": "CONTEXT"},
    ],
    ids=["batch", "no context", "another context", "no ciphertext"],
)
def test_a_run_cannot_ask_in_any_other_way(session: Session, corpus: Corpus, body: dict[str, object]) -> None:
    with pytest.raises(CredentialError) as caught:
        session._vault.write(f"subjects/decrypt/{corpus.dataset}.{ANNA}", body)
    assert caught.value.code == "credential.denied"


def test_a_credential_ends_with_its_uses(real_vault: RealVault, gate: Minting, corpus: Corpus) -> None:
    minted = mint(gate, corpus, uses=1)
    with (
        real_vault.door() as door,
        closing(Session.open(door, real_vault.ca_pem, minted.wrap.token)) as session,
    ):
        session.unwrap_data_key(corpus.dataset, ANNA, corpus.wraps[ANNA])
        with pytest.raises(CredentialError) as caught:
            session.unwrap_data_key(corpus.dataset, BEN, corpus.wraps[BEN])
    assert caught.value.code == "credential.dead"
    dies(gate, minted.wrapped_accessor)


def dies(gate: Minting, accessor: str) -> None:
    """Vault takes a token away just after its answer or its end; a lookup before finds it, or is refused (measured)."""
    deadline = time.monotonic() + 20
    while not _proved_dead(gate, accessor):
        assert time.monotonic() < deadline, "a token that was used up, opened or ran out stays alive"
        time.sleep(0.02)


def _proved_dead(gate: Minting, accessor: str) -> bool:
    """Only Vault's word that it knows no such accessor counts."""
    try:
        return gate.is_dead(accessor)
    except CredentialError:
        return False


def test_a_revoked_credential_is_dead_opened_or_not(
    real_vault: RealVault, gate: Minting, corpus: Corpus
) -> None:
    unopened, opened = mint(gate, corpus), mint(gate, corpus)
    with (
        real_vault.door() as door,
        closing(Session.open(door, real_vault.ca_pem, opened.wrap.token)) as session,
    ):
        for minted in (unopened, opened, opened):
            gate.revoke(minted.wrapped_accessor)
            assert gate.is_dead(minted.wrapped_accessor)
        with pytest.raises(CredentialError):
            session.unwrap_data_key(corpus.dataset, ANNA, corpus.wraps[ANNA])


def test_a_used_up_or_unknown_accessor_is_revoked_without_complaint(gate: Minting) -> None:
    gate.revoke("no-such-accessor")
    assert gate.is_dead("no-such-accessor")


def test_a_door_is_connected_once_and_never_again(real_vault: RealVault, corpus: Corpus) -> None:
    with real_vault.door() as door, closing(Session.open(door, real_vault.ca_pem, None)) as session:
        for _ in range(2):  # over the same connection
            with pytest.raises(CredentialError):
                session.unwrap_data_key(corpus.dataset, ANNA, corpus.wraps[ANNA])
        connection = session._vault._adapter.session.adapters["https://"]._pool.pool.queue[-1]
        connection.close()
        with pytest.raises(VaultUnreachable):
            session.unwrap_data_key(corpus.dataset, ANNA, corpus.wraps[ANNA])
