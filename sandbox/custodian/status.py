"""Where an agreement stands: activated when both parties signed it; narrowed, suspended or ended by Party A alone.

The two keys are pinned at the first activation; a later version must be signed by the same two.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any

from sandbox.custodian.agreements import load_agreement, standing, stored_version
from sandbox.custodian.bar import refresh_policies
from sandbox.custodian.desk import Desk
from sandbox.custodian.files import write_file
from sandbox.custodian.people import APPROVER, require
from sandbox.errors import NotFound, Refused, Usage
from sandbox.policy.agreement import Agreement, require_successor
from sandbox.policy.entries import StatusEntry
from sandbox.policy.narrowing import open_version
from sandbox.policy.soundness import require_sound
from sandbox.statements import PublicKey

STATUSES = ("active", "suspended", "terminated")


def activate(desk: Desk, caller: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """``{agreement, envelope}`` as base64 of exact bytes, ``{party_a_key, party_b_key}`` as ``ed25519:BASE64``.

    Party A's signature alone will do for a version that only narrows the active one (V24); it acts at once.

    Raises:
        StatementError: a signature is missing or is over other bytes.
        Refused: Party A alone signed what allows more; the terms are unsound, the version does not follow, or other
            keys are pinned.
    """
    require(desk, caller, APPROVER)
    data, envelope = _bytes(body, "agreement"), _bytes(body, "envelope")
    key_a, key_b = (PublicKey.from_text(str(body.get(name, ""))) for name in ("party_a_key", "party_b_key"))
    name = str(body.get("name", "agreement"))
    found = open_version(
        data, envelope, key_a, key_b, name, lambda before: _before(desk, before, key_a, key_b)
    )
    require_sound(found.terms)
    agreement, version = found.terms.metadata.id, found.terms.metadata.version
    with desk.lock:
        known = standing(desk, agreement)
        if known is not None and known.status == "terminated":
            raise Refused(f"{agreement} has ended; it cannot be taken up again", code="agreement.ended")
        if known is None or known.digest != found.digest:
            _require_next(desk, known, found, key_a, key_b)
        path = desk.agreements / f"{found.digest}.yaml"
        write_file(path, data)
        write_file(path.with_suffix(".dsse.json"), envelope)
        desk.vault.create_derivatives_key(agreement)
        entry = StatusEntry(
            agreement=agreement,
            digest=found.digest,
            version=version,
            status="active",
            party_a_key=key_a.text,
            party_b_key=key_b.text,
        )
        return {**_enter(desk, caller, entry), "signed_by": "a" if found.by_a_alone else "both"}


def set_status(desk: Desk, caller: str, agreement: str, status: str) -> dict[str, Any]:
    """Suspend, end, or take up again. Unless active, nothing decrypts: the datasets' run policies are deleted."""
    require(desk, caller, APPROVER)
    if status not in STATUSES:
        raise Usage(f"{status!r} is no status", mend=f"one of {', '.join(STATUSES)}")
    with desk.lock:
        known = standing(desk, agreement)
        if known is None:
            raise NotFound("there is no such agreement", code="agreement.unknown")
        if known.status == "terminated" and status != "terminated":
            raise Refused(f"{agreement} has ended; it cannot be taken up again", code="agreement.ended")
        return _enter(desk, caller, known.model_copy(update={"status": status}))


def _before(desk: Desk, digest: str, a: PublicKey, b: PublicKey) -> Agreement:
    """The version in force that Party A alone narrows; that name and keys are its own is checked later."""
    for entry in desk.now("status").statuses.values():
        if entry.digest == digest:
            return stored_version(desk, digest, entry.agreement, a, b)
    raise Refused(
        "Party A alone can narrow only the version that is active",
        code="agreement.version",
        mend="write the sha256 of the active file into metadata.supersedes",
    )


def _require_next(
    desk: Desk, known: StatusEntry | None, found: Agreement, a: PublicKey, b: PublicKey
) -> None:
    if known is not None and (known.party_a_key, known.party_b_key) != (a.text, b.text):
        raise Refused(
            f"other keys are pinned for {known.agreement}",
            code="agreement.keys_pinned",
            mend="have the new version signed by the keys of the first",
        )
    require_successor(load_agreement(desk, known) if known else None, found)


def _enter(desk: Desk, caller: str, entry: StatusEntry) -> dict[str, Any]:
    """Register first, then policies: a crash between is mended by the next refresh, and the gate reads the register."""
    posted = desk.registers.append("status", [entry.model_dump(mode="json")], caller)[-1]
    for dataset in desk.datasets():
        if desk.manifest(dataset).manifest.agreement == entry.agreement:
            refresh_policies(desk, dataset)
    return {
        "agreement": entry.agreement,
        "version": entry.version,
        "status": entry.status,
        "digest": entry.digest,
        "seq": posted.seq,
    }


def _bytes(body: Mapping[str, Any], name: str) -> bytes:
    try:
        return base64.b64decode(str(body[name]), validate=True)
    except (KeyError, binascii.Error, ValueError):
        raise Usage(f"{name} is missing, or not base64") from None
