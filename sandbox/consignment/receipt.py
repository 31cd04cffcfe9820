"""The receipt: the custodian's signed word that it holds a consignment, byte for byte as Party A signed it (2.1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sandbox.consignment.letter import Letter
from sandbox.errors import EvidenceMismatch
from sandbox.statements import PublicKey, Signer, open_statement, sign_statement

STATEMENT = "consignment-receipt"
REJECTION = "consignment-rejection"


def sign_receipt(letter: Letter, by: str, at: str, signer: Signer) -> bytes:
    said = {
        "consignment": letter.consignment,
        "number": letter.number,
        "agreement": letter.agreement,
        "dataset": letter.dataset,
        "files": letter.files,
        "size": letter.size,
        "received_by": by,
        "received_at": at,
    }
    return sign_statement(STATEMENT, [(letter.consignment, letter.digest)], said, [signer])


def verify_receipt(data: bytes, letter: Letter, keys: Sequence[PublicKey]) -> Mapping[str, Any]:
    """What it says, once it is a receipt for exactly this consignment. Needs no service.

    Raises:
        StatementError: not signed by the custodian.
        EvidenceMismatch: a receipt for something else.
    """
    statement = open_statement(data, STATEMENT, keys)
    said = statement.predicate
    same = ("consignment", "number", "agreement", "dataset", "files", "size")
    if statement.subjects != ((letter.consignment, letter.digest),) or any(
        said.get(name) != getattr(letter, name) for name in same
    ):
        raise EvidenceMismatch("this is the receipt of another consignment", code="receipt.differs")
    return said
