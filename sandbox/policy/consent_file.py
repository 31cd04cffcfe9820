"""A file of consent records, signed by Party A over its exact bytes: read strictly, every fault with its line.

YAML or JSON: one record, a list of them, or a list under ``consents``. The signature is DSSE in ``NAME.dsse.json``
beside it, by the key of Party A that was pinned with the agreement.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import Field, ValidationInfo, field_validator

from sandbox.errors import StatementError, Usage
from sandbox.policy.documents import Document, Model, fit, parse
from sandbox.policy.entries import Consent, GuardianEvidence
from sandbox.policy.fields import Digest, Nothing
from sandbox.statements import PublicKey, Signer, open_envelope, sign_envelope

CONSENTS = "application/vnd.voice-sandbox.consents+yaml"
MAX_AT_ONCE = 10_000


class ConsentRecord(Consent):
    """A record as Party A hands it over: complete. The notice is a must, and a guardian's evidence for a child."""

    notice_sha256: Digest  # narrower than what a register may hold
    guardian_evidence: Annotated[GuardianEvidence | None, Nothing] = Field(None, validate_default=True)

    @field_validator("guardian_evidence")
    @classmethod
    def _of_children(cls, value: GuardianEvidence | None, info: ValidationInfo) -> GuardianEvidence | None:
        if value is None and info.data.get("age_band") == "under_14":
            raise ValueError("a child under 14 needs the evidence of a guardian's consent")
        return value


class ConsentFile(Model):
    consents: tuple[ConsentRecord, ...]


def sign_consents(data: bytes, signer: Signer) -> bytes:
    """The bytes of ``NAME.dsse.json`` for the file ``data``."""
    return sign_envelope(CONSENTS, data, [signer])


def signed_by(data: bytes, envelope: bytes, key: PublicKey) -> bool:
    """Whether ``key`` signed these exact bytes as consents."""
    try:
        return open_envelope(envelope, CONSENTS, [key]) == data
    except StatementError:
        return False


def read_consents(data: bytes, name: str) -> tuple[tuple[int, ConsentRecord], ...]:
    """Line and record, in order. Raises Usage with every fault and its line; nothing of a faulty file counts."""
    document = _under_consents(parse(data, name, listed=True))
    found = fit(document, ConsentFile).consents
    wrong = list(_twice(document, found))
    if not 0 < len(found) <= MAX_AT_ONCE:
        wrong = [f"{name}: between 1 and {MAX_AT_ONCE} consents at once, not {len(found)}"]
    if wrong:
        raise Usage("\n".join(wrong), code="file.invalid", mend=f"mend {name} and try again")
    return tuple((document.line(("consents", number)), record) for number, record in enumerate(found))


def _under_consents(document: Document) -> Document:
    """Every form as the one under ``consents``."""
    value: Any = document.value
    if isinstance(value, dict) and "consents" in value:
        return document
    if isinstance(value, list):
        lines = {("consents", *place): line for place, line in document.lines.items()}
        return Document(document.name, {"consents": value}, lines)
    lines = {("consents", 0, *place): line for place, line in document.lines.items()}
    return Document(document.name, {"consents": [value]}, lines)


def _twice(document: Document, found: tuple[ConsentRecord, ...]) -> Iterator[str]:
    seen: set[object] = set()
    for number, record in enumerate(found):
        where = f"{document.name}:{document.line(('consents', number))}"
        for what, key in (("record", record.record_id), ("consent of", record.key)):
            if key in seen:
                said = key if isinstance(key, str) else f"{key[1]} for {key[0]}"
                yield f"{where}: the {what} {said} stands twice"
            seen.add(key)
