"""What proves that a person was forgotten: the gate's receipts and the custodian's certificate. Pure.

Two signatures stand behind a certificate: the custodian's over all of it, and the gate's over the receipts inside it,
each of which also shows where the erasure's register entry stands in the gate's log. Everything verifies offline.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sandbox.audit.checkpoint import open_checkpoint
from sandbox.audit.tree import leaf_hash, verify_inclusion
from sandbox.errors import StatementError
from sandbox.statements import PublicKey, Statement, canonical_json, open_statement, sha256

RECEIPT = "erasure-receipt"
CERTIFICATE = "erasure-certificate"
SETTLED, TAINTED = "settled", "tainted"
ORIGIN = "voice-sandbox/gate"
FIELDS = (
    "subject",
    "dataset",
    "agreement",
    "objects",
    "keys",
    "method",
    "copies",
    "derived",
    "runs",
    "by",
    "witness",
    "at",
    "verification",
    "exceptions",
    "receipts",
    "without_receipt",
    "manifest",
    "register",
)
"""Of a certificate (agreement, Annex "Certified destruction certificate"); one that lacks a field is none."""

Speaker = tuple[str, str]
"""(dataset, subject)."""


@dataclass(frozen=True)
class Receipt:
    """The gate's word for some speakers: ``runs`` that held each and are settled, ``models`` made of each, tainted.

    ``seq`` and ``head``: the newest entry of the erasure register that the gate had read, and its digest.
    """

    stage: str
    speakers: frozenset[Speaker]
    seq: int
    head: str
    runs: Mapping[str, tuple[str, ...]]
    models: Mapping[str, tuple[Mapping[str, str], ...]]
    statement: Statement


def speaker_id(speaker: Speaker) -> str:
    return f"{speaker[0]}/{speaker[1]}"


def open_receipt(data: bytes, keys: Sequence[PublicKey], stage: str) -> Receipt:
    """Verify a receipt of ``stage`` by the gate's ``keys``, and its place in the log.

    Raises:
        StatementError: not signed by the gate, of another stage, or its log anchor does not hold.
    """
    statement = open_statement(data, RECEIPT, keys)
    said = statement.predicate
    try:
        found = Receipt(
            str(said["stage"]),
            frozenset((str(dataset), str(subject)) for dataset, subject in said["speakers"]),
            int(said["register"]["seq"]),
            str(said["register"]["digest"]),
            {str(name): tuple(map(str, runs)) for name, runs in said["runs"].items()},
            {str(name): tuple(dict(m) for m in models) for name, models in said["models"].items()},
            statement,
        )
        anchored = _anchored(said["log"], said["register"], keys)
    except (AttributeError, KeyError, TypeError, ValueError):
        raise StatementError("signed, but no receipt of an erasure", code="receipt.invalid") from None
    if found.stage != stage:
        raise StatementError(f"this receipt says {found.stage}, not {stage}", code="receipt.stage")
    if not anchored:
        raise StatementError("the receipt's entry is not in the log it names", code="receipt.anchor")
    return found


def _anchored(log: Mapping[str, Any], register: Mapping[str, Any], keys: Sequence[PublicKey]) -> bool:
    """The entry names the register's head, and stands under the signed checkpoint."""
    entry = str(log["entry"]).encode()
    told = json.loads(entry)
    if (told["kind"], told["register"], told["seq"], told["digest"]) != (
        "posting",
        "erasure",
        register["seq"],
        register["digest"],
    ):
        return False
    point = open_checkpoint(str(log["checkpoint"]).encode(), ORIGIN, keys)
    proof = [bytes.fromhex(one) for one in log["proof"]]
    return verify_inclusion(leaf_hash(entry), int(log["index"]), point.size, proof, point.root)


@dataclass(frozen=True)
class Certificate:
    """A verified certificate. ``receipts`` by stage; empty where the erasure went on without the gate."""

    said: Mapping[str, Any]
    receipts: Mapping[str, Receipt]
    digest: str

    @property
    def speaker(self) -> Speaker:
        return (str(self.said["dataset"]), str(self.said["subject"]))


def open_certificate(data: bytes, custodian: Sequence[PublicKey], gate: Sequence[PublicKey]) -> Certificate:
    """Both signatures, every field, and that the receipts speak of this very person.

    Raises:
        StatementError: what does not hold.
    """
    statement = open_statement(data, CERTIFICATE, custodian)
    said = statement.predicate
    if lacking := sorted(set(FIELDS) ^ set(said)):
        raise StatementError(
            f"not the fields of a certificate: {', '.join(lacking)}", code="certificate.fields"
        )
    speaker = (str(said["dataset"]), str(said["subject"]))
    if statement.subjects != ((f"{speaker[0]}.{speaker[1]}", sha256(canonical_json(said))),):
        raise StatementError("the certificate names another than it speaks of", code="certificate.subject")
    receipts = _receipts(said, gate)
    if not receipts and not said["without_receipt"]:
        raise StatementError("the gate's receipt is missing, and no reason why", code="certificate.receipt")
    for receipt in receipts.values():
        if speaker not in receipt.speakers:
            raise StatementError("a receipt speaks of somebody else", code="certificate.receipt")
    if set(receipts) != {SETTLED, TAINTED} and not said["without_receipt"]:
        raise StatementError("one of the gate's two receipts is missing", code="certificate.receipt")
    _require_told(said, receipts, speaker_id(speaker))
    if not said["keys"] or any(not key.get("wraps") or not key.get("answer") for key in said["keys"]):
        raise StatementError("a key's destruction is not proved", code="certificate.unproved")
    return Certificate(said, receipts, statement.digest)


def _require_told(said: Mapping[str, Any], receipts: Mapping[str, Receipt], name: str) -> None:
    """The custodian leaves out no run and no model that the gate names."""
    runs = receipts[SETTLED].runs.get(name, ()) if SETTLED in receipts else ()
    models = receipts[TAINTED].models.get(name, ()) if TAINTED in receipts else ()
    if list(said["runs"]) != list(runs) or list(said["derived"]) != [dict(model) for model in models]:
        raise StatementError(
            "the certificate tells of other runs or models than the receipts", code="certificate.receipt"
        )


def _receipts(said: Mapping[str, Any], gate: Sequence[PublicKey]) -> dict[str, Receipt]:
    try:
        held = {stage: base64.b64decode(text, validate=True) for stage, text in said["receipts"].items()}
    except (AttributeError, TypeError, ValueError):
        raise StatementError(
            "the certificate's receipts are unreadable", code="certificate.receipt"
        ) from None
    return {stage: open_receipt(data, gate, stage) for stage, data in held.items()}
