"""Keys of data subjects: what the custodian accepts, and what counts as destroyed."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator

import pytest

from sandbox.errors import EvidenceMismatch, SealBroken
from sandbox.vault.answers import understand
from sandbox.vault.custody import Custody
from sandbox.vault.http import Vault
from sandbox.vault.keys import context
from tests.vault.plugin import RealVault

pytestmark = pytest.mark.needs_vault

ANNA = "spk_anna"


@pytest.fixture
def administrator(real_vault: RealVault) -> Iterator[Vault]:
    """Somebody with all power over keys: what the policies would otherwise keep from happening."""
    with real_vault.administrator() as vault:
        yield vault


def test_making_a_key_twice_keeps_it(custodian: Custody, fresh: Callable[[str], str]) -> None:
    dataset, key = fresh("ds"), secrets.token_bytes(32)
    custodian.create_subject_key(dataset, "_index")
    wrapped = custodian.wrap_data_key(dataset, "_index", key)
    custodian.create_subject_key(dataset, "_index")
    assert custodian.unwrap_index_key(dataset, wrapped) == key


@pytest.mark.parametrize(
    "settings",
    [
        {"type": "aes256-gcm96", "derived": False},
        {"type": "aes256-gcm96", "derived": True, "exportable": True},
        {"type": "aes256-gcm96", "derived": True, "allow_plaintext_backup": True},
        {"type": "aes256-gcm96", "derived": True, "convergent_encryption": True},
        {"type": "chacha20-poly1305", "derived": True},
    ],
    ids=["underived", "exportable", "backed up", "convergent", "another cipher"],
)
def test_a_key_that_somebody_made_before_with_less_protection_is_refused(
    custodian: Custody, administrator: Vault, fresh: Callable[[str], str], settings: dict[str, object]
) -> None:
    dataset, agreement = fresh("ds"), fresh("dsa-")
    administrator.write(f"subjects/keys/{dataset}.{ANNA}", settings)
    administrator.write(f"derivatives/keys/{agreement}", settings)
    with pytest.raises(EvidenceMismatch):
        custodian.create_subject_key(dataset, ANNA)
    with pytest.raises(EvidenceMismatch):
        custodian.create_derivatives_key(agreement)


def test_a_key_made_anew_does_not_open_what_the_destroyed_one_sealed(
    custodian: Custody, fresh: Callable[[str], str]
) -> None:
    dataset = fresh("ds")
    custodian.create_subject_key(dataset, "_index")
    wrapped = custodian.wrap_data_key(dataset, "_index", secrets.token_bytes(32))
    custodian.destroy_key(dataset, "_index")
    custodian.prove_destroyed(dataset, "_index", wrapped)
    custodian.create_subject_key(dataset, "_index")
    with pytest.raises(SealBroken):
        custodian.unwrap_index_key(dataset, wrapped)
    with pytest.raises(EvidenceMismatch):  # a key of that name answers: that is no proof
        custodian.prove_destroyed(dataset, "_index", wrapped)


def test_a_living_key_is_not_proved_destroyed(custodian: Custody, fresh: Callable[[str], str]) -> None:
    dataset = fresh("ds")
    custodian.create_subject_key(dataset, ANNA)
    wrapped = custodian.wrap_data_key(dataset, ANNA, secrets.token_bytes(32))
    with pytest.raises(EvidenceMismatch):
        custodian.prove_destroyed(dataset, ANNA, wrapped)


def test_a_soft_deleted_key_is_not_taken_for_destroyed(
    custodian: Custody, administrator: Vault, fresh: Callable[[str], str]
) -> None:
    dataset = fresh("ds")
    custodian.create_subject_key(dataset, ANNA)
    wrapped = custodian.wrap_data_key(dataset, ANNA, secrets.token_bytes(32))
    administrator.write(f"subjects/keys/{dataset}.{ANNA}/config", {"deletion_allowed": True})
    administrator.delete(f"subjects/keys/{dataset}.{ANNA}/soft-delete")
    with pytest.raises(EvidenceMismatch, match="soft"):
        custodian.prove_destroyed(dataset, ANNA, wrapped)


def test_even_an_administrator_makes_no_key_in_passing(
    administrator: Vault, fresh: Callable[[str], str]
) -> None:
    dataset = fresh("ds")
    with pytest.raises(Exception, match="no such key"):
        administrator.write(
            f"subjects/encrypt/{dataset}.{ANNA}", {"plaintext": "eA==", "context": context(dataset)}
        )


def test_what_vault_says_goes_no_further() -> None:
    said = b'{"errors": ["encryption key not found: hvs.SECRET"]}'
    with pytest.raises(Exception, match="no such key") as caught:
        understand(400, said, "subjects/decrypt/ds1.spk_a1")
    assert "SECRET" not in repr(caught.value) + str(vars(caught.value))
