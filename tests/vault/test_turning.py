"""Rotation on a real Vault, with the custodian's own policy: the old wraps are dead, and the records still open."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from sandbox.custodian.desk import VaultHead
from sandbox.errors import CredentialError, SealBroken
from sandbox.sealing.manifest import open_at_head
from sandbox.sealing.reader import open_version, read_wraps
from sandbox.sealing.rewrap import rewrap
from sandbox.sealing.storage import Folder
from sandbox.sealing.version import Hands, Terms
from sandbox.sealing.writer import seal
from sandbox.vault.custody import Custody
from sandbox.vault.minting import Minting
from sandbox.vault.session import Session
from tests.fakes.corpus import ANNA, RECORDS, TERMS
from tests.vault.plugin import RealVault

pytestmark = pytest.mark.needs_vault


@pytest.fixture
def hands(custodian: Custody, fresh: Callable[[str], str]) -> Hands:
    head = VaultHead(custodian, fresh("turn"))
    return Hands(custodian, custodian.signer(), head, custodian.public_keys("custodian"))


@pytest.fixture
def session(real_vault: RealVault, gate: Minting, custodian: Custody, hands: Hands) -> Iterator[Session]:
    """A live run's, minted before the keys are rotated."""
    dataset = hands.head.dataset  # type: ignore[attr-defined]
    custodian.write_run_policy(dataset, "train")
    minted = gate.mint_run(dataset, "train", "r-abc234", "g-abc234", uses=40, ttl_s=60, wrap_ttl_s=30)
    with (
        real_vault.door() as door,
        closing(Session.open(door, real_vault.ca_pem, minted.wrap.token)) as session,
    ):
        yield session


def test_old_wraps_are_dead_and_records_still_open(
    hands: Hands, session: Session, custodian: Custody, tmp_path: Path
) -> None:
    dataset, folder = hands.head.dataset, Folder(tmp_path)  # type: ignore[attr-defined]
    first = seal(RECORDS, dataset, TERMS, folder, hands).manifest
    old = read_wraps(folder, first)
    for _ in rewrap(folder, dataset, lambda before: Terms.kept(before, "c" * 64, TERMS.created_at), hands):
        pass
    head = hands.head.read().head
    assert head is not None and head.min_version == head.version == 2
    opened = open_version(folder, open_at_head(folder, dataset, head, hands.trusted), session)
    assert list(opened.stream()) == RECORDS
    assert set(opened.manifest.key_versions.values()) == {2}
    with pytest.raises(SealBroken):
        session.unwrap_data_key(dataset, ANNA, old[ANNA][0])
    with pytest.raises(SealBroken):
        custodian.unwrap_index_key(dataset, old["_index"][0])
    with pytest.raises(CredentialError):  # there is no such version: Vault itself refuses
        custodian.retire_wraps(dataset, ANNA, 7)
