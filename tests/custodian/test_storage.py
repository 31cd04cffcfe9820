"""The custodian and an object store: it starts without an answer, never with a store that overwrites."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from sandbox.custodian import reads, storage
from sandbox.custodian.consent import import_consents
from sandbox.custodian.seal import seal_upload
from sandbox.custodian.upkeep import mend
from sandbox.errors import CredentialError, SealBroken, Unreachable
from sandbox.storage.credential import NAME
from tests.fakes.relay import Meddling
from tests.fakes.s3 import BUCKET, BUSY, DONE, HOST, REGION, S3
from tests.fakes.studio import STEWARD, consent, facts, upload, wave


@pytest.fixture
def state(tmp_path: Path, objects: S3, prefix: str) -> Path:
    (tmp_path / "app" / "configs").mkdir(parents=True)
    (tmp_path / "custodian" / "private").mkdir(parents=True)
    where = (
        f"sealed: s3://{BUCKET}/{prefix}\nregion: {REGION}\nendpoint: http://{HOST}:{objects.relay.port}\n"
    )
    (tmp_path / "app" / "configs" / "storage.yaml").write_text(where + "attempts: 1\n")
    key = tmp_path / "custodian" / "private" / NAME
    key.touch(0o600)
    key.write_bytes(objects.custodian.to_bytes())
    return tmp_path


def test_the_state_directory_is_the_choice_of_who_chose_nothing(state: Path) -> None:
    (state / "app" / "configs" / "storage.yaml").write_text("sealed: local\n")
    assert storage.chosen_root(state) is None


def test_a_bucket_is_opened_with_the_custodians_own_key(state: Path, prefix: str) -> None:
    root = storage.chosen_root(state)
    assert root is not None and root.datasets() == []
    root.store("digits").publish("index/1.sealed", b"x")
    assert root.datasets() == ["digits"]


def test_a_store_that_overwrites_is_never_used(state: Path, objects: S3) -> None:
    objects.network.coming += ["plain", "plain", Meddling(b"", DONE)]
    with pytest.raises(Unreachable) as caught:
        storage.chosen_root(state)
    assert caught.value.code == "storage.overwrites"


def test_a_store_that_does_not_answer_stops_no_consent(state: Path, objects: S3) -> None:
    objects.network.answers(BUSY, 50)
    assert storage.chosen_root(state) is not None


def test_without_a_key_there_is_no_start(state: Path) -> None:
    (state / "custodian" / "private" / NAME).unlink()
    with pytest.raises(CredentialError):
        storage.chosen_root(state)


def test_a_start_goes_on_when_the_datasets_cannot_be_seen(desk, state: Path, objects: S3) -> None:
    away = replace(desk, elsewhere=storage.chosen_root(state))
    objects.network.answers(BUSY, 50)
    mend(away)
    objects.network.coming.clear()
    assert away.root.datasets() == []


def test_what_lies_in_a_bucket_is_verified_there(desk, state: Path, objects: S3) -> None:
    away = replace(desk, elsewhere=storage.chosen_root(state))
    import_consents(away, STEWARD, [consent("spk_anna")])
    list(seal_upload(away, STEWARD, upload([(facts(0), wave(0))])))
    assert list(reads.verify_dataset(away, STEWARD, "digits"))[-1]["shards"] == 1
    shard = away.folder("digits").names("shards")[0]
    store = away.folder("digits")
    size = store.size(f"shards/{shard}")
    store.discard(f"shards/{shard}")
    store.publish(f"shards/{shard}", bytes(size))
    with pytest.raises(SealBroken, match="is not what was signed"):
        list(reads.verify_dataset(away, STEWARD, "digits"))
