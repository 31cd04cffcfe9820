"""`sandbox audit certificate FILE`: a certificate of destruction, verified offline, in words for a person."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from sandbox.audit import Certificate, open_certificate
from sandbox.client import Address
from sandbox.errors import Unreachable, Usage
from sandbox.runs import Trust


def verified(path: Path, state: Path, trust: Path | None) -> Certificate:
    """Raises StatementError when something does not hold, Usage or Unreachable when a file cannot be read."""
    anchors = trust or Address.of(state).trust
    try:
        held = Trust.from_bytes(anchors.read_bytes())
    except OSError:
        raise Unreachable(
            f"no trust anchors at {anchors}", mend="sandbox audit certificate FILE --trust TRUST"
        ) from None
    try:
        data = path.read_bytes()
    except OSError as fault:
        raise Usage(f"{path} cannot be read: {type(fault).__name__}", code="file.unreadable") from None
    return open_certificate(data, held.custodian, held.gate)


def rendering(found: Certificate) -> Iterator[tuple[str, str]]:
    """(title, what) in the order of the agreement's list."""
    said = found.said
    objects, method, proof, copies = said["objects"], said["method"], said["verification"], said["copies"]
    yield "who", f"{said['subject']} in {said['dataset']}"
    yield "agreement", f"{said['agreement']['id']}, {said['agreement']['digest']}"
    yield "objects", f"{objects['records']} records, Merkle root {objects['merkle_root']}"
    for key in said["keys"]:
        yield "key", f"{key['name']}, destroyed {key['destroyed_at']}; Vault then: {key['answer']}"
    yield "method", f"{method['technique']} ({method['standard']}): {method['how']}"
    yield "verified", f"{proof['wraps']} stored wraps, {proof['attempted']}; {proof['result']}"
    for name in ("sealed", "databases", "caches"):
        yield "copies", str(copies[name])
    yield "backups", f"{copies['snapshots']['what']}: until {copies['snapshots']['until']} at the latest"
    yield "runs", ", ".join(said["runs"]) or _unknown(said, "none held it")
    for model in said["derived"]:
        yield "derived", f"{model['model']}: {model['status']}"
    if not said["derived"]:
        yield "derived", _unknown(said, "no model was made of it")
    for exception in said["exceptions"]:
        yield "exception", f"{exception['what']}, until {exception['until']}"
    yield "by", f"{said['by']}, {said['at']}"
    yield "witness", _witness(said)
    yield "log", f"erasure entry {said['register']['seq']}, {said['register']['digest']}"
    yield "signed by", "the custodian" + (" and the gate (receipts)" if found.receipts else " alone")
    if said["without_receipt"]:
        yield "without gate", str(said["without_receipt"])


def _witness(said: Mapping[str, Any]) -> str:
    person, gate = said["witness"]["person"], said["witness"]["gate"]
    words = [*([str(person)] if person else []), *([f"the gate's receipt {gate}"] if gate else [])]
    return " and ".join(words) or "none"


def _unknown(said: Mapping[str, Any], otherwise: str) -> str:
    return "not known: the gate was not asked" if said["without_receipt"] else otherwise
