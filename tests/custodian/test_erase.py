"""Forgetting a person: nothing opens any more, the others stay, and every step may repeat."""

import json

import pytest

from sandbox.custodian.erase import CERTIFICATE, erase
from sandbox.custodian.seal import seal_upload
from sandbox.errors import EvidenceMismatch, NotFound, NotPermitted, SubjectErased
from sandbox.sealing.head import DatasetHead
from sandbox.sealing.manifest import open_at_head
from sandbox.sealing.reader import SealedDataset, open_version
from sandbox.statements import open_statement
from tests.fakes.studio import STEWARD, facts, upload, wave


@pytest.fixture
def sealed(desk):
    recordings = [(facts(n, ("spk_anna", "spk_ben0")[n % 2]), wave(n)) for n in range(4)]
    list(seal_upload(desk, STEWARD, upload(recordings)))
    return desk


def statuses(desk):
    return [posting.entry.status for posting in desk.registers.entries("erasure")]


def test_an_erased_person_is_gone_and_the_others_are_not(sealed):
    before = sealed.manifest("digits")
    done = erase(sealed, STEWARD, "spk_anna")["erasures"][0]
    assert statuses(sealed) == ["asked", "barred", "destroyed", "certified"]
    after = sealed.manifest("digits")
    assert (after.manifest.subjects, after.manifest.tombstones) == (("spk_ben0",), ("spk_anna",))
    opened = open_version(sealed.folder("digits"), after, sealed.vault)
    assert {record.subject for record in opened.stream()} == {"spk_ben0"}
    with pytest.raises(SubjectErased):
        open_version(sealed.folder("digits"), after, sealed.vault, ["spk_anna"])
    with pytest.raises(Exception, match="gone"):
        SealedDataset.open(
            sealed.sealed / "digits",
            dataset="digits",
            manifest_digest=before.digest,
            keys=sealed.trusted(),
            keyring=sealed.vault,
        )
    statement = open_statement(done["certificate"].encode(), CERTIFICATE, sealed.trusted())
    assert statement.predicate["subject"] == "spk_anna"
    assert json.loads(done["certificate"])


def test_the_version_before_may_not_be_opened_again(sealed):
    before = sealed.manifest("digits")
    erase(sealed, STEWARD, "spk_anna")
    head = DatasetHead.from_json(sealed.vault.head("digits").value)
    assert head.min_version == head.version == 2
    with pytest.raises(Exception, match=r"not the manifest|may no longer"):
        open_at_head(sealed.folder("digits"), "digits", DatasetHead(2, before.digest, 2), sealed.trusted())


def test_a_key_that_is_not_provably_gone_certifies_nothing(sealed, monkeypatch):
    monkeypatch.setattr(sealed.vault, "destroy_key", lambda *_: None)
    with pytest.raises(EvidenceMismatch):
        erase(sealed, STEWARD, "spk_anna")
    assert statuses(sealed) == ["asked", "barred"]
    assert sealed.vault.policies["digits/train"] == ["spk_anna", "spk_ben0"]


STEPS = ["refresh_policies", "erase_subject", "settle"]


@pytest.mark.parametrize("step", STEPS)
def test_asking_again_after_a_crash_goes_on(sealed, monkeypatch, step):
    class Crash(BaseException):
        pass

    def crash(*_):
        raise Crash

    with monkeypatch.context() as patch:
        patch.setattr(f"sandbox.custodian.erase.{step}", crash)
        with pytest.raises(Crash):
            erase(sealed, STEWARD, "spk_anna")
    assert statuses(sealed)[-1] != "certified"
    erase(sealed, STEWARD, "spk_anna")
    assert statuses(sealed)[-1] == "certified"
    assert sealed.manifest("digits").manifest.tombstones == ("spk_anna",)


def test_an_erased_pseudonym_is_never_sealed_again(sealed):
    erase(sealed, STEWARD, "spk_anna")
    with pytest.raises(SubjectErased):
        list(seal_upload(sealed, STEWARD, upload([(facts(9), wave(9))], add=True)))


def test_the_last_person_of_a_dataset_may_go_too(sealed):
    erase(sealed, STEWARD, "spk_anna")
    erase(sealed, STEWARD, "spk_ben0")
    assert sealed.manifest("digits").manifest.records == 0


@pytest.mark.parametrize("subject", ["spk_nobody"])
def test_a_stranger_cannot_be_erased(sealed, subject):
    with pytest.raises(NotFound):
        erase(sealed, STEWARD, subject)


def test_an_engineer_erases_nobody(sealed):
    with pytest.raises(NotPermitted):
        erase(sealed, "eng.li", "spk_anna")
