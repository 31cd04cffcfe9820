"""Reading activated agreements: verified each time with the two keys that were pinned for them.

Files lie beside the registers as ``agreements/<digest>.yaml`` and ``<digest>.dsse.json``; the digest is that of the
YAML file's bytes.
"""

from __future__ import annotations

from sandbox.custodian.desk import Desk
from sandbox.errors import EvidenceMismatch, Refused
from sandbox.policy.agreement import Agreement
from sandbox.policy.entries import StatusEntry
from sandbox.policy.narrowing import open_version
from sandbox.policy.terms import Terms
from sandbox.statements import PublicKey


def standing(desk: Desk, agreement: str) -> StatusEntry | None:
    """The agreement's newest status entry; None when it was never activated."""
    return desk.now("status").statuses.get(agreement)


def require_own(desk: Desk, agreement: str, dataset: str) -> None:
    """Voices that were given under one agreement never come under another. Raises Refused."""
    sealed = desk.now("dataset").dataset(dataset)
    if sealed is not None and sealed.agreement != agreement:
        raise Refused(
            f"{dataset} was sealed under {sealed.agreement}, not {agreement}",
            code="dataset.other_agreement",
            mend="agree on a dataset of another name",
        )


def load_agreement(desk: Desk, entry: StatusEntry) -> Agreement:
    """The stored agreement, verified once more with the pinned keys.

    Raises:
        EvidenceMismatch: its files are missing or are not what was activated.
    """
    keys = (PublicKey.from_text(entry.party_a_key), PublicKey.from_text(entry.party_b_key))
    return stored_version(desk, entry.digest, entry.agreement, *keys)


def stored_version(desk: Desk, digest: str, agreement: str, a: PublicKey, b: PublicKey) -> Agreement:
    """A version that was activated once, verified anew, and with it those that it rests on. Raises as above."""
    path = desk.agreements / f"{digest}.yaml"
    try:
        data, envelope = path.read_bytes(), path.with_suffix(".dsse.json").read_bytes()
    except OSError:
        raise EvidenceMismatch(
            f"agreement {agreement} has lost its files", code="agreement.missing"
        ) from None

    def before(other: str) -> Agreement:
        return stored_version(desk, other, agreement, a, b)

    found = open_version(data, envelope, a, b, agreement, before)
    if found.digest != digest:
        raise EvidenceMismatch(f"agreement {agreement} is not the one activated", code="agreement.changed")
    return found


def load_terms(desk: Desk, entry: StatusEntry) -> Terms:
    return load_agreement(desk, entry).terms
