"""The custodian renews its credential, lets consents run out, and ends when its credential is dead."""

import threading
from datetime import timedelta

import pytest

from sandbox.custodian import seal
from sandbox.custodian.consent import import_consents
from sandbox.custodian.seal import seal_upload
from sandbox.custodian.upkeep import mend, upkeep
from sandbox.errors import CredentialError, VaultUnreachable
from tests.fakes.studio import NOW, STEWARD, consent, facts, upload, wave


class Stop(threading.Event):
    """Lets the loop turn a given number of times, without waiting."""

    def __init__(self, turns):
        super().__init__()
        self.turns, self.waits = turns, []

    def wait(self, timeout=None):
        self.waits.append(timeout)
        self.turns -= 1
        return self.turns < 0


def test_renewed_at_a_third_of_the_lease(desk):
    stop = Stop(2)
    upkeep(desk, lambda: 900, stop, lambda: None)
    assert stop.waits == [0.0, 300.0, 300.0]


def test_a_dead_credential_ends_the_service(desk):
    def dead():
        raise CredentialError("dead")

    ended = []
    upkeep(desk, dead, Stop(5), lambda: ended.append(True))
    assert ended == [True]


@pytest.mark.parametrize(
    "fault", [VaultUnreachable("down"), RuntimeError("?")], ids=["an unreachable Vault", "one that nobody foresaw"]
)
def test_a_fault_does_not_end_the_upkeep(desk, fault):
    answers = iter([fault, 900])

    def renew():
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    stop = Stop(2)
    upkeep(desk, renew, stop, lambda: None)
    assert stop.waits == [0.0, 10.0, 300.0]


def test_a_consent_that_ran_out_bars_without_anybody_asking(desk):
    import_consents(desk, STEWARD, [consent("spk_anna", expires="2026-12-01")])
    list(seal_upload(desk, STEWARD, upload([(facts(0), wave(0))])))
    desk.clock.now = NOW + timedelta(days=10)
    upkeep(desk, lambda: 1800, Stop(1), lambda: None)
    assert desk.vault.policies["digits/train"] == ["spk_anna"]


def test_a_damaged_dataset_keeps_nobody_else_from_starting(desk):
    list(seal_upload(desk, STEWARD, upload([(facts(0), wave(0))])))
    next(desk.sealed.glob("digits/manifests/*.json")).write_bytes(b"{}")
    mend(desk)


def test_a_version_whose_head_moved_without_an_answer_is_entered_without_anybody_asking(desk, monkeypatch):
    def lost(*_):
        raise VaultUnreachable("the answer was lost")

    list(seal_upload(desk, STEWARD, upload([(facts(0), wave(0))])))
    with monkeypatch.context() as broken:
        broken.setattr(seal, "settle", lost)
        with pytest.raises(VaultUnreachable):
            list(seal_upload(desk, STEWARD, upload([(facts(1), wave(1))], add=True)))
    assert desk.manifest("digits").manifest.version == 2
    assert ("digits", 2) not in desk.now("dataset").datasets
    upkeep(desk, lambda: 1800, Stop(1), lambda: None)
    assert ("digits", 2) in desk.now("dataset").datasets
