"""The gate's word in an erasure: never while a run holds the voice, and provable against its log."""

from __future__ import annotations

import base64
import json
from dataclasses import replace

import pytest

from sandbox.audit import open_certificate, open_receipt
from sandbox.custodian import certificates, erase
from sandbox.errors import Refused, StatementError
from sandbox.gate.ledger.invariants import broken
from sandbox.gate.subjects.receipts import receipt
from sandbox.statements import sign_statement
from tests.fakes.erasing import REASON
from tests.fakes.studio import STEWARD
from tests.gate import scripts
from tests.gate.world import ANNA, BEN, DATASET, admit, ended, request, row, run_of

SPEAKER = (DATASET, ANNA)


@pytest.fixture
def desk(world):
    return replace(world.desk, gate_keys=lambda: world.keys("gate"))


def asked(desk, *subjects):
    erase.ask(desk, STEWARD, list(subjects or (ANNA,)), DATASET)


def given(gate, stage, *speakers):
    return receipt(gate, stage, list(speakers or (SPEAKER,)))


def test_there_is_no_receipt_while_a_run_holds_the_voice(desk, gate, live):
    asked(desk)
    assert given(gate, "settled") == {"waiting": [live]}
    assert ended(gate, live).outcome == "killed"
    found = open_receipt(given(gate, "settled")["receipt"].encode(), desk.gate_keys(), "settled")
    assert found.speakers == {SPEAKER} and found.runs == {f"{DATASET}/{ANNA}": (live,)} and found.seq == 2
    assert broken(gate.house) == []


def test_a_run_without_the_voice_is_not_waited_for(world, desk, gate):
    world.script = scripts.ends_when_asked
    run = admit(gate, request(subjects=(BEN,)))
    asked(desk)
    assert "receipt" in given(gate, "settled") and row(gate, run).kill is None


def test_a_run_decided_before_the_asking_is_not_admitted_after_the_receipt(desk, gate, monkeypatch):
    gather, once = gate.admission._knowledge.gather, []

    def slow(*about):
        found = gather(*about)
        if not once:
            once.append(True)
            asked(desk)
            given(gate, "settled")
        return found

    monkeypatch.setattr(gate.admission._knowledge, "gather", slow)
    with pytest.raises(Refused) as refused:
        admit(gate)
    assert "subject.erased" in {reason.code for reason in refused.value.reasons}


@pytest.mark.parametrize(
    ("stage", "code"), [("settled", "erasure.not_asked"), ("tainted", "erasure.not_asked")]
)
def test_nothing_is_said_of_somebody_who_was_not_asked_for(gate, stage, code):
    with pytest.raises(Refused) as refused:
        given(gate, stage)
    assert refused.value.code == code


def test_nothing_is_tainted_while_the_key_lives(desk, gate):
    asked(desk)
    with pytest.raises(Refused) as refused:
        given(gate, "tainted")
    assert refused.value.code == "erasure.not_destroyed"


def whole(desk, gate, *subjects):
    speakers = [(DATASET, subject) for subject in subjects or (ANNA,)]
    asked(desk, *subjects)
    list(erase.destroy(desk, STEWARD, speakers, [given(gate, "settled", *speakers)["receipt"].encode()]))
    second = given(gate, "tainted", *speakers)["receipt"].encode()
    made = certificates.certify(desk, STEWARD, speakers, [second])["certificates"]
    return [one["certificate"].encode() for one in made]


def test_a_whole_erasure_is_certified_with_both_signatures(world, desk, gate):
    run = run_of(gate).id
    data = whole(desk, gate)[0]
    held = open_certificate(data, world.keys("custodian"), world.keys("gate"))
    assert held.said["runs"] == [run]
    assert held.said["derived"] == [{"model": "hum@1", "status": f"tainted: erased {DATASET}/{ANNA}"}]
    assert set(held.receipts) == {"settled", "tainted"} and held.said["without_receipt"] is None
    assert broken(gate.house) == []
    with pytest.raises(StatementError):
        open_certificate(data, world.keys("gate"), world.keys("gate"))
    with pytest.raises(StatementError):
        open_certificate(data, world.keys("custodian"), world.keys("custodian"))


def test_caches_let_go_before_the_gate_says_so(desk, gate, monkeypatch):
    tidied = []
    monkeypatch.setattr(type(gate.house.sealed), "tidy", lambda self: tidied.append(True))
    asked(desk)
    given(gate, "settled")
    assert not tidied
    list(erase.destroy(desk, STEWARD, [SPEAKER], [], REASON))
    given(gate, "tainted")
    assert tidied


def test_the_same_receipt_is_given_again(desk, gate):
    asked(desk)
    assert given(gate, "settled") == given(gate, "settled")


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda said: said | {"stage": "tainted"}, "receipt.stage"),
        (lambda said: said | {"speakers": [[DATASET, BEN]]}, "receipt.missing"),
        (lambda said: said | {"register": said["register"] | {"seq": 9}}, "receipt.anchor"),
        (lambda said: said | {"register": said["register"] | {"digest": "0" * 64}}, "receipt.anchor"),
        (lambda said: said | {"log": said["log"] | {"index": 0}}, "receipt.anchor"),
        (lambda said: said | {"log": said["log"] | {"proof": []}}, "receipt.anchor"),
        (lambda said: {key: said[key] for key in said if key != "log"}, "receipt.invalid"),
    ],
    ids=["other stage", "other speaker", "other seq", "other entry", "other place", "no proof", "no log"],
)
def test_a_receipt_that_does_not_hold_destroys_nothing(world, desk, gate, change, code):
    asked(desk)
    envelope = given(gate, "settled")["receipt"]
    said = json.loads(base64.b64decode(json.loads(envelope)["payload"]))["predicate"]
    forged = sign_statement("erasure-receipt", [], change(said), [gate.house.vault.signer()])
    with pytest.raises((StatementError, Refused)) as refused:
        erase.destroy(desk, STEWARD, [SPEAKER], [forged])
    assert refused.value.code == code
    assert f"subjects/{DATASET}.{ANNA}" in world.vault.keys


def test_a_receipt_by_another_hand_destroys_nothing(world, desk, gate):
    asked(desk)
    envelope = given(gate, "settled")["receipt"]
    said = json.loads(base64.b64decode(json.loads(envelope)["payload"]))["predicate"]
    forged = sign_statement("erasure-receipt", [], said, [desk.signer])
    with pytest.raises(StatementError):
        erase.destroy(desk, STEWARD, [SPEAKER], [forged])


def test_an_old_receipt_does_not_serve_for_what_was_asked_later(desk, gate):
    asked(desk)
    old = given(gate, "settled")["receipt"].encode()
    desk.registers.append("erasure", [{"subject": ANNA, "dataset": DATASET, "status": "asked"}], STEWARD)
    with pytest.raises(Refused) as refused:
        erase.destroy(desk, STEWARD, [SPEAKER], [old])
    assert refused.value.code == "receipt.old"


def test_a_receipt_from_before_a_restore_names_another_register(world, desk, gate):
    asked(desk)
    for _ in range(3):  # what was entered after the backup
        desk.registers.append("erasure", [{"subject": BEN, "dataset": DATASET, "status": "asked"}], STEWARD)
    ahead = given(gate, "settled")["receipt"].encode()
    before = replace(desk, registers=Forked(desk.registers))
    with pytest.raises(Refused) as refused:
        erase.destroy(before, STEWARD, [SPEAKER], [ahead])
    assert refused.value.code == "receipt.foreign"
    assert f"subjects/{DATASET}.{ANNA}" in world.vault.keys


class Forked:
    """The registers after a restore: as many entries, but not the ones that the receipt saw."""

    def __init__(self, real):
        self._real = real

    def entries(self, name):
        found = self._real.entries(name)
        return found[:2] + [replace(posting, digest="f" * 64) for posting in found[2:]]

    def __getattr__(self, name):
        return getattr(self._real, name)


def test_what_began_with_a_receipt_is_not_certified_without_the_second(desk, gate):
    asked(desk)
    list(erase.destroy(desk, STEWARD, [SPEAKER], [given(gate, "settled")["receipt"].encode()]))
    with pytest.raises(Refused) as refused:
        certificates.certify(desk, STEWARD, [SPEAKER], [])
    assert refused.value.code == "receipt.missing"


@pytest.mark.parametrize(
    "change",
    [
        lambda said: {key: said[key] for key in said if key != "exceptions"},
        lambda said: said | {"subject": BEN},
        lambda said: said | {"receipts": {}},
        lambda said: said | {"receipts": {"settled": said["receipts"]["settled"]}},
        lambda said: said | {"receipts": {"tainted": said["receipts"]["tainted"]}},
        lambda said: said | {"runs": []},
        lambda said: said | {"derived": []},
        lambda said: said | {"keys": []},
        lambda said: said | {"keys": [said["keys"][0] | {"wraps": []}]},
    ],
    ids=[
        "a field less",
        "of another",
        "no receipt",
        "the first alone",
        "the second alone",
        "a run less",
        "a model less",
        "no key",
        "no proof",
    ],
)
def test_a_certificate_that_says_less_is_none(world, desk, gate, change):
    from sandbox.statements import canonical_json, sha256

    run_of(gate)
    data = whole(desk, gate)[0]
    said = change(json.loads(base64.b64decode(json.loads(data)["payload"]))["predicate"])
    named = [(f"{said['dataset']}.{said['subject']}", sha256(canonical_json(said)))]
    forged = sign_statement("erasure-certificate", named, said, [desk.signer])
    with pytest.raises(StatementError):
        open_certificate(forged, world.keys("custodian"), world.keys("gate"))


def test_without_the_gate_the_reason_stands_in_the_certificate(world, desk):
    asked(desk)
    list(erase.destroy(desk, STEWARD, [SPEAKER], [], REASON))
    data = certificates.certify(desk, STEWARD, [SPEAKER], [])["certificates"][0]["certificate"]
    assert open_certificate(data.encode(), world.keys("custodian"), ()).said["without_receipt"] == REASON
