"""The gate's own log as sightings: who asked, who was refused, who changed what may be done.

Pure but for the register entries that a posting names, which are read from their files and must have its digest.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sandbox.gate.routes.standing import APPROVER
from sandbox.policy.detection import Sighting
from sandbox.runs import from_utc
from sandbox.statements import sha256


def sightings(index: int, entry: Mapping[str, Any], registers: Path) -> list[Sighting]:
    """What one entry of the log shows. Raises KeyError, TypeError, ValueError for an entry that is none."""
    kind, at, unit = str(entry["kind"]), from_utc(str(entry["at"])).astimezone(UTC), f"log {index}"
    if kind == "decision":
        return _decision(entry, at, unit)
    if kind == "posting":
        return _posting(entry, at, unit, registers)
    return []


def _decision(entry: Mapping[str, Any], at: datetime, unit: str) -> list[Sighting]:
    person = str(entry["by"])
    about = {"person": person, "decision": str(entry["decision"])}
    if entry.get("run"):
        about["run"] = str(entry["run"])
    found = [Sighting("run.asked", at, person, unit, about)]
    if not entry["permitted"]:
        found.append(Sighting("run.refused", at, person, unit, about))
    return found


def _posting(entry: Mapping[str, Any], at: datetime, unit: str, registers: Path) -> list[Sighting]:
    register, seq, by = str(entry["register"]), int(entry["seq"]), str(entry["by"])
    about = {"register": register, "entry": str(seq), "by": by}
    if register == "status":
        said = _entry(registers, register, seq, str(entry["digest"]))
        named = {"agreement": str(said["agreement"])} if said else {}
        return [Sighting("policy.edited", at, by, unit, about | named)]
    if register == "people":
        said = _entry(registers, register, seq, str(entry["digest"]))
        if said and _approves(said) and not _approved_before(registers, seq, str(said["person"])):
            return [Sighting("approver.new", at, by, unit, about | {"person": str(said["person"])})]
    return []


def _approves(said: Mapping[str, Any]) -> bool:
    return said.get("status") == "active" and APPROVER in said.get("roles", ())


def _approved_before(registers: Path, seq: int, person: str) -> bool:
    """What this person's entry before this one said."""
    for earlier in range(seq - 1, 0, -1):
        said = _entry(registers, "people", earlier)
        if said and said.get("person") == person:
            return _approves(said)
    return False


def _entry(registers: Path, register: str, seq: int, digest: str = "") -> dict[str, Any]:
    """The entry; empty when its file is gone or has another digest than the log names."""
    try:
        data = (registers / register / f"{seq}.dsse.json").read_bytes()
    except OSError:
        return {}
    if digest and sha256(data) != digest:
        return {}
    payload = json.loads(base64.b64decode(json.loads(data)["payload"]))
    return dict(payload["predicate"]["entry"])
