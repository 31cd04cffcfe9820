"""``consignment.dsse.json``: what Party A says of a consignment, signed by the key that the agreement pins."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sandbox.consignment import findings, manifest
from sandbox.consignment.envelope import FORMAT
from sandbox.errors import ConsignmentError, Usage
from sandbox.records import check_id
from sandbox.statements import PublicKey, Signer, open_statement, sign_statement

NAME = "consignment.dsse.json"
STATEMENT = "consignment"
MAX_BYTES = 16 << 20


@dataclass(frozen=True)
class Letter:
    """``number`` rises with every consignment of an agreement. ``sealed_key`` is the content key under HPKE.

    ``categories`` are the agreement's words for kinds of data; ``subjects`` the pseudonyms that speak in it. ``files``
    and ``size`` (bytes) count ciphertext. ``digest`` is the statement's, empty before it is signed.
    """

    consignment: str
    number: int
    agreement: str
    dataset: str
    categories: tuple[str, ...]
    subjects: tuple[str, ...]
    files: int
    size: int
    recipient: str
    sealed_key: bytes
    manifest_sha256: str
    findings_sha256: str
    screening: str
    packed_at: str
    digest: str = ""

    @property
    def bound_to(self) -> tuple[str, ...]:
        """What the content key is bound to."""
        return (self.consignment, self.agreement, self.dataset)

    def sign(self, signer: Signer) -> bytes:
        said: dict[str, Any] = {
            "format": FORMAT,
            **{name: getattr(self, name) for name in _PLAIN},
            "categories": list(self.categories),
            "subjects": list(self.subjects),
            "sealed_key": base64.b64encode(self.sealed_key).decode(),
        }
        named = [(manifest.NAME, self.manifest_sha256), (findings.NAME, self.findings_sha256)]
        return sign_statement(STATEMENT, named, said, [signer])


_PLAIN = (
    "consignment",
    "number",
    "agreement",
    "dataset",
    "files",
    "size",
    "recipient",
    "screening",
    "packed_at",
)


def open_letter(data: bytes, keys: Sequence[PublicKey]) -> Letter:
    """Verify, then read.

    Raises:
        StatementError: not signed by one of ``keys``.
        ConsignmentError: signed, but not what a consignment says.
    """
    statement = open_statement(data, STATEMENT, keys)
    try:
        return _read(statement.predicate, dict(statement.subjects), statement.digest)
    except (KeyError, TypeError, ValueError, Usage):
        raise ConsignmentError(
            f"{NAME} is signed, but says something else", code="consignment.letter_invalid"
        ) from None


def _word(word: str) -> bool:
    return 0 < len(word) <= 64 and word.isprintable() and word == word.strip()


def _read(said: Mapping[str, Any], named: Mapping[str, str], digest: str) -> Letter:
    if said["format"] != FORMAT or set(said) != {"format", "categories", "subjects", "sealed_key", *_PLAIN}:
        raise ValueError
    plain = {name: said[name] for name in _PLAIN}
    if not all(
        type(value) is (int if name in ("number", "files", "size") else str) for name, value in plain.items()
    ):
        raise ValueError
    if not all(value.isprintable() for value in plain.values() if isinstance(value, str)):
        raise ValueError
    if not (plain["number"] > 0 < plain["files"] and plain["size"] > 0):
        raise ValueError
    for kind in ("consignment", "agreement", "dataset"):
        check_id(kind, plain[kind])
    lists = {name: tuple(said[name]) for name in ("categories", "subjects") if isinstance(said[name], list)}
    if not all(isinstance(word, str) and _word(word) for words in lists.values() for word in words):
        raise ValueError
    return Letter(
        **plain,
        categories=lists["categories"],
        subjects=tuple(check_id("subject", subject) for subject in lists["subjects"]),
        sealed_key=base64.b64decode(said["sealed_key"], validate=True),
        manifest_sha256=named[manifest.NAME],
        findings_sha256=named[findings.NAME],
        digest=digest,
    )
