"""What ends by itself takes effect by itself: consents, approvals, retention; also after a fault or a set clock."""

import threading
import time
from datetime import timedelta

import pytest

from sandbox.custodian import expiry
from sandbox.custodian.access import grant_access, revoke_access
from sandbox.custodian.consent import import_consents, withdraw_consent
from sandbox.custodian.expiry import Clockwork, keep_time
from sandbox.custodian.people import enter_person
from sandbox.custodian.reads import list_datasets, show_dataset
from sandbox.custodian.retention import due
from sandbox.custodian.seal import seal_upload
from sandbox.custodian.status import activate, set_status
from sandbox.errors import NotFound, Refused, VaultUnreachable
from sandbox.policy.fields import moment
from tests.fakes.agreement import agreement_yaml
from tests.fakes.custody import FakeCustody
from tests.fakes.erasing import erase_all
from tests.fakes.studio import NOW, STEWARD, activation, consent, facts, make_desk, open_desk, upload, wave

SECOND = timedelta(seconds=1)
END = moment("2027-01-31T23:59:59+08:00")  # of agreement and retention alike
ANNA, BEN = "spk_anna", "spk_ben0"


def two_voices(desk, **changes):
    import_consents(desk, STEWARD, [consent(ANNA, **changes), consent(BEN)])
    list(seal_upload(desk, STEWARD, upload([(facts(0), wave(0)), (facts(1, BEN), wave(1))])))
    return desk


def at(desk, now):
    desk.clock.now = now


EDGES = {
    "in Hefei": "2026-12-01T08:00:00+08:00",
    "in UTC": "2026-12-01T00:00:00Z",
    "west of there": "2026-11-30T19:00:00-05:00",
    "a bare date": "2026-12-01",
    "a part of a second later": "2026-12-01T00:00:00.9Z",
}


@pytest.mark.parametrize("expires", EDGES.values(), ids=EDGES)
def test_a_consent_bars_at_its_second_and_not_before(desk, expires):
    two_voices(desk, expires=expires)
    clock, end = Clockwork(desk), moment("2026-12-01T00:00:00Z")
    clock.look()
    at(desk, end - SECOND)
    assert clock.look() == 1.0 and desk.vault.policies["digits/train"] == []
    at(desk, end)
    assert clock.look() == expiry.LOOK_S and desk.vault.policies["digits/train"] == [ANNA]


def test_a_consent_that_begins_lets_in_at_its_second(desk):
    two_voices(desk, given_at="2026-12-01")
    clock = Clockwork(desk)
    clock.look()
    assert desk.vault.policies["digits/train"] == [ANNA]
    at(desk, moment("2026-12-01T00:00:00Z"))
    clock.look()
    assert desk.vault.policies["digits/train"] == []


def test_nothing_is_written_while_nothing_ends(desk, monkeypatch):
    two_voices(desk)
    clock, written = Clockwork(desk), []
    clock.look()
    monkeypatch.setattr(expiry, "refresh_policies", lambda desk, dataset: written.append(dataset))
    at(desk, NOW + timedelta(hours=1))
    assert clock.look() == expiry.LOOK_S and written == []


def test_a_clock_that_was_set_back_is_noticed(desk, monkeypatch):
    two_voices(desk)
    clock, written = Clockwork(desk), []
    clock.look()
    monkeypatch.setattr(expiry, "refresh_policies", lambda desk, dataset: written.append(dataset))
    at(desk, NOW - timedelta(days=1))
    clock.look()
    assert written == ["digits"]


def test_an_edge_that_failed_is_tried_again(desk, monkeypatch):
    two_voices(desk, expires="2026-12-01")
    clock, write = Clockwork(desk), desk.vault.write_run_policy
    clock.look()
    at(desk, moment("2026-12-01T00:00:00Z"))

    def down(*_, **__):
        raise VaultUnreachable("down")

    monkeypatch.setattr(desk.vault, "write_run_policy", down)
    with pytest.raises(VaultUnreachable):
        clock.look()
    monkeypatch.setattr(desk.vault, "write_run_policy", write)
    clock.look()
    assert desk.vault.policies["digits/train"] == [ANNA]


def test_a_withdrawal_whose_policies_could_not_be_written_takes_effect_at_the_next_look(desk, monkeypatch):
    two_voices(desk)
    clock, write = Clockwork(desk), desk.vault.write_run_policy
    clock.look()

    def down(*_, **__):
        raise VaultUnreachable("down")

    monkeypatch.setattr(desk.vault, "write_run_policy", down)
    with pytest.raises(VaultUnreachable):
        withdraw_consent(desk, STEWARD, "digits", ANNA)
    assert desk.vault.policies["digits/train"] == []
    monkeypatch.setattr(desk.vault, "write_run_policy", write)
    clock.look()
    assert desk.vault.policies["digits/train"] == [ANNA]


def test_the_loop_goes_on_after_a_fault_and_waits_as_it_is_told(monkeypatch):
    answers, waits = iter([VaultUnreachable("down"), KeyError("ours"), 3.5, 0.25]), []

    class Stop(threading.Event):
        def wait(self, timeout=None):
            waits.append(timeout)
            return len(waits) == 4

    def look():
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    keep_time(look, Stop())
    assert waits == [expiry.RETRY_S, expiry.RETRY_S, 3.5, 0.25]


def test_a_consent_takes_effect_within_a_moment_of_real_time(desk, monkeypatch):
    """The issue's bound is 60 s. A busy machine is late by itself: what was waited for is held to it."""
    two_voices(desk, expires=(NOW + timedelta(seconds=2)).isoformat())
    began = time.monotonic()
    running = lambda _: NOW + timedelta(seconds=time.monotonic() - began)  # noqa: E731
    monkeypatch.setattr(type(desk.clock), "__call__", running)
    barred = lambda: desk.vault.policies["digits/train"] == [ANNA]  # noqa: E731
    waits = list[float]()

    class Stop(threading.Event):
        def wait(self, timeout=None):
            if not barred():
                waits.append(timeout)
            return super().wait(timeout)

    stop = Stop()
    thread = threading.Thread(target=keep_time, args=(Clockwork(desk).look, stop), daemon=True)
    thread.start()
    try:
        while not barred():
            assert time.monotonic() - began < 60
            time.sleep(0.01)
        took = time.monotonic() - began
    finally:
        stop.set()
        thread.join(60)
    assert took > 1.9 and sum(waits) < 2.1


def test_at_the_end_of_the_period_told_nothing_opens_and_the_steward_is_told(desk):
    two_voices(desk)
    import_consents(desk, STEWARD, [consent(name, expires="2028-01-01") for name in (ANNA, BEN)])
    clock = Clockwork(desk)
    clock.look()
    at(desk, END - SECOND)
    clock.look()
    assert set(desk.vault.policies) == {"digits/train", "digits/test"} and due(desk) == []
    at(desk, END)
    clock.look()
    assert desk.vault.policies == {}
    (found,) = due(desk)
    assert (found.dataset, found.what, found.subjects) == ("digits", "destroy", (ANNA, BEN))
    assert found.ended == found.destroy_by == "2027-01-31T15:59:59Z"
    assert list_datasets(desk, STEWARD, {})["items"][0]["over"] is True


def test_what_is_due_is_destroyed_by_the_erasure_of_everybody_in_it(desk):
    two_voices(desk)
    at(desk, END + timedelta(days=1))
    certificates = erase_all(desk, STEWARD, [ANNA, BEN], "digits")
    assert len(certificates) == 2 and due(desk) == []
    assert set(desk.manifest("digits").manifest.tombstones) == {ANNA, BEN}


def test_the_grace_counts_from_the_end(tmp_path):
    desk = open_desk(make_desk(tmp_path, FakeCustody()))
    digest = desk.now("status").statuses["dsa-2026-0001"].digest
    text = agreement_yaml(version=2, supersedes=digest)
    text = text.replace(b"2027-01-31T23:59:59+08:00, on_expiry: destroy, grace: P0D",
                        b"2027-01-31T12:00:00+08:00, on_expiry: return, grace: P1M")  # fmt: skip
    activate(desk, STEWARD, activation(text))
    two_voices(desk)
    at(desk, END)
    (found,) = due(desk)
    assert (found.ended, found.destroy_by) == ("2027-01-31T04:00:00Z", "2027-02-28T04:00:00Z")
    assert (found.what, found.why) == ("return", "the period told to data subjects")


def test_an_agreement_that_was_ended_gives_its_own_time_to_destroy(desk):
    two_voices(desk)
    set_status(desk, STEWARD, "dsa-2026-0001", "terminated")
    at(desk, NOW + SECOND)
    set_status(desk, STEWARD, "dsa-2026-0001", "terminated")  # saying it again moves nothing
    (found,) = due(desk)
    assert (found.ended, found.destroy_by) == ("2026-11-24T12:00:00Z", "2026-12-24T12:00:00Z")


def test_what_ends_first_is_shown_with_its_reason(desk):
    two_voices(desk, expires="2026-12-24")
    shown = show_dataset(desk, STEWARD, "digits")
    assert shown["ends"] == "2027-01-31T15:59:59Z" and shown["ends_why"] == "the period told to data subjects"
    assert shown["first_end"] == "2026-12-24T00:00:00Z" and f"of {ANNA}" in shown["first_end_why"]


APPROVER = {"person": "eng.li", "dataset": "digits", "purposes": ["train"], "minors": [ANNA]}


@pytest.fixture
def school(tmp_path):
    """Anna is fifteen, and the agreement names who approves."""
    desk = make_desk(tmp_path, FakeCustody())
    from sandbox.custodian.people import first_person

    first_person(desk, STEWARD, lambda password: None)
    named = f"minor_access_approver: {STEWARD}".encode()
    text = agreement_yaml().replace(b"minor_access_approver: null", named)
    activate(desk, STEWARD, activation(text))
    person = {"person": "eng.li", "party": "B", "roles": ["ml_engineer"], "nda": {"expires": "2029-01-01"}}
    enter_person(desk, STEWARD, {**person, "training": {"course": "c", "valid_until": "2029-01-01"}})
    return two_voices(desk, age_band="14_17")


def test_a_minor_is_barred_but_while_an_approval_stands(school):
    clock = Clockwork(school)
    clock.look()
    assert school.vault.policies["digits/train"] == [ANNA]
    until = (NOW + timedelta(hours=2)).isoformat()
    entered = grant_access(school, STEWARD, {**APPROVER, "until": until})
    assert school.vault.policies == {"digits/train": [], "digits/test": [ANNA]}
    at(school, NOW + timedelta(hours=2))
    clock.look()
    assert school.vault.policies["digits/train"] == [ANNA]
    at(school, NOW + timedelta(hours=1))
    clock.look()
    assert school.vault.policies["digits/train"] == []
    revoke_access(school, STEWARD, entered["id"])
    assert school.vault.policies["digits/train"] == [ANNA]


def test_a_child_without_a_guardian_is_barred_whoever_approves(school):
    import_consents(school, STEWARD, [consent(ANNA, age_band="under_14")])
    grant_access(school, STEWARD, {**APPROVER, "until": (NOW + timedelta(hours=2)).isoformat()})
    assert school.vault.policies["digits/train"] == [ANNA]
    import_consents(
        school, STEWARD, [consent(ANNA, age_band="under_14", guardian_evidence={"sha256": "9" * 64})]
    )
    assert school.vault.policies["digits/train"] == []


def test_who_may_approve_and_for_how_long(school):
    def codes(caller=STEWARD, **changes):
        with pytest.raises(Refused) as caught:
            grant_access(
                school, caller, {**APPROVER, "until": (NOW + timedelta(hours=2)).isoformat(), **changes}
            )
        return [reason.code for reason in caught.value.reasons]

    assert codes(until=(NOW + timedelta(days=1, seconds=1)).isoformat()) == ["minors.too_long"]
    other = {"party": "A", "roles": ["party_a_approver"], "nda": {"expires": "2029-01-01"}}
    enter_person(school, STEWARD, {**other, "person": "a.other", "training": {"course": "c", "valid_until": "2029"
                                                                              "-01-01"}})  # fmt: skip
    assert codes("a.other") == ["minors.approver"]
    assert codes(person=STEWARD) == ["minors.self_approved"]


def test_one_dataset_that_cannot_be_read_keeps_no_other_from_ending(desk, monkeypatch):
    two_voices(desk, expires="2026-12-01T00:00:00Z")
    clock = Clockwork(desk)
    clock.look()
    at(desk, moment("2026-12-01T00:00:00Z"))
    every = type(desk).datasets
    monkeypatch.setattr(type(desk), "datasets", lambda self: ["aaa-lost", *every(self)])
    with pytest.raises(NotFound):
        clock.look()  # what failed is told, and tried again
    assert desk.vault.policies["digits/train"] == [ANNA]
