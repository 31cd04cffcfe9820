"""The certificate of an erasure: every field that the agreement asks for, signed, kept, and told again on request."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from sandbox.audit import Receipt, open_certificate, open_receipt
from sandbox.audit.erasure import CERTIFICATE, SETTLED, TAINTED, Speaker, speaker_id
from sandbox.custodian import cases
from sandbox.custodian.cases import Case
from sandbox.custodian.desk import Desk
from sandbox.custodian.files import PRIVATE, write_file
from sandbox.custodian.people import APPROVER, STEWARD, require
from sandbox.custodian.warrants import GONE, by_speaker
from sandbox.errors import NotFound, NotPermitted, Refused
from sandbox.policy.entries import ErasureEntry
from sandbox.policy.registers import Posting
from sandbox.runs import utc
from sandbox.sealing.manifest import OpenedManifest
from sandbox.statements import canonical_json, sha256, sign_statement

READERS = (STEWARD, APPROVER, "privacy_reviewer", "auditor")


def certify(
    desk: Desk,
    caller: str,
    speakers: Sequence[Speaker],
    receipts: Sequence[bytes],
    witness: str | None = None,
) -> dict[str, Any]:
    """Sign, keep, and enter. ``receipts`` are the gate's second ones: models tainted. What was signed stands.

    Raises:
        Refused: a key is not destroyed yet, or the receipt is missing where the first one was given.
    """
    require(desk, caller, STEWARD, APPROVER)
    if witness is not None:
        require(desk, witness, *READERS)
        if witness == caller:
            raise NotPermitted("nobody is their own witness", code="witness.same", mend="name somebody else")
    given = by_speaker(desk, receipts, TAINTED)
    with desk.lock:
        postings = {posting.entry.key: posting for posting in desk.registers.entries("erasure")}
        made, entries, newest = [], [], {name: desk.manifest(name) for name in {name for name, _ in speakers}}
        for dataset, subject in speakers:
            posting = postings.get((dataset, subject))
            if posting is None or _of(posting).status not in GONE:
                raise Refused(
                    f"the key of {subject} in {dataset} is not destroyed", code="erasure.not_destroyed"
                )
            data = _standing(desk, (dataset, subject))
            if data is None:
                said = _said(desk, caller, posting, newest[dataset], given.get((dataset, subject)), witness)
                named = [(f"{dataset}.{subject}", sha256(canonical_json(said)))]
                data = sign_statement(CERTIFICATE, named, said, [desk.signer])
                open_certificate(
                    data, desk.trusted(), desk.gate_keys()
                )  # what does not verify is not given out
                write_file(cases.folder(desk) / f"{dataset}.{subject}.dsse.json", data, PRIVATE)
            if _of(posting).status != "certified":
                entry = {**posting.entry.model_dump(mode="json"), "status": "certified"}
                entries.append({**entry, "certificate": sha256(data)})
            made.append({"dataset": dataset, "subject": subject, "certificate": data.decode()})
        desk.registers.append("erasure", entries, caller)
    return {"certificates": made}


def certificates_of(desk: Desk, caller: str, subject: str) -> dict[str, Any]:
    """Every certificate that stands for ``subject``. Raises NotFound when there is none."""
    require(desk, caller, *READERS)
    found = []
    for dataset, name in desk.now("erasure").erasures:
        data = _standing(desk, (dataset, name)) if name == subject else None
        if data is not None:
            found.append({"dataset": dataset, "subject": name, "certificate": data.decode()})
    if not found:
        mend = f"sandbox erase {subject}"
        raise NotFound(f"no erasure of {subject} is certified", code="certificate.none", mend=mend)
    return {"certificates": found}


def erasure_list(desk: Desk, caller: str) -> bytes:
    """The erasure register as Party A's witness keeps it: its signed entries, one a line, in order."""
    require(desk, caller, *READERS, "operator")
    return b"".join(data + b"\n" for data in desk.registers.envelopes("erasure"))


def _of(posting: Posting) -> ErasureEntry:
    if not isinstance(posting.entry, ErasureEntry):
        raise TypeError("the erasure register holds erasures")
    return posting.entry


def _standing(desk: Desk, speaker: Speaker) -> bytes | None:
    path = cases.folder(desk) / f"{speaker[0]}.{speaker[1]}.dsse.json"
    return path.read_bytes() if path.exists() else None


def _said(
    desk: Desk,
    caller: str,
    posting: Posting,
    opened: OpenedManifest,
    given: tuple[bytes, Receipt] | None,
    witness: str | None,
) -> dict[str, Any]:
    dataset, subject = _of(posting).key
    case, now = cases.read(desk, dataset, subject), desk.clock()
    receipt, found = given or (None, None)
    if case.receipt is not None and (found is None or found.seq < posting.seq):
        raise Refused(
            f"the gate has not said that what was made of {subject} is tainted", code="receipt.missing"
        )
    name = speaker_id((dataset, subject))
    settled = open_receipt(case.receipt, desk.gate_keys(), SETTLED) if case.receipt else None
    until = utc(now + timedelta(days=desk.snapshot_days))
    held = {SETTLED: case.receipt, TAINTED: receipt}
    return {
        "subject": subject,
        "dataset": dataset,
        "agreement": {"id": opened.manifest.agreement, "digest": opened.manifest.agreement_digest},
        "objects": dict(case.objects),
        "keys": [_key(case, dataset, subject)],
        "method": {
            "standard": "NIST SP 800-88 Rev. 1",
            "technique": "Purge: Cryptographic Erase (CE)",
            "how": "the only key that opens the subject's records was destroyed inside Vault, never having left it",
        },
        "copies": {
            "sealed": "every copy of the records, wherever it lies, is ciphertext under the destroyed key",
            "databases": "gate and MLflow databases hold pseudonyms, never a key or a recording",
            "caches": "ciphertext alone; "
            + (
                "the gate let go of versions from before"
                if found
                else "not cleared, and unreadable all the same"
            ),
            "snapshots": {
                "what": "snapshots of Vault made before hold the key until they are deleted",
                "days": desk.snapshot_days,
                "until": until,
            },
        },
        "derived": [dict(model) for model in found.models.get(name, ())] if found else [],
        "runs": list(settled.runs.get(name, ())) if settled else [],
        "by": caller,
        "witness": {"person": witness, "gate": found.statement.digest if found else None},
        "at": utc(now),
        "verification": {
            "attempted": "each stored wrap was offered to Vault again after the key was destroyed",
            "result": "refused: encryption key not found",
            "wraps": len(case.wraps),
            "at": case.destroyed_at,
        },
        "exceptions": [{"what": "snapshots of Vault made before the erasure", "until": until}],
        "receipts": {stage: base64.b64encode(data).decode() for stage, data in held.items() if data},
        "without_receipt": case.without_receipt,
        "manifest": {"version": opened.manifest.version, "digest": opened.digest, "before": case.manifest},
        "register": {"seq": posting.seq, "digest": posting.digest},
    }


def _key(case: Case, dataset: str, subject: str) -> dict[str, Any]:
    return {
        "name": f"subjects/{dataset}.{subject}",
        "destroyed_at": case.destroyed_at,
        "wraps": list(case.wraps),
        "answer": "encryption key not found",
    }
