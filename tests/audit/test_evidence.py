"""What an auditor is handed: a pack that holds, and everything that somebody could do to it, by name."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from sandbox.audit import Checkpoint, Evidence, Verified, open_checkpoint, verify_evidence
from sandbox.errors import StatementError
from sandbox.runs import Kind, Outcome, RunState
from sandbox.statements import canonical_json
from tests.fakes.evidence import BEGAN, ENDED, GATE, KEYS, ORIGIN, STRANGER, UNLOCKED, Book, checkpoint, text
from tests.tracking.runs import EVALUATION, grant

Pack = dict[str, Any]
DRY = grant(
    "r-dryy", kind=Kind.DRY, agreement="", dataset=None, manifest_digest=None, subjects=(), privacy=None
)


def book() -> Book:
    """A training run with its model, one that failed, a dry run, and one that still trains."""
    found = Book()
    found.run(grant(), model="digits@1", epsilon=7.98)
    found.run(EVALUATION, Outcome.FAILED, failure="recipe.failed")
    found.run(DRY)
    found.checkpoint()
    found.run(grant("r-live"), None)
    return found


def verify(pack: Pack, known: tuple[Checkpoint, ...] = ()) -> Verified:
    return verify_evidence(Evidence.from_json(pack), KEYS, known)


def faults(pack: Pack, known: tuple[Checkpoint, ...] = ()) -> tuple[str, ...]:
    found = verify(pack, known)
    return (*found.log.faults, *found.faults)


def envelope(pack: Pack, name: str) -> Pack:
    return next(row for row in pack["statements"] if row["name"] == name)


def test_a_good_pack_has_no_fault() -> None:
    found = verify(book().pack())
    assert found.faults == () and found.log.intact
    assert len(found.statements) == found.listed == 9
    assert [one.predicate["run"] for one in found.named("grant")] == ["r-2345", "r-6789", "r-dryy", "r-live"]


def test_windows_come_from_log_grant_and_statement() -> None:
    found = {window.run: window for window in verify(book().pack()).windows}
    assert set(found) == {"r-2345", "r-6789", "r-live"}  # a dry run opens nothing
    run = found["r-2345"]
    assert run.subjects == {"digits.spk_aa", "digits.spk_bb"}
    assert [str(at.isoformat()).replace("+00:00", "Z") for at in (run.began, run.ended) if at] == [
        BEGAN,
        UNLOCKED,
    ]
    assert run.wraps == {"hmac-sha256:r-2345/0/wrap"} and run.token == "hmac-sha256:r-2345/1/token"
    assert run.minted and run.unlocked
    assert found["r-6789"].token == "" and found["r-6789"].subjects == frozenset()


def test_a_run_that_never_unlocked_is_shut_when_it_ended() -> None:
    found = Book()
    found.run(grant(), None)
    found.entries = [entry for entry in found.entries if b"unlocked" not in entry and b"minted" not in entry]
    found.windows[0]["credentials"] = []
    (open_,) = verify(found.pack()).windows
    assert (open_.ended, open_.minted, open_.unlocked) == (None, False, False)
    found.state("r-2345", RunState.ENDED, ENDED)
    (shut,) = verify(found.pack()).windows
    assert shut.ended is not None and shut.ended.isoformat() == "2026-11-24T12:20:00+00:00"


def test_taints_are_what_the_log_says() -> None:
    found = book()
    found.taint("digits@1", "spk erased")
    assert verify(found.pack()).taints == {"digits@1": "spk erased"}


# Hands at the pack itself: every change is a fault that says what


def _flip(pack: Pack) -> None:
    row = envelope(pack, "run")
    data = bytearray(base64.b64decode(row["envelope"]))
    data[len(data) // 2] ^= 1
    row["envelope"] = text(bytes(data))


def _drop(pack: Pack) -> None:
    pack["statements"].remove(envelope(pack, "run"))


def _lose_the_file(pack: Pack) -> None:
    envelope(pack, "model")["envelope"] = ""


def _rename(pack: Pack) -> None:
    envelope(pack, "artifact")["name"] = "model"


def _entry(pack: Pack, n: int, entry: bytes) -> None:
    pack["entries"][n] = text(entry)


def _widen(pack: Pack) -> None:
    """Unsigned, so whoever holds the file could write it: the window would reach into the night."""
    said = {"at": "2026-11-24T23:00:00Z", "by": "gate", "kind": "state", "run": "r-2345", "state": "unlocked"}
    pack["entries"].append(text(canonical_json(said)))


def _last_credential(pack: Pack) -> None:
    pack["windows"][0]["credentials"].pop()


def _other_credential(pack: Pack) -> None:
    pack["windows"][0]["credentials"][1]["audit_hash"] = "hmac-sha256:thief"


def _sign_anew_as_a_stranger(pack: Pack) -> None:
    entries = [base64.b64decode(entry) for entry in pack["entries"]]
    pack["checkpoints"] = [text(checkpoint(entries, STRANGER))]


CHANGED: dict[str, tuple[Callable[[Pack], object], str]] = {
    "a bit of a statement": (_flip, "its bytes are gone, or others"),
    "a statement's file is gone": (_lose_the_file, "statement model"),
    "a statement is taken out": (_drop, "is in the log, and is not here or does not verify"),
    "a statement under another name": (_rename, "expected 'urn:voice-sandbox:model:v1'"),
    "an entry of the log": (
        lambda pack: _entry(pack, 3, canonical_json({"at": ENDED, "by": "gate", "kind": "kill"})),
        "an entry between 1 and",
    ),
    "an entry is no entry": (lambda pack: _entry(pack, 3, b"\xff"), "an entry of the log is not readable"),
    "an entry without what it is read for": (
        lambda pack: _entry(pack, 3, canonical_json({"at": ENDED, "by": "gate", "kind": "taint"})),
        "an entry of the log is not readable",
    ),
    "an entry without a time": (
        lambda pack: _entry(pack, 3, b'{"at":""}'),
        "an entry of the log is not readable",
    ),
    "an entry is taken out": (lambda pack: pack["entries"].pop(2), "an entry between 1 and"),
    "an entry is added at the end": (_widen, "1 entries at the log's end stand under no checkpoint"),
    "the tail is cut": (lambda pack: pack["entries"].pop(), "the log holds only"),
    "no checkpoints": (lambda pack: pack.update(checkpoints=[]), "no checkpoint says what the log is"),
    "checkpoints by a stranger": (_sign_anew_as_a_stranger, "not signed by a key that is trusted for it"),
    "a credential is not shown": (
        _last_credential,
        "r-2345: the credentials shown are not those of its statement",
    ),
    "another credential is shown": (
        _other_credential,
        "r-2345: the credentials shown are not those of its statement",
    ),
    "no windows": (lambda pack: pack.update(windows=[]), "the credentials shown are not those"),
}


@pytest.mark.parametrize(("change", "said"), CHANGED.values(), ids=CHANGED)
def test_whatever_is_done_to_a_pack_is_named(change: Callable[[Pack], object], said: str) -> None:
    pack = book().pack()
    change(pack)
    assert any(said in fault for fault in faults(pack)), faults(pack)


def test_the_signed_credentials_count_and_not_those_shown() -> None:
    pack = book().pack()
    _other_credential(pack)
    assert verify(pack).windows[0].token == "hmac-sha256:r-2345/1/token"


def test_a_tail_cut_off_and_signed_anew_is_found_by_a_checkpoint_that_somebody_kept() -> None:
    told = book()
    kept = open_checkpoint(checkpoint(told.entries), ORIGIN, KEYS)
    told.entries, told.statements = told.entries[:-6], told.statements[:-1]
    told.windows.pop()
    cut = told.pack()
    assert faults(cut) == ()
    assert faults(cut, (kept,)) == (
        f"kept checkpoint over {kept.size} entries: the log holds only {kept.size - 6}",
    )


# Faults that the gate itself would have to explain


def _stranger(told: Book) -> None:
    told.sign("evaluation", "e-1", [("e-1", "0" * 64)], {}, STRANGER)


def _unlogged(told: Book) -> None:
    told.sign("run", "r-2345", [("r-2345", "0" * 64)], {"run": "r-2345", "credentials": []}, logged=False)


def _without(told: Book, name: str) -> None:
    """The log and the files both say nothing of it: only the states tell."""
    gone = {row["digest"] for row in told.statements if row["name"] == name}
    told.statements = [row for row in told.statements if row["digest"] not in gone]
    told.entries = [entry for entry in told.entries if json.loads(entry).get("digest") not in gone]


def _told_of_nothing(told: Book) -> None:
    told.sign("run", "r-none", [("r-none", "0" * 64)], {"run": "r-none", "credentials": []})


OWED: dict[str, tuple[Callable[[Book], object], set[str]]] = {
    "signed by a stranger": (
        _stranger,
        {"0 of 1 required signatures verify", "is in the log, and is not here or does not verify"},
    ),
    "signed and not logged": (_unlogged, {"is not in the log", "the credentials shown are not those"}),
    "prepared without a grant": (
        lambda told: _without(told, "grant"),
        {f"r-{run}: it was prepared, and has no signed grant" for run in ("2345", "6789", "dryy", "live")},
    ),
    "settled without a statement": (
        lambda told: _without(told, "run"),
        {f"r-{run}: it is settled, and has no signed statement" for run in ("2345", "6789", "dryy")},
    ),
    "a statement of a run that never was": (
        _told_of_nothing,
        {"r-none: a statement speaks of it, and the log does not"},
    ),
}


@pytest.mark.parametrize(("hand", "said"), OWED.values(), ids=OWED)
def test_what_the_gate_owes_is_named(hand: Callable[[Book], object], said: set[str]) -> None:
    told = book()
    told.checkpoint()
    told.notes.clear()
    hand(told)
    found = faults(told.pack())
    assert len(found) == len(said)
    assert all(any(part in fault for fault in found) for part in said), found


def test_a_run_refused_before_it_was_prepared_owes_nothing() -> None:
    told = book()
    told.state("r-none", RunState.ADMITTED, BEGAN)
    told.state("r-none", RunState.SETTLED, ENDED)
    assert faults(told.pack()) == ()


@pytest.mark.parametrize("name", ["grant", "run"])
def test_a_statement_that_verifies_and_says_nothing_is_refused(name: str) -> None:
    told = book()
    told.sign(name, "x", [("x", "0" * 64)], {})
    with pytest.raises(StatementError, match="does not say what it should"):
        verify(told.pack())


NO_PACK: dict[str, Callable[[Pack], object]] = {
    "nothing": lambda pack: pack.clear(),
    "entries that are no base64": lambda pack: pack.update(entries=["%"]),
    "statements without a digest": lambda pack: pack["statements"][0].pop("digest"),
    "windows without a run": lambda pack: pack["windows"][0].pop("run"),
    "a credential without a kind": lambda pack: pack["windows"][0]["credentials"][0].pop("kind"),
    "a list of nothing": lambda pack: pack.update(windows=[None]),
}


@pytest.mark.parametrize("change", NO_PACK.values(), ids=NO_PACK)
def test_what_is_no_pack_is_one_error(change: Callable[[Pack], object]) -> None:
    pack = book().pack()
    change(pack)
    with pytest.raises(StatementError) as caught:
        verify(pack)
    assert caught.value.code == "evidence.unreadable"


def test_the_packs_own_keys_are_not_believed() -> None:
    pack = book().pack()
    pack["keys"]["gate"] = [GATE.public.text]
    found = verify_evidence(Evidence.from_json(pack), [STRANGER.public])
    assert found.statements == {} and not found.log.intact


def test_a_grant_without_a_window_shown_still_has_one() -> None:
    told = Book()
    told.run(grant(), None)
    told.windows.clear()
    (window,) = verify(told.pack()).windows
    assert replace(window, began=None, ended=None).wraps == frozenset() and window.minted
