"""Consents of data subjects: each flag its own consent, evidence by digest. A withdrawal bars at once (R-2.3b).

They come from Party A: entered by one of its people, or in a file that its pinned key signed. Nothing is overwritten:
the register keeps every record. What was withdrawn is given again by a new record only, never by an old file.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any

from sandbox.custodian.agreements import load_terms
from sandbox.custodian.bar import refresh_policies
from sandbox.custodian.desk import Desk
from sandbox.custodian.files import PRIVATE, write_file
from sandbox.custodian.people import APPROVER, STEWARD, require
from sandbox.custodian.registers import check
from sandbox.errors import NotFound, NotPermitted, Reason, Refused, StatementError, Usage
from sandbox.policy.consent_file import MAX_AT_ONCE, ConsentRecord, read_consents, signed_by
from sandbox.policy.entries import Consent, ConsentEntry, Withdrawal
from sandbox.policy.registers import Posting
from sandbox.runs import new_id
from sandbox.statements import PublicKey, sha256

UNSIGNED = "the signature of Party A's pinned key over this file is missing"
REPLAYED = "it is on file already, and does not stand as it says here"
ANEW = "a consent given anew is a new record, with a record_id of its own"


def import_consents(desk: Desk, caller: str, given: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Enter one consent or many (all or none) on the word of a person of Party A, then rewrite the run policies."""
    require(desk, caller, STEWARD, APPROVER)
    if desk.now("people").people[caller].party != "A":
        mend = "have Party A sign them: sandbox consent sign FILE --key KEY"
        raise NotPermitted(f"{caller} is not of Party A, which consents come from", mend=mend)
    if not 0 < len(given) <= MAX_AT_ONCE:
        raise Usage(f"between 1 and {MAX_AT_ONCE} consents at once")
    if any("imported" in consent for consent in given):
        raise Usage("imported is said by a signed import alone", mend="leave it out")
    made = [{"record_id": new_id("cr-"), **consent} for consent in given]
    entries = [check(ConsentEntry, "consent", consent) for consent in made]
    with desk.lock:
        history = desk.registers.entries("consent")
        known, past = {posting.entry.key: posting for posting in history}, _by_record(history)
        reasons = [
            Reason("consent.replayed", entry.record_id, REPLAYED, ANEW, "2.3")
            for entry in entries
            if entry.status == "ConsentGiven"
            and entry.record_id in past
            and not _same(known.get(entry.key), entry)
        ]
        if reasons:
            raise Refused("nothing was entered", reasons=reasons, code=reasons[0].code)
        return _enter(desk, caller, entries)


def import_signed(desk: Desk, caller: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """``{name, file, envelope}``, the bytes as base64: verified first, then read, then entered, all or none.

    Raises:
        StatementError: no pinned key of Party A signed these bytes.
        Usage: a fault, with its line.
        Refused: a dataset that the signer does not answer for, or a record that may not stand again; every reason.
    """
    require(desk, caller, STEWARD, APPROVER)
    name = str(body.get("name") or "consents")
    data, envelope = _bytes(body, "file"), _bytes(body, "envelope")
    answers_for = _signed_for(desk, data, envelope)
    records, digest = read_consents(data, name), sha256(envelope)
    with desk.lock:
        history, reasons, fresh = desk.registers.entries("consent"), [], []
        known = {posting.entry.key: posting for posting in history}
        past = _by_record(history)
        for line, record in records:
            entry = ConsentEntry(**dict(record), imported=digest)
            latest = known.get(entry.key)
            if _same(latest, record):
                continue  # the file was imported before
            found = _fault(record, latest, past.get(record.record_id), answers_for)
            if found is None:
                fresh.append(entry)
            else:
                about = f"{name}:{line} {record.record_id}"
                reasons.append(Reason(found[0], about, found[1], found[2], "2.3"))
        if reasons:
            raise Refused("nothing was imported", reasons=reasons, code=reasons[0].code)
        folder = desk.sealed.parent / "consents"
        folder.mkdir(mode=0o700, exist_ok=True)  # the custodian's alone: the gate reads the register
        write_file(folder / f"{digest}.dsse.json", envelope, PRIVATE)
        return _enter(desk, caller, fresh)


def withdraw_consent(
    desk: Desk, caller: str, dataset: str, subject: str, channel: str | None = None
) -> dict[str, Any]:
    """From here no new key of this subject is unwrapped, by live credentials either. May repeat."""
    require(desk, caller, STEWARD, APPROVER)
    known = desk.now("consent").consents.get((dataset, subject))
    if known is None:
        raise NotFound(f"{subject} has no consent for {dataset} on record", code="consent.unknown")
    before = known.withdrawal
    gone = Withdrawal(channel=channel or before.channel, at=before.at or desk.clock().replace(microsecond=0))
    changes = {"status": "ConsentWithdrawn", "withdrawal": gone}
    return _enter(desk, caller, [known.model_copy(update=changes)])


def _fault(
    record: ConsentRecord,
    latest: Posting | None,
    past: list[ConsentEntry] | None,
    answers_for: Mapping[str, str],
) -> tuple[str, str, str] | None:
    """Code, why and mend of what keeps a record out. What narrows is never kept out for its age. Pure."""
    if record.dataset not in answers_for:
        why = f"who signed the file is not the Party A of {record.dataset}"
        return "consents.foreign", why, "have it signed by the Party A of the dataset's agreement"
    if record.status != "ConsentGiven":
        return None
    if record.notice_sha256 != answers_for[record.dataset]:
        why = "it rests on another notice than the agreement's: what was told, and until when, is not known"
        return "consent.other_notice", why, "agree on a new version that names that notice"
    if past is not None:
        return "consent.replayed", REPLAYED, ANEW
    if latest is None or not isinstance(latest.entry, ConsentEntry):
        return None
    known = latest.entry
    said_no = known.status not in ("ConsentGiven", "ConsentExpired")
    if record.given_at < known.given_at or (
        said_no and record.given_at <= (known.withdrawal.at or latest.at)
    ):
        return "consent.older", f"it was given before what stands on record ({known.record_id})", ANEW
    return None


def _same(latest: Posting | None, record: Consent) -> bool:
    if latest is None:
        return False
    said = latest.entry.model_dump(mode="json")
    return {**said, "imported": None} == {**record.model_dump(mode="json"), "imported": None}


def _by_record(history: Sequence[Posting]) -> dict[str, list[ConsentEntry]]:
    found: dict[str, list[ConsentEntry]] = {}
    for posting in history:
        if isinstance(posting.entry, ConsentEntry):
            found.setdefault(posting.entry.record_id, []).append(posting.entry)
    return found


def _signed_for(desk: Desk, data: bytes, envelope: bytes) -> dict[str, str]:
    """Datasets of every agreement whose pinned key of Party A signed these bytes, and the digest of each one's notice.

    A dataset that was sealed is its own agreement's, whoever else names it. Nothing unsigned is parsed.
    """
    found: dict[str, str] = {}
    sealed = desk.now("dataset")
    signed = False
    for entry in desk.now("status").statuses.values():
        if signed_by(data, envelope, PublicKey.from_text(entry.party_a_key)):
            signed = True
            for dataset in load_terms(desk, entry).datasets:
                newest = sealed.dataset(dataset.id)
                if newest is None or newest.agreement == entry.agreement:
                    found[dataset.id] = dataset.notice_given.sha256
    if not signed:
        mend = "Party A signs it: sandbox consent sign FILE --key party-a.key"
        raise StatementError(UNSIGNED, code="consents.unsigned", mend=mend)
    return found


def _bytes(body: Mapping[str, Any], name: str) -> bytes:
    value = body.get(name)
    try:
        return base64.b64decode(value if isinstance(value, str) else "", validate=True)
    except ValueError:  # also of what is no ASCII
        raise Usage(f"{name} is no base64") from None


def _enter(desk: Desk, caller: str, entries: Sequence[ConsentEntry]) -> dict[str, Any]:
    with desk.lock:
        entered = desk.registers.append(
            "consent", [entry.model_dump(mode="json") for entry in entries], caller
        )
        barred = {
            dataset: refresh_policies(desk, dataset) for dataset in sorted({e.dataset for e in entries})
        }
    last = entered[-1] if entered else None
    head = {"seq": last.seq if last else 0, "digest": last.digest if last else ""}
    return {"entered": len(entered), **head, "barred": barred}
