from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sandbox.audit import Checkpoint, leaf_hash, open_checkpoint, root, sign_checkpoint, verify_log
from sandbox.errors import StatementError
from sandbox.statements import Ed25519Signer, PublicKey

ORIGIN = "voice-sandbox/gate"
GATE = Ed25519Signer(Ed25519PrivateKey.from_private_bytes(b"\x01" * 32))
STRANGER = Ed25519Signer(Ed25519PrivateKey.from_private_bytes(b"\x02" * 32))
ENTRIES = [f'{{"n":{n}}}'.encode() for n in range(10)]


def note(size: int, entries: list[bytes] = ENTRIES, signer: Ed25519Signer = GATE) -> bytes:
    return sign_checkpoint(ORIGIN, size, root([leaf_hash(entry) for entry in entries[:size]]), signer)


NOTES = [note(3), note(7), note(10)]


def verify(entries=ENTRIES, notes=NOTES, known=()):
    return verify_log(entries, notes, ORIGIN, [GATE.public], known)


def test_an_intact_log_fits_all_its_checkpoints() -> None:
    report = verify()
    assert report.intact and (report.entries, report.checkpoints, report.covered) == (10, 3, 10)
    assert report.keys == (GATE.keyid,)


@pytest.mark.parametrize("n", range(10))
def test_a_changed_entry_is_found_and_its_place_is_named(n: int) -> None:
    changed = [*ENTRIES[:n], b'{"n":99}', *ENTRIES[n + 1 :]]
    report = verify(changed)
    assert not report.intact
    first = next(size for size in (3, 7, 10) if size > n)
    assert report.faults[0].startswith(f"checkpoint over {first} entries: an entry between")


def test_a_removed_entry_is_found() -> None:
    assert not verify([*ENTRIES[:4], *ENTRIES[5:]]).intact


def test_a_cut_tail_is_found() -> None:
    assert verify(ENTRIES[:8]).faults == ("checkpoint over 10 entries: the log holds only 8",)


def test_a_log_cut_and_signed_anew_is_found_by_a_checkpoint_that_somebody_kept() -> None:
    kept = open_checkpoint(NOTES[2], ORIGIN, [GATE.public])
    assert verify(ENTRIES[:7], NOTES[:2]).intact
    assert not verify(ENTRIES[:7], NOTES[:2], [kept]).intact
    forged = [*ENTRIES[:9], b'{"n":99}']
    assert verify(forged, [note(10, forged)]).intact
    assert not verify(forged, [note(10, forged)], [kept]).intact


def test_a_checkpoint_by_a_stranger_is_a_fault() -> None:
    report = verify(notes=[*NOTES, note(10, signer=STRANGER)])
    assert report.faults == ("checkpoint 4: the checkpoint is not signed by a key that is trusted for it",)


def test_a_log_without_checkpoints_says_nothing() -> None:
    assert not verify(notes=[]).intact


def test_a_note_reads_as_it_was_signed() -> None:
    point = open_checkpoint(NOTES[0], ORIGIN, [STRANGER.public, GATE.public])
    assert point == Checkpoint(ORIGIN, 3, root([leaf_hash(e) for e in ENTRIES[:3]]), GATE.keyid)


def test_a_note_with_a_witness_line_still_reads() -> None:
    line = "— party-a AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n".encode()
    assert open_checkpoint(NOTES[0] + line, ORIGIN, [GATE.public]).size == 3


def test_the_key_hash_is_that_of_signed_notes() -> None:
    """The worked example of https://pkg.go.dev/golang.org/x/mod/sumdb/note: PeterNeumann+c74f20a3+…"""
    import base64

    from sandbox.audit.checkpoint import key_hash

    raw = base64.b64decode("ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW")
    assert raw[0] == 1
    assert key_hash("PeterNeumann", PublicKey(raw[1:])).hex() == "c74f20a3"


BROKEN = {
    "another size": lambda text: text.replace(b"\n3\n", b"\n4\n"),
    "another origin": lambda text: text.replace(b"voice-sandbox/gate\n3", b"voice-sandbox/gat\n3"),
    "an extra line": lambda text: text.replace(b"\n\n", b"\nextra\n\n"),
    "no signature": lambda text: text.split(b"\n\n")[0] + b"\n\n",
    "torn": lambda text: text[:-5],
    "empty": lambda text: b"",
    "too large": lambda text: text + b"x" * 5000,
}


@pytest.mark.parametrize("change", BROKEN.values(), ids=BROKEN.keys())
def test_a_changed_note_is_refused(change) -> None:
    with pytest.raises(StatementError):
        open_checkpoint(change(NOTES[0]), ORIGIN, [GATE.public])


def test_a_note_of_another_log_is_refused() -> None:
    with pytest.raises(StatementError):
        open_checkpoint(NOTES[0], "voice-sandbox/other", [GATE.public])
