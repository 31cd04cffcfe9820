"""Forgetting a person in one dataset: barred, key destroyed, destruction proved, tombstone, certificate.

Every step is entered in the register before the next begins, and every step may repeat: asking again after a crash
goes on where it stopped. From ``asked`` on the gate admits no run with this subject.
"""

from __future__ import annotations

import time
from typing import Any

from sandbox.custodian.bar import refresh_policies
from sandbox.custodian.desk import Desk
from sandbox.custodian.people import APPROVER, STEWARD, require
from sandbox.custodian.seal import settle
from sandbox.errors import NotFound
from sandbox.records import Manifest, check_id
from sandbox.runs import utc
from sandbox.sealing.eraser import erase_subject, subject_wraps
from sandbox.sealing.version import Terms
from sandbox.statements import canonical_json, sha256, sign_statement

CERTIFICATE = "erasure-certificate"


def erase(desk: Desk, caller: str, subject: str, dataset: str | None = None) -> dict[str, Any]:
    """Erase ``subject`` from ``dataset``, or from every dataset that holds it.

    Raises:
        NotFound: nothing here is of that subject.
        EvidenceMismatch: the key is not provably gone; nothing is certified.
    """
    require(desk, caller, STEWARD, APPROVER)
    check_id("subject", subject)
    with desk.lock:
        known = [dataset] if dataset else [name for name in desk.datasets() if _holds(desk, name, subject)]
        if not known:
            raise NotFound(f"nothing here is of {subject}", code="subject.unknown")
        return {"subject": subject, "erasures": [_erase(desk, caller, subject, name) for name in known]}


def _holds(desk: Desk, dataset: str, subject: str) -> bool:
    manifest = desk.manifest(dataset).manifest
    return subject in manifest.subjects or (
        subject in manifest.tombstones
        and desk.now("erasure").erasures[dataset, subject].status != "certified"
    )


def _erase(desk: Desk, caller: str, subject: str, dataset: str) -> dict[str, Any]:
    began = time.monotonic()
    folder, hands = desk.folder(dataset), desk.hands(dataset)
    before = desk.manifest(dataset).manifest
    wraps = subject_wraps(folder, dataset, subject, hands)  # 0. raises NotFound for a stranger

    def enter(status: str) -> None:
        entry = {"subject": subject, "dataset": dataset, "status": status}
        desk.registers.append("erasure", [entry], caller)

    enter("asked")  # 1.
    refresh_policies(desk, dataset)  # 2. live credentials feel it
    enter("barred")
    desk.vault.destroy_key(dataset, subject)  # 3.
    for wrapped in wraps:  # 4. a stored wrap must fail now, or nothing is certified
        desk.vault.prove_destroyed(dataset, subject, wrapped)
    enter("destroyed")
    erase_subject(folder, dataset, subject, _terms(desk, before), hands)  # 5.
    settle(desk, dataset, caller)
    enter("certified")  # 6.
    after = desk.manifest(dataset)
    fact = {
        "subject": subject,
        "dataset": dataset,
        "version": after.manifest.version,
        "manifest": after.digest,
        "wraps_proved": [sha256(wrapped.encode()) for wrapped in wraps],
        "method": "cryptographic erase: the subject's only key was destroyed in Vault (NIST SP 800-88r1, 2.5)",
        "not_covered": "snapshots of Vault taken before hold the key until they expire",
        "by": caller,
        "at": utc(desk.clock()),
    }
    named = [(f"{dataset}.{subject}", sha256(canonical_json(fact)))]
    certificate = sign_statement(CERTIFICATE, named, fact, [desk.signer])
    return {**fact, "seconds": round(time.monotonic() - began, 3), "certificate": certificate.decode()}


def _terms(desk: Desk, before: Manifest) -> Terms:
    """The terms of the version before: an erasure changes no purpose, only who is left."""
    return Terms(
        agreement=before.agreement,
        agreement_digest=before.agreement_digest,
        purposes=before.purposes,
        retention_until=before.retention_until,
        region=before.region,
        consent_digest=desk.registers.digest("consent"),
        processing=before.processing,
        created_at=utc(desk.clock()),
    )
