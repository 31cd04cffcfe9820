"""A consignment at the custodian: received byte for byte, opened by nobody before two reviews, sealed, deleted."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sandbox.client.packing import Treatment
from sandbox.client.readers import read_names
from sandbox.consignment import envelope
from sandbox.consignment.letter import open_letter
from sandbox.consignment.receipt import REJECTION, verify_receipt
from sandbox.custodian import intake
from sandbox.custodian.consent import import_consents
from sandbox.custodian.people import enter_person
from sandbox.custodian.receive import consignment_file, receive
from sandbox.custodian.seal import seal_upload
from sandbox.custodian.status import activate, set_status
from sandbox.custodian.upkeep import mend
from sandbox.errors import (
    Conflict,
    ConsignmentError,
    EvidenceMismatch,
    NotFound,
    NotPermitted,
    Refused,
    StatementError,
    Usage,
)
from sandbox.policy.entries import CHECKLIST
from sandbox.sealing.reader import open_version
from sandbox.statements import Ed25519Signer, open_statement
from tests.fakes.agreement import PARTY_A, PARTY_B, agreement_yaml, signed
from tests.fakes.consignment import archive, members, order, packed, studio
from tests.fakes.custody import FakeCustody
from tests.fakes.studio import STEWARD, activation, consent, facts, make_desk, open_desk, upload, wave

REVIEWERS = ("b.privacy.1", "a.legal.1")
ALL_MET = [{"item": item, "answer": "met"} for item in CHECKLIST]


@pytest.fixture
def desk(tmp_path):
    """An agreement that takes recordings by reviewed consignments alone, two reviewers, an auditor."""
    desk = open_desk(make_desk(tmp_path / "c", FakeCustody()), intake="consignment")
    for name, party, role in (
        (REVIEWERS[0], "B", "privacy_reviewer"),
        (REVIEWERS[1], "A", "party_a_approver"),
        ("a.auditor.1", "A", "auditor"),
    ):
        person = {"person": name, "party": party, "roles": [role], "nda": {"expires": "2029-01-01"},
                  "training": {"course": "c", "valid_until": "2029-01-01"}}  # fmt: skip
        enter_person(desk, STEWARD, person)
    return desk


@pytest.fixture
def home(tmp_path):
    return studio(tmp_path / "a")


def made(desk, home, number=1, signer=PARTY_A, treatment=None, **changes):
    """A consignment's bytes, packed to this custodian; everybody in it consented."""
    target = home.parent / f"{number}.{len(list(home.parent.iterdir()))}.consignment"
    packed(home, target, order(desk.vault.intake, number=number, **changes), treatment, signer)
    consented(desk, home)
    return target.read_bytes()


def consented(desk, home, **changes):
    import_consents(
        desk, STEWARD, [consent(name, **changes) for name in read_names(home / "names.csv").values()]
    )


def received(desk, data, who=STEWARD):
    return list(receive(desk, who, [data]))[-1]


def reviewed(desk, home, **changes):
    done = received(desk, made(desk, home, **changes))["consignment"]
    for name in REVIEWERS:
        intake.review(desk, name, done, ALL_MET)
    return done


def accepted(desk, consignment, who=STEWARD, **wishes):
    return list(intake.accept(desk, who, consignment, wishes))


def refused(code, step, *args, kind=Refused, **named):
    def ask():
        found = step(*args, **named)
        return found if isinstance(found, dict) else list(found)

    with pytest.raises(kind) as caught:
        ask()
    codes = {caught.value.code, *(reason.code for reason in getattr(caught.value, "reasons", ()))}
    assert code in codes, codes


def stored_files(desk):
    return sorted(path.name for path in desk.intake.iterdir()) if desk.intake.is_dir() else []


# The whole way


def test_from_delivery_to_a_dataset_that_names_it(desk, home):
    done = received(desk, made(desk, home))
    name = done["consignment"]
    assert (done["event"], done["files"], done["state"], done["number"]) == ("received", 4, "scanned", 1)
    assert intake.review(desk, REVIEWERS[0], name, ALL_MET)["state"] == "scanned"
    assert intake.review(desk, REVIEWERS[1], name, ALL_MET)["state"] == "reviewed"
    lines = accepted(desk, name)
    assert [line["event"] for line in lines if line["event"] != "progress"] == ["sealed", "accepted"]
    entry = desk.now("dataset").dataset("digits")
    assert (entry.consignments, entry.direct, entry.records) == ((name,), False, 4)
    texts = {
        record.text
        for record in open_version(desk.folder("digits"), desk.manifest("digits"), desk.vault).stream()
    }
    assert texts == {"word nought", "word one", "word two", "word three"}
    assert set(entry.subjects) == set(read_names(home / "names.csv").values())
    assert stored_files(desk) == [f"{name}.dsse.json", f"{name}.findings.json"]
    assert [step["state"] for step in intake.show(desk, name)["history"]] == [
        "received", "scanned", "scanned", "reviewed", "accepted",
    ]  # fmt: skip


def test_a_second_consignment_adds_to_the_dataset(desk, home):
    first = reviewed(desk, home)
    accepted(desk, first)
    for number in range(4):
        (home / f"{('anna', 'ben')[number % 2]}-{number}.wav").write_bytes(wave(10 + number))
    second = reviewed(desk, home, number=2)
    accepted(desk, second)
    entry = desk.now("dataset").dataset("digits")
    assert (entry.version, entry.records, entry.consignments, entry.direct) == (2, 8, (first, second), False)


def test_neither_names_nor_words_nor_samples_lie_in_clear(desk, home, tmp_path):
    name = reviewed(desk, home)
    pcm = (home / "anna-0.wav").read_bytes()[100:400]

    def clear(*words):
        files = [path.read_bytes() for path in (tmp_path / "c").rglob("*") if path.is_file()]
        return [word for word in words for data in files if word in data]

    assert clear(b"word nought", b"Anna", b"anna-0", pcm) == []
    accepted(desk, name)
    assert clear(b"word nought", b"Anna", b"anna-0", pcm) == []


# Receiving


def test_the_receipt_is_verified_offline(desk, home):
    data = made(desk, home)
    done = received(desk, data)
    letter = open_letter(dict(members(data))["consignment.dsse.json"], [PARTY_A.public])
    said = verify_receipt(done["receipt"].encode(), letter, [desk.signer.public])
    assert (said["received_by"], said["files"]) == (STEWARD, 4)
    with pytest.raises(StatementError):
        verify_receipt(done["receipt"].encode(), letter, [PARTY_B.public])
    other = open_letter(dict(members(made(desk, home, number=2)))["consignment.dsse.json"], [PARTY_A.public])
    for wrong in (other, replace(letter, digest="0" * 64), replace(letter, files=3)):
        with pytest.raises(EvidenceMismatch) as caught:
            verify_receipt(done["receipt"].encode(), wrong, [desk.signer.public])
        assert caught.value.code == "receipt.differs"


def test_only_a_steward_receives(desk, home):
    for who in (*REVIEWERS, "a.auditor.1", "a.stranger"):
        refused("person.not_permitted", receive, desk, who, iter(()), kind=NotPermitted)


BROKEN = {
    "altered": lambda parts: [
        (name, body[:-1] + bytes([body[-1] ^ 1]) if "000001" in name else body) for name, body in parts
    ],
    "too few": lambda parts: parts[:-1],
    "too many": lambda parts: [*parts, ("data/000004.sealed", b"x")],
}


@pytest.mark.parametrize("change", BROKEN.values(), ids=BROKEN.keys())
def test_what_is_not_as_it_was_signed_leaves_nothing(desk, home, change):
    data = archive(change(members(made(desk, home))))
    with pytest.raises(ConsignmentError):
        received(desk, data)
    assert stored_files(desk) == [] and desk.registers.entries("intake") == []


def test_a_delivery_that_is_cut_leaves_nothing(desk, home):
    data = made(desk, home)
    with pytest.raises(ConsignmentError):
        list(receive(desk, STEWARD, [data[: len(data) // 2]]))
    assert stored_files(desk) == []


def test_a_caller_who_hangs_up_leaves_nothing(desk, home):
    lines = receive(desk, STEWARD, [made(desk, home)])
    next(lines)
    lines.close()
    assert stored_files(desk) == [] and desk.registers.entries("intake") == []


def test_another_signer_than_the_pinned_one_is_refused(desk, home):
    for signer in (PARTY_B, Ed25519Signer(Ed25519PrivateKey.generate())):
        with pytest.raises(StatementError):
            received(desk, made(desk, home, signer=signer))


def test_party_a_of_another_agreement_does_not_sign_for_this_one(desk, home):
    """Both agreements are active here; each has its own Party A."""
    other = Ed25519Signer(Ed25519PrivateKey.generate())
    data = agreement_yaml(intake="consignment").replace(b"dsa-2026-0001", b"dsa-2026-0002")
    body = {**activation(data, signed(data, other, PARTY_B)), "party_a_key": other.public.text}
    activate(desk, STEWARD, body)
    assert received(desk, made(desk, home, signer=other, agreement="dsa-2026-0002"))["state"] == "scanned"
    with pytest.raises(StatementError):
        received(desk, made(desk, home, signer=other))


def test_a_consignment_for_another_custodian_is_refused(desk, home):
    target = home.parent / "foreign"
    packed(home, target, order(envelope.draw_private()))
    refused("consignment.other_recipient", lambda: received(desk, target.read_bytes()))


def test_a_dataset_that_is_not_agreed_is_refused(desk, home):
    data = made(desk, home, dataset="voices")
    refused("dataset.not_agreed", lambda: received(desk, data))


def test_an_agreement_that_is_not_active_takes_nothing(desk, home):
    data = made(desk, home)
    set_status(desk, STEWARD, "dsa-2026-0001", "suspended")
    with pytest.raises((Refused, StatementError)):
        received(desk, data)


def test_numbers_rise(desk, home):
    received(desk, made(desk, home, number=5))
    for number in (5, 4, 1):
        refused(
            "consignment.number_used", lambda number=number: received(desk, made(desk, home, number=number))
        )
    assert received(desk, made(desk, home, number=6))["state"] == "scanned"


def test_the_same_consignment_again_gets_the_same_answer(desk, home):
    data = made(desk, home)
    first, again = received(desk, data), received(desk, data)
    letter = open_letter(dict(members(data))["consignment.dsse.json"], [PARTY_A.public])
    told = [verify_receipt(done["receipt"].encode(), letter, [desk.signer.public]) for done in (first, again)]
    assert told[0] == told[1] and first["consignment"] == again["consignment"]
    assert len(desk.registers.entries("intake")) == 2  # received, scanned


def test_what_a_restore_lost_is_sent_again(desk, home):
    data = made(desk, home)
    name = received(desk, data)["consignment"]
    for path in list(desk.intake.iterdir()):
        path.unlink()
    assert received(desk, data)["state"] == "scanned" and len(stored_files(desk)) == 3
    for reviewer in REVIEWERS:
        intake.review(desk, reviewer, name, ALL_MET)
    accepted(desk, name)
    received(desk, data)  # once sealed, it is not kept again
    assert desk.now("dataset").dataset("digits").records == 4 and not consignment_file(desk, name).exists()


def test_an_unknown_category_goes_to_quarantine(desk, home):
    for number, categories in ((1, ()), (2, ("speech_sample", "gossip"))):
        done = received(desk, made(desk, home, number=number, categories=categories))
        assert done["state"] == "quarantined"
        refused("intake.transition_illegal", intake.review, desk, REVIEWERS[0], done["consignment"], ALL_MET)
        refused("intake.transition_illegal", intake.accept, desk, STEWARD, done["consignment"], {})


# Nothing opens before it is accepted


@pytest.mark.parametrize("state", ["scanned", "once reviewed", "reviewed", "rejected", "quarantined"])
def test_nothing_decrypts_before_it_is_accepted(desk, home, state, monkeypatch):
    name = received(desk, made(desk, home))["consignment"]
    if "reviewed" in state:
        for reviewer in REVIEWERS[: 1 if state == "once reviewed" else 2]:
            intake.review(desk, reviewer, name, ALL_MET)
    elif state != "scanned":
        intake.end(desk, REVIEWERS[0], name, state, "why")
    refused("intake.not_accepted", lambda: list(intake._recordings(desk, name)), kind=Usage)
    opened = []
    monkeypatch.setattr("sandbox.custodian.intake.unwrap_key", lambda *a: opened.append(a))
    if state != "reviewed":
        refused("intake.transition_illegal", intake.accept, desk, STEWARD, name, {})
    assert opened == [] and desk.datasets() == []


def test_the_same_person_does_not_review_twice_nor_what_they_received(desk, home):
    name = received(desk, made(desk, home))["consignment"]
    intake.review(desk, REVIEWERS[0], name, ALL_MET)
    refused("intake.same_reviewer", intake.review, desk, REVIEWERS[0], name, ALL_MET)
    refused("intake.own_receipt", intake.review, desk, STEWARD, name, ALL_MET)


BLOCKED = {
    "intake.consent_missing": {"status": "ConsentWithdrawn"},
    "intake.signature_missing": {"evidence": {"sha256": "8" * 64, "signed_by": "guardian"}},
    "intake.scope_missing": {"scope": {"ai_synthesis_of_my_voice": False}},
    "intake.consent_expired": {"expires": "2026-11-24T12:00:00Z"},
}


@pytest.mark.parametrize(("code", "changes"), BLOCKED.items())
def test_the_consent_register_is_asked_at_every_review_and_again_at_acceptance(desk, home, code, changes):
    name = received(desk, made(desk, home))["consignment"]
    consented(desk, home, **changes)
    refused(code, intake.review, desk, REVIEWERS[0], name, ALL_MET)
    consented(desk, home)
    for reviewer in REVIEWERS:
        intake.review(desk, reviewer, name, ALL_MET)
    consented(desk, home, **changes)
    refused(code, intake.accept, desk, STEWARD, name, {})
    assert desk.datasets() == [] and intake.show(desk, name)["state"] == "reviewed"


def test_somebody_who_asked_to_be_forgotten_meanwhile_is_not_opened(desk, home):
    name = reviewed(desk, home)
    subject = desk.now("intake").intake[name].subjects[0]
    entry = {"subject": subject, "dataset": "digits", "status": "asked"}
    desk.registers.append("erasure", [entry], STEWARD)
    refused("intake.subject_erased", intake.accept, desk, STEWARD, name, {})
    intake.end(desk, REVIEWERS[0], name, "rejected", "a person in it asked to be forgotten")
    assert not consignment_file(desk, name).exists()


def test_bad_checklists_are_one_clear_error(desk, home):
    name = received(desk, made(desk, home))["consignment"]
    for bad in (None, "all", [3], [{"item": "everything", "answer": "met"}], [{"item": "notice"}]):
        refused("entry.invalid", intake.review, desk, REVIEWERS[0], name, bad, kind=Usage)
    refused("consignment.unknown", intake.review, desk, REVIEWERS[0], "cs-zzzz", ALL_MET, kind=NotFound)
    refused("input.invalid", intake.review, desk, REVIEWERS[0], "../x", ALL_MET, kind=Usage)


# Ends


def test_a_rejection_deletes_the_ciphertext_and_says_so(desk, home):
    name = received(desk, made(desk, home))["consignment"]
    done = intake.end(desk, REVIEWERS[0], name, "rejected", "no chain of title")
    said = open_statement(done["statement"].encode(), REJECTION, [desk.signer.public]).predicate
    assert (said["consignment"], said["reason"], said["files"]) == (name, "no chain of title", 4)
    assert not consignment_file(desk, name).exists()
    again = intake.end(desk, REVIEWERS[1], name, "rejected", "again")
    assert again["reason"] == "no chain of title"


def test_a_quarantined_one_stays_encrypted_and_can_only_be_rejected(desk, home):
    name = received(desk, made(desk, home))["consignment"]
    intake.end(desk, REVIEWERS[0], name, "quarantined", "in doubt")
    assert consignment_file(desk, name).exists()
    refused("intake.transition_illegal", intake.end, desk, REVIEWERS[0], name, "quarantined", "again")
    intake.end(desk, REVIEWERS[0], name, "rejected", "still in doubt")
    assert not consignment_file(desk, name).exists()


# Crashes and tampering on the custodian's own disk


def test_a_crash_while_sealing_is_mended_by_asking_again(desk, home, monkeypatch):
    name = reviewed(desk, home)
    with monkeypatch.context() as broken:
        broken.setattr(
            "sandbox.sealing.writer.Sealer.finish", lambda *a: (_ for _ in ()).throw(OSError("disk"))
        )
        with pytest.raises(OSError, match="disk"):
            accepted(desk, name)
    assert intake.show(desk, name)["state"] == "accepted" and desk.datasets() == []
    mend(desk)
    assert consignment_file(desk, name).exists()
    accepted(desk, name)
    assert desk.now("dataset").dataset("digits").records == 4
    assert [line["event"] for line in accepted(desk, name)] == ["accepted"]
    assert desk.now("dataset").dataset("digits").version == 1


@pytest.mark.parametrize("restarted", [True, False])
def test_a_crash_after_the_head_moved_seals_nothing_twice(desk, home, monkeypatch, restarted):
    name = reviewed(desk, home)
    with monkeypatch.context() as broken:
        broken.setattr("sandbox.custodian.seal.settle", lambda *a: (_ for _ in ()).throw(OSError("gone")))
        with pytest.raises(OSError, match="gone"):
            accepted(desk, name)
    if restarted:
        mend(desk)
    else:
        assert [line["event"] for line in accepted(desk, name)] == ["accepted"]
    assert not consignment_file(desk, name).exists()
    entry = desk.now("dataset").dataset("digits")
    assert (entry.version, entry.consignments, entry.direct) == (1, (name,), False)


def test_a_start_deletes_what_was_never_entered_and_finishes_a_scan(desk, home, monkeypatch):
    with monkeypatch.context() as broken:
        broken.setattr("sandbox.custodian.receive.scan", lambda *a: (_ for _ in ()).throw(OSError("gone")))
        with pytest.raises(OSError, match="gone"):
            received(desk, made(desk, home))
    name = next(iter(desk.now("intake").intake))
    assert intake.show(desk, name)["state"] == "received"
    (desk.intake / ".partial-00").write_bytes(b"x")
    (desk.intake / "cs-never.consignment").write_bytes(b"x")
    mend(desk)
    assert intake.show(desk, name)["state"] == "scanned"
    assert [found for found in stored_files(desk) if name not in found] == []


@pytest.mark.parametrize("part", ["000002", "findings", "consignment.dsse", "end"])
def test_what_was_altered_on_the_custodians_disk_is_not_opened(desk, home, part):
    name = reviewed(desk, home)
    path = consignment_file(desk, name)
    parts = members(path.read_bytes())
    if part == "end":
        path.write_bytes(path.read_bytes()[:-2000])
    else:
        path.write_bytes(archive([(n, b[:-1] + bytes([b[-1] ^ 1]) if part in n else b) for n, b in parts]))
    with pytest.raises((ConsignmentError, StatementError)):
        accepted(desk, name)
    assert desk.datasets() == []


def test_another_consignment_in_its_place_is_not_opened(desk, home):
    """Signed by the same Party A for the same custodian, but not the one that was reviewed."""
    name = reviewed(desk, home)
    other = received(desk, made(desk, home, number=2))["consignment"]
    consignment_file(desk, name).write_bytes(consignment_file(desk, other).read_bytes())
    refused("consignment.differs", lambda: accepted(desk, name), kind=ConsignmentError)


def test_somebody_whom_the_letter_does_not_name_is_not_sealed(desk, home, monkeypatch):
    name = reviewed(desk, home)
    real = intake.open_recording

    def other(data):
        facts, audio = real(data)
        return {**facts, "subject": "spk_zz"}, audio

    monkeypatch.setattr("sandbox.custodian.intake.open_recording", other)
    refused("consignment.subject_unlisted", lambda: accepted(desk, name), kind=ConsignmentError)
    assert desk.datasets() == []


# The steward's direct upload


def test_a_direct_upload_needs_both_parties_to_have_signed_for_it(desk):
    refused("dataset.intake_required", seal_upload, desk, STEWARD, upload([(facts(0), wave(0))]))


def test_a_direct_upload_stands_in_the_register_as_one(tmp_path, home):
    desk = open_desk(make_desk(tmp_path / "d", FakeCustody()), intake="direct")
    list(seal_upload(desk, STEWARD, upload([(facts(0), wave(20))])))
    assert desk.now("dataset").dataset("digits").direct is True
    for name, role in zip(REVIEWERS, ("privacy_reviewer", "party_a_approver"), strict=True):
        enter_person(desk, STEWARD, {"person": name, "party": "A", "roles": [role], "nda": {"expires": "2029-01-01"},
                                     "training": {"course": "c", "valid_until": "2029-01-01"}})  # fmt: skip
    name = reviewed(desk, home)
    accepted(desk, name)
    entry = desk.now("dataset").dataset("digits")
    assert (entry.consignments, entry.direct) == ((name,), True)


def test_what_is_shown_is_what_was_signed(desk, home):
    studio(home, ("call 138 0013 8000", "b", "c", "d"))
    name = received(desk, made(desk, home, treatment=Treatment(redact=True)))["consignment"]
    shown = intake.show(desk, name)
    assert [found["kind"] for found in json.loads(shown["findings"])] == ["phone"]
    assert open_letter(shown["letter"].encode(), [PARTY_A.public]).consignment == name


# Two at once, strangers, and what changed since


def test_nobody_without_a_role_gets_a_signed_rejection(desk, home):
    """Nor does who asks again sign for what another did."""
    name = received(desk, made(desk, home))["consignment"]
    first = intake.end(desk, REVIEWERS[0], name, "rejected", "no chain of title")
    for who in (STEWARD + "x", "a.auditor.1"):
        refused("person.not_permitted", intake.end, desk, who, name, "rejected", "why", kind=NotPermitted)
    again = intake.end(desk, REVIEWERS[1], name, "rejected", "again")
    said = [
        open_statement(done["statement"].encode(), REJECTION, [desk.signer.public]).predicate
        for done in (first, again)
    ]
    assert said[0] == said[1] and said[0]["by"] == REVIEWERS[0]


def test_two_who_accept_at_once_seal_it_once(desk, home, monkeypatch):
    """The second looked before the first one's head moved, and would open what the first has not deleted yet."""
    name, real = reviewed(desk, home), intake.seal_consignment
    first = intake.accept(desk, STEWARD, name, {})

    def behind(*args):
        monkeypatch.setattr("sandbox.custodian.intake.seal_consignment", real)
        while next(first)["event"] != "sealed":
            pass
        return real(*args)

    monkeypatch.setattr("sandbox.custodian.intake.seal_consignment", behind)
    refused("intake.opening", lambda: accepted(desk, name), kind=Conflict)
    accepted(desk, name)
    entry = desk.now("dataset").dataset("digits")
    assert (entry.version, entry.records, entry.consignments) == (1, 4, (name,))


def unsealed(desk, home, monkeypatch):
    """Accepted, but the sealing broke."""
    name = reviewed(desk, home)
    with monkeypatch.context() as broken:
        broken.setattr(
            "sandbox.sealing.writer.Sealer.finish", lambda *a: (_ for _ in ()).throw(OSError("disk"))
        )
        with pytest.raises(OSError, match="disk"):
            accepted(desk, name)
    return name


def test_who_asked_to_be_forgotten_since_the_acceptance_is_not_sealed(desk, home, monkeypatch):
    name = unsealed(desk, home, monkeypatch)
    subject = desk.now("intake").intake[name].subjects[0]
    desk.registers.append("erasure", [{"subject": subject, "dataset": "digits", "status": "asked"}], STEWARD)
    refused("intake.subject_erased", intake.accept, desk, STEWARD, name, {})
    intake.end(desk, REVIEWERS[0], name, "rejected", "a person in it asked to be forgotten")
    assert not consignment_file(desk, name).exists() and desk.datasets() == []


def test_what_a_restore_lost_after_the_acceptance_is_sent_again(desk, home, monkeypatch):
    name = unsealed(desk, home, monkeypatch)
    data = consignment_file(desk, name).read_bytes()
    consignment_file(desk, name).unlink()
    refused("intake.ciphertext_gone", lambda: accepted(desk, name))
    received(desk, data)
    accepted(desk, name)
    assert desk.now("dataset").dataset("digits").records == 4


def test_what_is_sealed_can_be_rejected_by_nobody(desk, home):
    name = reviewed(desk, home)
    accepted(desk, name)
    refused("intake.transition_illegal", intake.end, desk, REVIEWERS[0], name, "rejected", "too late")
    assert intake.show(desk, name)["state"] == "accepted"


def test_what_is_being_sealed_is_not_rejected_meanwhile(desk, home, monkeypatch):
    name, real = reviewed(desk, home), intake._recordings

    def meanwhile(*args):
        yield from real(*args)
        refused("intake.opening", intake.end, desk, REVIEWERS[0], name, "rejected", "meanwhile", kind=Conflict)

    monkeypatch.setattr("sandbox.custodian.intake._recordings", meanwhile)
    accepted(desk, name)
    assert (desk.now("dataset").dataset("digits").records, desk.opening) == (4, set())


def test_one_agreements_voices_do_not_come_under_another(desk, home):
    """Both list a dataset of the same name; its voices were given under the first."""
    first = reviewed(desk, home)
    accepted(desk, first)
    other = Ed25519Signer(Ed25519PrivateKey.generate())
    data = agreement_yaml(intake="consignment").replace(b"dsa-2026-0001", b"dsa-2026-0002")
    activate(desk, STEWARD, {**activation(data, signed(data, other, PARTY_B)), "party_a_key": other.public.text})
    second = made(desk, home, signer=other, agreement="dsa-2026-0002")
    refused("dataset.other_agreement", lambda: received(desk, second))
    assert desk.manifest("digits").manifest.agreement == "dsa-2026-0001"


@pytest.mark.parametrize("category", ["", " ", "a ", "a\nb", "\x1b[2J"])
def test_a_letter_with_odd_words_is_one_clear_error_and_leaves_nothing(desk, home, category):
    data = made(desk, home, categories=(category,))
    refused("consignment.letter_invalid", lambda: received(desk, data), kind=ConsignmentError)
    assert stored_files(desk) == [] and desk.registers.entries("intake") == []


def test_one_consignment_that_cannot_be_scanned_keeps_no_other_waiting(desk, home, monkeypatch):
    with monkeypatch.context() as broken:
        broken.setattr("sandbox.custodian.receive.scan", lambda *a: (_ for _ in ()).throw(OSError("gone")))
        for number in (1, 2):
            with pytest.raises(OSError, match="gone"):
                received(desk, made(desk, home, number=number))
    first, second = desk.now("intake").intake
    consignment_file(desk, first).unlink()
    mend(desk)
    assert [intake.show(desk, name)["state"] for name in (first, second)] == ["received", "scanned"]


def test_another_consignment_in_its_place_is_not_scanned(desk, home, monkeypatch):
    with monkeypatch.context() as broken:
        broken.setattr("sandbox.custodian.receive.scan", lambda *a: (_ for _ in ()).throw(OSError("gone")))
        for number in (1, 2):
            with pytest.raises(OSError, match="gone"):
                received(desk, made(desk, home, number=number))
    first, second = desk.now("intake").intake
    consignment_file(desk, first).write_bytes(consignment_file(desk, second).read_bytes())
    mend(desk)
    assert [intake.show(desk, name)["state"] for name in (first, second)] == ["received", "scanned"]


@pytest.mark.parametrize("reason", ["x" * 2000, "a\x00b", "a\nb"])
def test_a_reason_that_the_register_does_not_take_is_one_clear_error(desk, home, reason):
    name = received(desk, made(desk, home))["consignment"]
    refused(
        "entry.invalid", intake.end, desk, REVIEWERS[0], name, "quarantined", reason, kind=Usage
    )
