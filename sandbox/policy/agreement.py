"""An agreement file, signed by both parties over its exact bytes; one version follows another.

The keys are the two pinned at activation; keys inside a file are never trusted for it. A canonical form would not
notice a changed byte, so the signature is DSSE over the bytes as they are. What the terms must be: ``soundness``.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass

from sandbox.errors import Refused, StatementError
from sandbox.policy.documents import read
from sandbox.policy.terms import Terms
from sandbox.statements import (
    AGREEMENT,
    PublicKey,
    Signer,
    canonical_json,
    open_envelope,
    sha256,
    sign_envelope,
)


@dataclass(frozen=True)
class Agreement:
    """Verified terms and the sha256 of their file's exact bytes; who signed them (``narrowing``)."""

    terms: Terms
    digest: str
    by_a_alone: bool = False


def sign_agreement(data: bytes, signers: list[Signer]) -> bytes:
    """The bytes of ``NAME.dsse.json`` for the file ``data``."""
    return sign_envelope(AGREEMENT, data, signers)


def add_signature(data: bytes, envelope: bytes | None, signer: Signer) -> bytes:
    """``envelope`` with one signature more, so that each party signs at its own desk.

    Raises:
        StatementError: the envelope is of other bytes than ``data``.
    """
    mine = sign_envelope(AGREEMENT, data, [signer])
    if envelope is None:
        return mine
    try:
        theirs, ours = json.loads(envelope), json.loads(mine)
        same = base64.b64decode(theirs["payload"]) == data and theirs["payloadType"] == AGREEMENT
        others = [entry for entry in theirs["signatures"] if entry["keyid"] != signer.keyid]
    except (ValueError, KeyError, TypeError):
        raise StatementError("the signature file is no DSSE envelope") from None
    if not same:
        raise StatementError("the signatures are over other bytes than this file", code="agreement.changed")
    return canonical_json({**ours, "signatures": [*others, *ours["signatures"]]})


def open_agreement(
    data: bytes, envelope: bytes, party_a: PublicKey, party_b: PublicKey, name: str
) -> Agreement:
    """The terms, once both pinned keys have signed these exact bytes (V02, V24). Nothing unsigned is parsed.

    Raises:
        StatementError: a signature is missing or is over other bytes, or both parties are one key.
        Usage: signed, but not readable as terms (V23).
    """
    if open_envelope(envelope, AGREEMENT, [party_a, party_b], threshold=2) != data:
        raise StatementError("the signatures are over other bytes than this file", code="agreement.changed")
    return Agreement(read(data, Terms, name), sha256(data))


def require_successor(old: Agreement | None, new: Agreement) -> None:
    """A version follows the active one: it names that file's digest and counts one further. Raises Refused."""
    version, supersedes = new.terms.metadata.version, new.terms.metadata.supersedes
    fits = (
        (version == 1 and supersedes is None)
        if old is None
        else (version == old.terms.metadata.version + 1 and supersedes == old.digest)
    )
    if not fits:
        found = (
            "none is active"
            if old is None
            else f"v{old.terms.metadata.version} ({old.digest[:12]}…) is active"
        )
        raise Refused(
            f"version {version} does not follow: {found}",
            code="agreement.version",
            mend="number versions from 1 and write the sha256 of the file before into metadata.supersedes",
        )
