"""The consent record: complete, signed by Party A, its faults by line, its history kept, nothing given twice."""

import base64
import json

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sandbox.custodian import consent as duty
from sandbox.custodian.consent import import_consents, import_signed, withdraw_consent
from sandbox.custodian.consent_history import show
from sandbox.custodian.people import enter_person
from sandbox.custodian.seal import seal_upload
from sandbox.custodian.status import activate
from sandbox.errors import NotFound, NotPermitted, Refused, StatementError, Usage
from sandbox.policy.agreement import sign_agreement
from sandbox.policy.consent_file import read_consents, sign_consents
from sandbox.statements import Ed25519Signer, open_envelope, sha256
from tests.fakes.agreement import PARTY_A, PARTY_B, agreement_yaml
from tests.fakes.studio import NOW, STEWARD, activation, consent, facts, upload, wave

ANNA = "spk_anna"
RECORD = """\
- record_id: cr-000017
  subject: spk_anna
  dataset: digits
  status: dpv:ConsentGiven
  given_at: 2026-01-05T10:12:00+08:00
  expires: 2026-12-24T23:59:59+08:00
  evidence: {sha256: EIGHTS, signed_by: subject, method: handwritten+liveness}
  notice_sha256: 4444444444444444444444444444444444444444444444444444444444444444
  age_band: adult
  guardian_evidence: null
  scope:
    process_voice_biometric: true
    ai_synthesis_of_my_voice: true
    cross_border: {allowed: false, recipients: []}
    commercial_use: true
  withdrawal: {channel: https://b.example/rights, at: null}
""".replace("EIGHTS", "8" * 64)


def sent(text: str, *signers: Ed25519Signer, name: str = "consents.yaml", over: str = ""):
    data = text.encode()
    envelope = sign_consents((over or text).encode(), *(signers or (PARTY_A,)))
    parts = {"file": data, "envelope": envelope}
    return {"name": name, **{key: base64.b64encode(value).decode() for key, value in parts.items()}}


def codes(desk, body):
    with pytest.raises(Refused) as caught:
        import_signed(desk, STEWARD, body)
    return [(reason.code, reason.about) for reason in caught.value.reasons]


def test_a_signed_record_stands_as_it_was_written(desk):
    answer = import_signed(desk, STEWARD, sent(RECORD))
    found = desk.now("consent").consents["digits", ANNA]
    assert answer["entered"] == 1 and found.status == "ConsentGiven" and found.record_id == "cr-000017"
    assert (
        found.scope.commercial_use and not found.scope.release_model and not found.scope.cross_border.allowed
    )
    assert found.notice_sha256 == "4" * 64 and found.withdrawal.channel == "https://b.example/rights"
    (kept,) = (desk.sealed.parent / "consents").iterdir()
    assert kept.name == f"{found.imported}.dsse.json" and sha256(kept.read_bytes()) == found.imported
    assert kept.stat().st_mode & 0o777 == 0o600 and kept.parent.stat().st_mode & 0o777 == 0o700
    assert open_envelope(kept.read_bytes(), "application/vnd.voice-sandbox.consents+yaml", [PARTY_A.public])


FORMS = {
    "a list": RECORD,
    "under consents": "consents:\n" + RECORD,
    "one alone": RECORD.replace("- record_id", "  record_id"),
    "JSON": json.dumps([{"record_id": "cr-000017", "notice_sha256": "4" * 64, **consent(ANNA)}], indent=1),
}


@pytest.mark.parametrize("text", FORMS.values(), ids=FORMS)
def test_every_form_is_read(desk, text):
    assert import_signed(desk, STEWARD, sent(text))["entered"] == 1


stranger = Ed25519Signer(Ed25519PrivateKey.generate())
UNSIGNED = {
    "Party B's key": sent(RECORD, PARTY_B),
    "a stranger's key": sent(RECORD, stranger),
    "other bytes": sent(RECORD.replace("adult", "14_17"), over=RECORD),
    "no signature": {**sent(RECORD), "envelope": ""},
    "no envelope": {**sent(RECORD), "envelope": base64.b64encode(b"{}").decode()},
}


@pytest.mark.parametrize("body", UNSIGNED.values(), ids=UNSIGNED)
def test_without_party_as_signature_nothing_is_read(desk, body, monkeypatch):
    def read(*_):
        raise AssertionError("parsed before it was verified")

    monkeypatch.setattr(duty, "read_consents", read)
    with pytest.raises(StatementError) as caught:
        import_signed(desk, STEWARD, body)
    assert caught.value.code == "consents.unsigned" and desk.registers.entries("consent") == []


FAULTS = {
    "no notice": ("  notice_sha256: " + "4" * 64 + "\n", "", "1: consents.0.notice_sha256: missing"),
    "no offset": ("10:12:00+08:00", "10:12:00", "5: consents.0.given_at: a time carries an offset"),
    "a child alone": ("age_band: adult", "age_band: under_14", "10: consents.0.guardian_evidence: a child"),
    "an unknown flag": ("    commercial_use", "    comercial_use", "15: consents.0.scope.comercial_use: no"),
    "no boolean": ("commercial_use: true", "commercial_use: yes", "15: consents.0.scope.commercial_use:"),
    "twice": ("  withdrawal:", "  subject: spk_ben0\n  withdrawal:", "16: 'subject' stands twice"),
    "its own import": ("  age_band", "  imported: " + "5" * 64 + "\n  age_band", "9: consents.0.imported: no"),
}  # fmt: skip


@pytest.mark.parametrize(("old", "new", "said"), FAULTS.values(), ids=FAULTS)
def test_a_fault_is_named_with_its_line_and_nothing_goes_in(desk, old, new, said):
    assert old in RECORD
    with pytest.raises(Usage) as caught:
        import_signed(desk, STEWARD, sent(RECORD.replace(old, new)))
    assert f"consents.yaml:{said}" in caught.value.message and desk.registers.entries("consent") == []


def test_a_fault_is_told_once_and_an_empty_file_is_one(desk):
    with pytest.raises(Usage) as caught:
        read_consents(RECORD.replace("10:12:00+08:00", "10:12:00").encode(), "c.yaml")
    assert caught.value.message.count("\n") == 0
    for text in ("consents: []", "[]"):
        with pytest.raises(Usage, match="between 1 and 10000 consents at once, not 0"):
            read_consents(text.encode(), "c.yaml")


def test_a_subject_or_record_that_stands_twice_is_named():
    with pytest.raises(Usage) as caught:
        read_consents((RECORD + RECORD).encode(), "c.yaml")
    assert "c.yaml:17: the record cr-000017 stands twice" in caught.value.message
    assert "c.yaml:17: the consent of spk_anna for digits stands twice" in caught.value.message


def test_all_go_in_or_none_and_a_signer_answers_for_its_datasets_only(desk):
    other = RECORD.replace("digits", "voices").replace("cr-000017", "cr-000018")
    assert codes(desk, sent(RECORD + other)) == [("consents.foreign", "consents.yaml:17 cr-000018")]
    assert desk.registers.entries("consent") == []


def test_the_party_a_of_another_agreement_answers_for_no_dataset_that_was_sealed_under_this_one(desk):
    list(seal_upload(desk, STEWARD, upload([(facts(0), wave(0))])))
    stranger = Ed25519Signer(Ed25519PrivateKey.generate())
    text = agreement_yaml().replace(b"dsa-2026-0001", b"dsa-2026-0002")  # names the dataset, too
    made = activation(text, sign_agreement(text, [stranger, PARTY_B]))
    activate(desk, STEWARD, made | {"party_a_key": stranger.public.text})
    assert codes(desk, sent(RECORD, stranger)) == [("consents.foreign", "consents.yaml:1 cr-000017")]
    assert import_signed(desk, STEWARD, sent(RECORD))["entered"] == 1


@pytest.mark.parametrize("part", ["file", "envelope"])
def test_bytes_that_are_none_are_named(desk, part):
    with pytest.raises(Usage, match=part):
        import_signed(desk, STEWARD, {**sent(RECORD), part: "\u00e9\u00e9\u00e9\u00e9"})


def test_a_consent_to_another_notice_than_the_agreements_is_none(desk):
    assert codes(desk, sent(RECORD.replace("4" * 64, "5" * 64))) == [
        ("consent.other_notice", "consents.yaml:1 cr-000017")
    ]


def test_an_import_may_be_repeated(desk):
    import_signed(desk, STEWARD, sent(RECORD))
    assert import_signed(desk, STEWARD, sent(RECORD))["entered"] == 0
    assert len(desk.registers.entries("consent")) == 1


def test_an_old_file_gives_back_nothing_that_was_withdrawn(desk):
    import_signed(desk, STEWARD, sent(RECORD))
    withdraw_consent(desk, STEWARD, "digits", ANNA)
    assert codes(desk, sent(RECORD)) == [("consent.replayed", "consents.yaml:1 cr-000017")]
    never_sent = RECORD.replace("cr-000017", "cr-000016")
    assert codes(desk, sent(never_sent)) == [("consent.older", "consents.yaml:1 cr-000016")]
    anew = RECORD.replace("cr-000017", "cr-000019").replace(
        "2026-01-05T10:12:00+08:00", "2026-11-24T20:00:01+08:00"
    )
    assert import_signed(desk, STEWARD, sent(anew))["entered"] == 1


def test_a_record_is_not_widened_under_its_own_name(desk):
    import_signed(desk, STEWARD, sent(RECORD))
    wider = RECORD.replace("commercial_use: true", "release_model: true")
    assert codes(desk, sent(wider)) == [("consent.replayed", "consents.yaml:1 cr-000017")]


def test_a_withdrawal_that_says_no_time_counts_from_its_entry(desk):
    import_signed(desk, STEWARD, sent(RECORD))
    import_signed(desk, STEWARD, sent(RECORD.replace("dpv:ConsentGiven", "ConsentWithdrawn")))
    kept_back = RECORD.replace("cr-000017", "cr-000018").replace("2026-01-05", "2026-02-05")
    assert codes(desk, sent(kept_back)) == [("consent.older", "consents.yaml:1 cr-000018")]


@pytest.mark.parametrize("status", ["ConsentRefused", "ConsentUnknown"])
def test_what_was_refused_is_not_given_by_an_older_file(desk, status):
    import_signed(desk, STEWARD, sent(RECORD.replace("dpv:ConsentGiven", status)))
    older = RECORD.replace("cr-000017", "cr-000018").replace("2026-01-05", "2026-02-05")
    assert codes(desk, sent(older)) == [("consent.older", "consents.yaml:1 cr-000018")]


def test_party_as_own_person_brings_no_old_record_back_either(desk):
    old = {"record_id": "cr-000017", **consent(ANNA)}
    import_consents(desk, STEWARD, [old])
    import_consents(desk, STEWARD, [old])
    withdraw_consent(desk, STEWARD, "digits", ANNA)
    with pytest.raises(Refused) as refused:
        import_consents(desk, STEWARD, [old])
    assert refused.value.code == "consent.replayed"
    assert desk.now("consent").consents["digits", ANNA].status == "ConsentWithdrawn"
    assert import_consents(desk, STEWARD, [consent(ANNA)])["entered"] == 1  # a record of its own


def test_nobody_says_by_hand_that_a_signed_file_was_imported(desk):
    with pytest.raises(Usage, match="imported"):
        import_consents(desk, STEWARD, [{**consent(ANNA), "imported": "a" * 64}])


def test_a_signed_withdrawal_always_goes_in(desk):
    import_signed(desk, STEWARD, sent(RECORD))
    gone = RECORD.replace("dpv:ConsentGiven", "ConsentWithdrawn").replace(
        "at: null", "at: 2026-11-20T09:00:00+08:00"
    )
    assert import_signed(desk, STEWARD, sent(gone))["entered"] == 1
    assert desk.now("consent").consents["digits", ANNA].status == "ConsentWithdrawn"


def test_party_b_enters_no_consent_on_its_own_word(desk):
    person = {
        "person": "b.steward",
        "party": "B",
        "roles": ["data_steward"],
        "nda": {"expires": "2029-01-01"},
    }
    enter_person(desk, STEWARD, {**person, "training": {"course": "c", "valid_until": "2029-01-01"}})
    with pytest.raises(NotPermitted):
        import_consents(desk, "b.steward", [consent(ANNA)])
    assert import_signed(desk, "b.steward", sent(RECORD))["entered"] == 1
    assert withdraw_consent(desk, "b.steward", "digits", ANNA)["entered"] == 1


def test_the_history_is_whole_and_says_who_when_and_what_ends_it(desk):
    import_signed(desk, STEWARD, sent(RECORD))
    list(seal_upload(desk, STEWARD, upload([(facts(0), wave(0))])))
    assert show(desk, STEWARD, ANNA)["stands"] == [
        {"dataset": "digits", "status": "ConsentGiven", "until": "2026-12-24T15:59:59Z",
         "why": f"consent cr-000017 of {ANNA}"}
    ]  # fmt: skip
    withdraw_consent(desk, STEWARD, "digits", ANNA, "by letter")
    found = show(desk, STEWARD, ANNA, "digits")
    assert [(one["status"], one["by"], one["seq"]) for one in found["items"]] == [
        ("ConsentGiven", STEWARD, 1), ("ConsentWithdrawn", STEWARD, 2)
    ]  # fmt: skip
    assert [one["digest"] for one in found["items"]] == [p.digest for p in desk.registers.entries("consent")]
    assert found["items"][1]["withdrawal"] == {"channel": "by letter", "at": "2026-11-24T12:00:00Z"}
    assert found["items"][1]["entered"] == NOW.strftime("%Y-%m-%dT%H:%M:%SZ")
    assert found["stands"][0]["status"] == "ConsentWithdrawn"
    with pytest.raises(NotFound):
        show(desk, STEWARD, "spk_nobody")
