"""Forgetting people: nothing opens any more, the others stay, nothing is destroyed unasked, every step may repeat."""

import json

import pytest

from sandbox.audit import open_certificate
from sandbox.custodian import certificates, erase
from sandbox.custodian.erase import ask, destroy
from sandbox.custodian.seal import seal_upload
from sandbox.errors import EvidenceMismatch, NotFound, NotPermitted, Refused, SubjectErased, Usage
from sandbox.sealing.head import DatasetHead
from sandbox.sealing.manifest import open_at_head
from sandbox.sealing.reader import SealedDataset, open_version
from tests.fakes.erasing import REASON, erase_all
from tests.fakes.erasing import erase as erase_one
from tests.fakes.studio import STEWARD, facts, upload, wave

ANNA = [("digits", "spk_anna")]


@pytest.fixture
def sealed(desk):
    recordings = [(facts(n, ("spk_anna", "spk_ben0", "spk_cleo")[n % 3]), wave(n)) for n in range(6)]
    list(seal_upload(desk, STEWARD, upload(recordings)))
    return desk


def statuses(desk):
    return [posting.entry.status for posting in desk.registers.entries("erasure")]


def test_an_erased_person_is_gone_and_the_others_are_not(sealed):
    before = sealed.manifest("digits")
    done = erase_one(sealed, STEWARD, "spk_anna")
    assert statuses(sealed) == ["asked", "barred", "destroyed", "certified"]
    after = sealed.manifest("digits")
    assert (after.manifest.subjects, after.manifest.tombstones) == (("spk_ben0", "spk_cleo"), ("spk_anna",))
    opened = open_version(sealed.folder("digits"), after, sealed.vault)
    assert {record.subject for record in opened.stream()} == {"spk_ben0", "spk_cleo"}
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
    held = open_certificate(done[0]["certificate"].encode(), sealed.trusted(), ())
    assert held.speaker == ("digits", "spk_anna") and json.loads(done[0]["certificate"])


def test_the_version_before_may_not_be_opened_again(sealed):
    before = sealed.manifest("digits")
    erase_one(sealed, STEWARD, "spk_anna")
    head = DatasetHead.from_json(sealed.vault.head("digits").value)
    assert head.min_version == head.version == 2
    with pytest.raises(Exception, match=r"not the manifest|may no longer"):
        open_at_head(sealed.folder("digits"), "digits", DatasetHead(2, before.digest, 2), sealed.trusted())


def test_many_people_leave_in_one_version(sealed):
    erase_all(sealed, STEWARD, ["spk_anna", "spk_ben0"])
    manifest = sealed.manifest("digits").manifest
    assert (manifest.version, manifest.tombstones) == (2, ("spk_anna", "spk_ben0"))
    assert statuses(sealed) == ["asked", "asked", "barred", "barred", *["destroyed"] * 2, *["certified"] * 2]


def test_one_unknown_person_among_many_enters_nobody(sealed):
    with pytest.raises(NotFound, match="spk_nobody"):
        ask(sealed, STEWARD, ["spk_anna", "spk_nobody"])
    assert statuses(sealed) == []


def test_asked_for_alone_destroys_nothing(sealed):
    ask(sealed, STEWARD, ["spk_anna"])
    assert statuses(sealed) == ["asked", "barred"]
    assert ("digits", "spk_anna") in sealed.vault.masters
    assert "spk_anna" in sealed.vault.policies["digits/train"]


@pytest.mark.parametrize("reason", ["", "  "], ids=["none", "blank"])
def test_without_the_gates_receipt_and_without_a_reason_nothing_is_destroyed(sealed, reason):
    ask(sealed, STEWARD, ["spk_anna"])
    with pytest.raises(Refused) as refused:
        destroy(sealed, STEWARD, ANNA, [], reason)
    assert refused.value.code == "receipt.missing"
    assert ("digits", "spk_anna") in sealed.vault.masters


def test_a_reason_for_going_on_without_the_gate_is_recorded(sealed):
    done = erase_one(sealed, STEWARD, "spk_anna")
    entry = sealed.registers.entries("erasure")[2].entry
    assert entry.without_receipt == REASON
    assert json.loads(_payload(done[0]["certificate"]))["predicate"]["without_receipt"] == REASON


def test_nobody_is_destroyed_who_was_not_asked_for(sealed):
    with pytest.raises(Refused) as refused:
        destroy(sealed, STEWARD, ANNA, [], REASON)
    assert refused.value.code == "erasure.not_asked"


def test_a_key_that_is_not_provably_gone_certifies_nothing(sealed, monkeypatch):
    monkeypatch.setattr(sealed.vault, "destroy_key", lambda *_: None)
    with pytest.raises(EvidenceMismatch):
        erase_one(sealed, STEWARD, "spk_anna")
    assert statuses(sealed) == ["asked", "barred"]
    with pytest.raises(Refused) as refused:
        certificates.certify(sealed, STEWARD, ANNA, [])
    assert refused.value.code == "erasure.not_destroyed"


def test_a_key_that_a_sealing_made_again_meanwhile_is_destroyed_once_more(sealed, monkeypatch):
    tombstones = erase.erase_subjects

    def sealing_too(*given):
        sealed.vault.create_subject_key("digits", "spk_anna")
        return tombstones(*given)

    monkeypatch.setattr(erase, "erase_subjects", sealing_too)
    erase_one(sealed, STEWARD, "spk_anna")
    assert ("digits", "spk_anna") not in sealed.vault.masters


STEPS = [
    ("erase", "refresh_policies"),
    ("erase.cases", "objects"),
    ("erase.cases", "write"),
    ("erase", "erase_subjects"),
    ("erase", "settle"),
    ("certificates", "sign_statement"),
    ("certificates", "write_file"),
]


@pytest.mark.parametrize(("module", "step"), STEPS, ids=[step for _, step in STEPS])
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_asking_again_after_a_crash_goes_on(sealed, monkeypatch, module, step, after):
    class Crash(BaseException):
        pass

    place = f"sandbox.custodian.{module}.{step}"
    real = _at(place)

    def crash(*given, **more):
        if after:
            real(*given, **more)
        raise Crash

    with monkeypatch.context() as patch:
        patch.setattr(place, crash)
        with pytest.raises(Crash):
            erase_all(sealed, STEWARD, ["spk_anna", "spk_ben0"])
    assert statuses(sealed)[-1] != "certified"
    found = erase_all(sealed, STEWARD, ["spk_anna", "spk_ben0"])
    assert statuses(sealed)[-1] == "certified" and len(found) == 2
    manifest = sealed.manifest("digits").manifest
    assert (manifest.version, manifest.tombstones) == (2, ("spk_anna", "spk_ben0"))
    said = open_certificate(found[0]["certificate"].encode(), sealed.trusted(), ()).said
    assert said["verification"]["wraps"] == 1 and said["objects"]["records"] == 2


def test_a_register_move_that_crashed_is_made_again(sealed, monkeypatch):
    class Crash(BaseException):
        pass

    append, calls = sealed.registers.append, []

    def crash(name, entries, by):
        calls.append(name)
        if len([c for c in calls if c == "erasure"]) == 3:
            raise Crash
        return append(name, entries, by)

    with monkeypatch.context() as patch:
        patch.setattr(sealed.registers, "append", crash)
        with pytest.raises(Crash):
            erase_one(sealed, STEWARD, "spk_anna")
    erase_one(sealed, STEWARD, "spk_anna")
    assert statuses(sealed) == ["asked", "barred", "destroyed", "certified"]


def test_a_certificate_stands_as_it_was_signed_and_is_told_again(sealed):
    first = erase_one(sealed, STEWARD, "spk_anna")
    again = certificates.certify(sealed, STEWARD, ANNA, [])["certificates"]
    told = certificates.certificates_of(sealed, STEWARD, "spk_anna")["certificates"]
    assert first == again == told
    assert statuses(sealed).count("certified") == 1
    with pytest.raises(NotFound):
        certificates.certificates_of(sealed, STEWARD, "spk_ben0")


def test_the_certificate_says_until_when_snapshots_live(sealed):
    said = json.loads(_payload(erase_one(sealed, STEWARD, "spk_anna")[0]["certificate"]))["predicate"]
    assert said["copies"]["snapshots"] | {"what": ""} == {
        "what": "",
        "days": 30,
        "until": "2026-12-24T12:00:00Z",
    }
    assert said["exceptions"][0]["until"] == "2026-12-24T12:00:00Z"


def test_nobody_is_their_own_witness(sealed):
    ask(sealed, STEWARD, ["spk_anna"])
    list(destroy(sealed, STEWARD, ANNA, [], REASON))
    with pytest.raises(NotPermitted) as refused:
        certificates.certify(sealed, STEWARD, ANNA, [], witness=STEWARD)
    assert refused.value.code == "witness.same"


def test_the_list_for_the_witness_is_the_registers_signed_entries(sealed):
    erase_one(sealed, STEWARD, "spk_anna")
    lines = certificates.erasure_list(sealed, STEWARD).splitlines()
    files = [sealed.registers._path("erasure", seq).read_bytes() for seq in range(1, 5)]
    assert lines == files


def test_an_erased_pseudonym_is_never_sealed_again(sealed):
    erase_one(sealed, STEWARD, "spk_anna")
    with pytest.raises(SubjectErased):
        list(seal_upload(sealed, STEWARD, upload([(facts(9), wave(9))], add=True)))


def test_the_last_person_of_a_dataset_may_go_too(sealed):
    erase_all(sealed, STEWARD, ["spk_anna", "spk_ben0", "spk_cleo"])
    assert sealed.manifest("digits").manifest.records == 0


def test_a_stranger_cannot_be_erased(sealed):
    with pytest.raises(NotFound):
        ask(sealed, STEWARD, ["spk_nobody"])


@pytest.mark.parametrize(("state", "waits"), [("received", True), ("accepted", True), ("rejected", False)])
def test_a_voice_in_a_consignment_that_is_not_sealed_is_not_passed_over(sealed, state, waits):
    entry = {
        "consignment": "cs-abc234",
        "number": 1,
        "agreement": "dsa-2026-0001",
        "dataset": "digits",
        "digest": "7" * 64,
        "categories": ["speech_sample"],
        "subjects": ["spk_dora", "spk_anna"],
        "files": 1,
        "size": 1,
        "received_by": STEWARD,
        "state": state,
    }
    sealed.registers.append("intake", [entry], STEWARD)
    with pytest.raises(NotFound) as refused:
        ask(sealed, STEWARD, ["spk_dora"])
    assert ("cs-abc234" in str(refused.value.mend)) == waits
    with pytest.raises(NotFound) as refused:
        ask(sealed, STEWARD, ["spk_nobody"])
    assert "cs-abc234" not in str(refused.value.mend)


def test_nobody_named_is_no_erasure(sealed):
    with pytest.raises(Usage):
        ask(sealed, STEWARD, [])


def test_an_engineer_erases_nobody(sealed):
    ask(sealed, STEWARD, ["spk_anna"])
    for act in (
        lambda: ask(sealed, "eng.li", ["spk_anna"]),
        lambda: destroy(sealed, "eng.li", ANNA, [], REASON),
        lambda: certificates.certify(sealed, "eng.li", ANNA, []),
    ):
        with pytest.raises(NotPermitted):
            act()


def _payload(certificate):
    import base64

    return base64.b64decode(json.loads(certificate)["payload"])


def _at(place):
    import importlib

    name, _, attribute = place.rpartition(".")
    if name.endswith(".cases"):
        name = "sandbox.custodian.cases"
    return getattr(importlib.import_module(name), attribute)
