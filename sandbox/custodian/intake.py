"""What becomes of a consignment: reviewed twice, opened in memory and sealed, or deleted; ``policy.intake`` decides.

Accepting: 1. ``accepted`` is entered.     2. Only now is the intake key read, and the content key unwrapped.
3. Recording by recording, decrypted and sealed; the version's manifest names the consignment.
4. The ciphertext is deleted: it would outlive the erasure of a person in it.
A crash anywhere is mended by asking again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from pydantic import ValidationError

from sandbox.consignment.chunks import decrypt_file
from sandbox.consignment.envelope import unwrap_key
from sandbox.consignment.payload import open_recording
from sandbox.consignment.receipt import REJECTION
from sandbox.custodian.desk import Desk
from sandbox.custodian.people import STEWARD, require
from sandbox.custodian.receive import (
    consignment_file,
    findings_file,
    letter_file,
    listed_terms,
    scan,
    stored,
)
from sandbox.custodian.seal import SealRequest, is_sealed, seal_consignment, settle
from sandbox.custodian.upload import Upload
from sandbox.errors import Conflict, ConsignmentError, NotFound, Reason, Refused, SandboxError, Usage
from sandbox.policy import intake
from sandbox.policy.entries import IntakeEntry, IntakeState, Review
from sandbox.policy.registers import Posting
from sandbox.policy.terms import DatasetTerms
from sandbox.records import check_id
from sandbox.runs import utc
from sandbox.service import journal
from sandbox.statements import sign_statement


def review(desk: Desk, caller: str, consignment: str, checklist: object) -> dict[str, Any]:
    """``checklist``: ``[{item, answer, note}, …]``. Raises NotPermitted, Usage, or Refused with every reason."""
    try:
        made = Review.model_validate({"reviewer": caller, "checklist": checklist})
    except ValidationError:
        raise Usage(
            "the checklist holds something else than items and answers", code="entry.invalid"
        ) from None
    with desk.lock:
        entry = _entry(desk, consignment)
        _, against = _against(desk, entry)
        person = desk.now("people").people.get(caller)
        return _enter(desk, caller, intake.reviewed(entry, person, made, against))


def end(desk: Desk, caller: str, consignment: str, state: IntakeState, reason: str) -> dict[str, Any]:
    """``rejected`` (its ciphertext is deleted, and a statement says so) or ``quarantined``. Rejecting may repeat.

    Raises NotPermitted, Usage, Refused, or Conflict while it is being sealed.
    """
    require(desk, caller, *intake.REVIEWERS)
    if len(reason) > _MAX_REASON or not reason.isprintable():
        raise Usage(f"a reason is one line of at most {_MAX_REASON} characters", code="entry.invalid")
    with desk.lock:
        entry = _entry(desk, consignment)
        if not entry.state == state == "rejected":
            if consignment in desk.opening:
                raise _opening(consignment)
            person = desk.now("people").people.get(caller)
            entry = intake.ended(entry, person, state, reason, sealed=is_sealed(desk, entry))
            _enter(desk, caller, entry)
        if state != "rejected":
            return _shown(entry)
        last = _chain(desk, consignment)[-1]
        consignment_file(desk, consignment).unlink(missing_ok=True)
        said = {
            **_shown(entry),
            "files": entry.files,
            "size": entry.size,
            "by": last.by,
            "at": utc(last.at),
        }
        statement = sign_statement(REJECTION, [(consignment, entry.digest)], said, [desk.signer])
        return {**_shown(entry), "statement": statement.decode()}


def accept(
    desk: Desk, caller: str, consignment: str, wishes: Mapping[str, Any]
) -> Iterator[Mapping[str, Any]]:
    """Enter ``accepted``, then seal; the lines of a sealing. Asking again after a crash goes on where it stopped."""
    require(desk, caller, STEWARD)
    with desk.lock:
        entry = _entry(desk, consignment)
        asked = _asked(entry, wishes, add=entry.dataset in desk.datasets())
        if not is_sealed(desk, entry):
            listed, against = _against(desk, entry)
            against += intake.unapproved_minors(entry, listed, desk.now("consent").consents)
            if entry.state != "accepted":
                entry = intake.accepted(entry, desk.now("people").people.get(caller), against)
                _enter(desk, caller, entry)
            elif against:  # the registers changed since
                raise Refused(f"{consignment} cannot be sealed", reasons=against, code=against[0].code)
    return _seal(desk, caller, entry, asked)


def show(desk: Desk, consignment: str) -> dict[str, Any]:
    """Where it stands and how it came there; its findings by id and kind. Nothing of it is decrypted."""
    entry = _entry(desk, consignment)
    history = []
    for posting in _chain(desk, consignment):
        step = posting.entry
        if isinstance(step, IntakeEntry):
            made = {"seq": posting.seq, "at": utc(posting.at), "by": posting.by, "digest": posting.digest}
            history.append({**made, "state": step.state, "reviews": len(step.reviews), "reason": step.reason})
    found = {name: _text(path(desk, consignment)) for name, path in _KEPT.items()}
    return {**entry.model_dump(mode="json"), "history": history, **found}


_MAX_REASON = 1000  # characters
_KEPT = {"letter": letter_file, "findings": findings_file}


def mend_intake(desk: Desk) -> None:
    """At a start: finish scans, delete what has no entry, was rejected, or is sealed already."""
    entries = desk.now("intake").intake
    for path in sorted(desk.intake.iterdir()) if desk.intake.is_dir() else ():
        entry = entries.get(path.name.partition(".")[0])
        if entry is None or (path.name.endswith(".consignment") and _over(desk, entry)):
            path.unlink(missing_ok=True)
    for entry in entries.values():
        try:
            with desk.lock:
                scan(desk, entry)
        except SandboxError as fault:  # one that cannot be scanned keeps no other waiting
            journal.trouble("intake.unscanned", fault, consignment=entry.consignment)


def _over(desk: Desk, entry: IntakeEntry) -> bool:
    return entry.state == "rejected" or is_sealed(desk, entry)


def _seal(desk: Desk, caller: str, entry: IntakeEntry, asked: SealRequest) -> Iterator[Mapping[str, Any]]:
    with _alone(desk, entry.consignment):
        if is_sealed(desk, entry):
            settle(desk, entry.dataset, caller)  # a crash may have come between the head and the register
        else:
            yield from seal_consignment(
                desk, caller, asked, _recordings(desk, entry.consignment), entry.consignment
            )
        consignment_file(desk, entry.consignment).unlink(missing_ok=True)
    yield {"event": "accepted", **_shown(entry)}


@contextmanager
def _alone(desk: Desk, consignment: str) -> Iterator[None]:
    """Whoever asks meanwhile is refused: two that open it would seal it twice. Raises Conflict."""
    with desk.lock:
        if consignment in desk.opening:
            raise _opening(consignment)
        desk.opening.add(consignment)
    try:
        yield
    finally:
        desk.opening.discard(consignment)


def _opening(consignment: str) -> Conflict:
    return Conflict(f"{consignment} is being sealed", code="intake.opening", mend="wait until that is over")


def _recordings(desk: Desk, consignment: str) -> Iterator[Upload]:
    """Decrypted in memory, one at a time; the register is asked here, so nothing else than an accepted one opens."""
    entry = _entry(desk, consignment)
    if entry.state != "accepted":
        raise Usage(
            f"{consignment} is {entry.state}; only an accepted consignment is opened",
            code="intake.not_accepted",
        )
    bag = stored(desk, entry)
    key = unwrap_key(bag.letter.sealed_key, desk.vault.intake_key(), bag.letter.bound_to)
    for number, sealed in enumerate(bag.files()):
        facts, audio = open_recording(decrypt_file(key, consignment, number, sealed))
        if facts.get("subject") not in entry.subjects:
            raise ConsignmentError(
                f"file {number} of {consignment} is of a person whom the letter does not name",
                code="consignment.subject_unlisted",
            )
        yield Upload(number, facts, audio)


def _against(desk: Desk, entry: IntakeEntry) -> tuple[DatasetTerms, list[Reason]]:
    """The dataset's terms, and what the registers say against the consignment now."""
    listed, provided = listed_terms(desk, entry.agreement, entry.dataset)
    known, now = desk.now("consent", "erasure"), desk.clock()
    return listed, intake.blockers(
        entry, listed, known.consents, now, provided=provided, erased=set(known.erasures)
    )


def _asked(entry: IntakeEntry, wishes: Mapping[str, Any], *, add: bool) -> SealRequest:
    said = {
        name: wishes[name]
        for name in ("region", "set_aside", "downmix", "resample", "max_seconds")
        if name in wishes
    }
    try:
        return SealRequest.model_validate(
            {"dataset": entry.dataset, "agreement": entry.agreement, "add": add, **said}
        )
    except ValidationError:
        raise Usage("the wishes for sealing are not understood", code="input.invalid") from None


def _entry(desk: Desk, consignment: str) -> IntakeEntry:
    entry = desk.now("intake").intake.get(check_id("consignment", consignment))
    if entry is None:
        raise NotFound(
            f"there is no consignment {consignment}", code="consignment.unknown", mend="sandbox intake list"
        )
    return entry


def _chain(desk: Desk, consignment: str) -> list[Posting]:
    """Every entry of it, the newest last."""
    return [posting for posting in desk.registers.entries("intake") if posting.entry.key == consignment]


def _enter(desk: Desk, caller: str, entry: IntakeEntry) -> dict[str, Any]:
    desk.registers.append("intake", [entry.model_dump(mode="json")], caller)
    return _shown(entry)


def _shown(entry: IntakeEntry) -> dict[str, Any]:
    return {
        "consignment": entry.consignment,
        "state": entry.state,
        "reviews": [found.reviewer for found in entry.reviews],
        "reason": entry.reason,
    }


def _text(path: Any) -> str:
    try:
        return str(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        return ""
