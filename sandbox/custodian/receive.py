"""Receiving a consignment: verified byte for byte as it comes, stored as it came, entered, acknowledged. Nothing opens.

1. Who sends it: a steward.     2. Whose it is: the letter, by the key that its active agreement pins for Party A.
3. What it is: for our key, a listed dataset, a number higher than any before.     4. Every file, to the end.
5. The file gets its name, the register its entry, Party A its receipt.     6. ``scan``: findings and categories.

A crash before 5 leaves nothing in force; the same consignment sent again gets the same answer.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from sandbox.consignment.bag import Bag
from sandbox.consignment.envelope import IntakeKey
from sandbox.consignment.findings import treated, write_findings
from sandbox.consignment.letter import Letter, open_letter
from sandbox.consignment.receipt import sign_receipt
from sandbox.custodian.agreements import load_terms, require_own, standing
from sandbox.custodian.desk import Desk
from sandbox.custodian.files import PRIVATE, write_file
from sandbox.custodian.people import STEWARD, require
from sandbox.custodian.registers import check
from sandbox.custodian.seal import is_sealed
from sandbox.errors import ConsignmentError, Refused, StatementError, Unreachable
from sandbox.policy import intake
from sandbox.policy.entries import IntakeEntry
from sandbox.policy.registers import Posting
from sandbox.policy.terms import DatasetTerms
from sandbox.runs import utc
from sandbox.sealing.storage import sync_folder
from sandbox.statements import PublicKey

PARTIAL = ".partial-"


def receive(desk: Desk, caller: str, pieces: Iterable[bytes]) -> Iterator[Mapping[str, Any]]:
    """Lines: ``progress``, at the end ``received`` with the receipt. Raises NotPermitted before anything is read."""
    require(desk, caller, STEWARD)
    return _receive(desk, caller, pieces)


def consignment_file(desk: Desk, consignment: str) -> Path:
    return desk.intake / f"{consignment}.consignment"


def letter_file(desk: Desk, consignment: str) -> Path:
    return desk.intake / f"{consignment}.dsse.json"


def findings_file(desk: Desk, consignment: str) -> Path:
    return desk.intake / f"{consignment}.findings.json"


def party_a_keys(desk: Desk) -> list[PublicKey]:
    """Party A's keys of all active agreements."""
    entries = desk.now("status").statuses.values()
    return [PublicKey.from_text(entry.party_a_key) for entry in entries if entry.status == "active"]


def listed_terms(desk: Desk, agreement: str, dataset: str) -> tuple[DatasetTerms, bool]:
    """What the active agreement says of the dataset, and whether the data is provided (PIPL 23). Raises Refused."""
    entry = standing(desk, agreement)
    if entry is None or entry.status != "active":
        raise Refused(
            f"agreement {agreement} is not active", code="agreement.inactive", mend="activate it first"
        )
    terms = load_terms(desk, entry)
    listed = terms.dataset(dataset)
    if listed is None:
        raise Refused(f"{dataset} is no dataset of {agreement}", code="dataset.not_agreed")
    require_own(desk, agreement, dataset)
    return listed, terms.relationship.model == "provided"


def scan(desk: Desk, entry: IntakeEntry) -> IntakeEntry:
    """By the custodian itself: signed findings all treated, categories agreed; else quarantined. May repeat."""
    if entry.state != "received":
        return entry
    found = stored(desk, entry).findings
    listed, _ = listed_terms(desk, entry.agreement, entry.dataset)
    untreated = sum(not treated(finding) for finding in found)
    moved = intake.scanned(entry, listed.categories, untreated)
    desk.registers.append("intake", [moved.model_dump(mode="json")], "custodian")
    return moved


def stored(desk: Desk, entry: IntakeEntry) -> Bag:
    """The stored consignment, its letter verified once more; its files are read one by one by whoever asks.

    Raises:
        Refused: its ciphertext is not here any more.
        ConsignmentError: it is another than was received.
    """
    path = consignment_file(desk, entry.consignment)
    if not path.is_file():
        raise Refused(
            f"the ciphertext of {entry.consignment} is not here any more",
            code="intake.ciphertext_gone",
            mend="sandbox data receive: send the very same consignment again",
        )
    bag = Bag(_pieces(path), party_a_keys(desk))
    if bag.letter.digest != entry.digest:
        raise ConsignmentError(f"{entry.consignment} is not what was received", code="consignment.differs")
    return bag


def _receive(desk: Desk, caller: str, pieces: Iterable[bytes]) -> Iterator[Mapping[str, Any]]:
    desk.intake.mkdir(mode=0o700, exist_ok=True)
    partial = desk.intake / f"{PARTIAL}{secrets.token_hex(8)}"
    try:
        handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, PRIVATE)
        with os.fdopen(handle, "wb") as file:
            bag = Bag(pieces, party_a_keys(desk), file.write)
            letter = _own(desk, bag)
            known = _known(desk, letter)
            yield {"event": "progress", "files": 0, "of": letter.files}
            for number in bag.check():
                if number % 1000 == 999:
                    yield {"event": "progress", "files": number + 1, "of": letter.files}
            file.flush()
            os.fsync(file.fileno())
        if known is None:
            known = _enter(desk, caller, bag, letter, partial)
        else:
            with desk.lock:
                if _lost(desk, letter.consignment):
                    _keep(desk, bag, letter, partial)
    except OSError as fault:
        why = f"the custodian's disk: {os.strerror(fault.errno or 0)}"
        raise Unreachable(why, code="storage.failed", mend="make room") from None
    finally:
        partial.unlink(missing_ok=True)
    with desk.lock:
        state = scan(desk, desk.now("intake").intake[letter.consignment]).state
    receipt = sign_receipt(letter, known.by, utc(known.at), desk.signer)
    yield {
        "event": "received",
        "consignment": letter.consignment,
        "number": letter.number,
        "dataset": letter.dataset,
        "files": letter.files,
        "size": letter.size,
        "findings": len(bag.findings),
        "state": state,
        "receipt": receipt.decode(),
    }


def _own(desk: Desk, bag: Bag) -> Letter:
    """The letter, once it is signed by the key of its own agreement, for us, for a dataset of that agreement."""
    letter = bag.letter
    listed_terms(desk, letter.agreement, letter.dataset)
    entry = standing(desk, letter.agreement)
    pinned = PublicKey.from_text(entry.party_a_key) if entry else None
    if pinned is None:
        raise StatementError("no key is pinned for the consignment's agreement")
    letter = open_letter(bag.signed, [pinned])
    if letter.recipient != IntakeKey.of_private(desk.vault.intake_key()).keyid:
        raise Refused(
            f"{letter.consignment} is encrypted to another key than the custodian's",
            code="consignment.other_recipient",
            mend="pack it again --to the file that sandbox data intake-key writes",
        )
    return letter


def _known(desk: Desk, letter: Letter) -> Posting | None:
    """The first entry of this very consignment; None for a new one. Raises Refused where the number was used."""
    chain = [
        posting for posting in desk.registers.entries("intake") if isinstance(posting.entry, IntakeEntry)
    ]
    for posting in chain:
        if isinstance(posting.entry, IntakeEntry) and posting.entry.digest == letter.digest:
            return posting
    entries = [posting.entry for posting in chain if isinstance(posting.entry, IntakeEntry)]
    if any(entry.consignment == letter.consignment for entry in entries):
        raise Refused(f"another consignment is called {letter.consignment}", code="consignment.id_used")
    last = max((entry.number for entry in entries if entry.agreement == letter.agreement), default=0)
    if letter.number <= last:
        raise Refused(
            f"consignment {letter.number} of {letter.agreement} comes after number {last}",
            code="consignment.number_used",
            mend=f"pack it again with --number {last + 1}",
        )
    return None


def _enter(desk: Desk, caller: str, bag: Bag, letter: Letter, partial: Path) -> Posting:
    with desk.lock:
        known = _known(desk, letter)  # again: another one may have come in meanwhile
        if known is not None:
            return known
        said = {
            "consignment": letter.consignment,
            "number": letter.number,
            "agreement": letter.agreement,
            "dataset": letter.dataset,
            "digest": letter.digest,
            "categories": letter.categories,
            "subjects": letter.subjects,
            "files": letter.files,
            "size": letter.size,
            "received_by": caller,
            "state": "received",
        }
        entry = check(IntakeEntry, "intake", said)  # before anything is kept
        _keep(desk, bag, letter, partial)
        return desk.registers.append("intake", [entry.model_dump(mode="json")], caller)[-1]


def _keep(desk: Desk, bag: Bag, letter: Letter, partial: Path) -> None:
    write_file(letter_file(desk, letter.consignment), bag.signed, PRIVATE)
    write_file(findings_file(desk, letter.consignment), write_findings(bag.findings), PRIVATE)
    partial.rename(consignment_file(desk, letter.consignment))
    sync_folder(desk.intake)


def _lost(desk: Desk, consignment: str) -> bool:
    """Whether it is still to be reviewed or sealed, but its ciphertext is gone: backups do not hold it."""
    entry = desk.now("intake").intake[consignment]
    waits = entry.state in ("received", "scanned", "reviewed", "accepted") and not is_sealed(desk, entry)
    return waits and not consignment_file(desk, consignment).exists()


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            yield piece
