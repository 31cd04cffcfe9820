"""``findings.json``: where a scan found identifiers, of which kind, and what was done about it. Never the text."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Literal, get_args

from sandbox.errors import ConsignmentError
from sandbox.statements import canonical_json

NAME = "findings.json"
Kind = Literal["id_number", "phone", "email", "address", "name"]
KINDS: tuple[str, ...] = get_args(Kind)
TREATMENTS = ("redacted", "accepted")
MAX_REASON = 200  # characters
_ID = re.compile(r"[0-9]{6,7}\.[1-9][0-9]{0,4}")


@dataclass(frozen=True)
class Finding:
    """``id``: number of the recording, a dot, number of the finding in it. An accepted one has a ``reason``."""

    id: str
    kind: str
    treatment: str
    reason: str = ""


def write_findings(found: Iterable[Finding]) -> bytes:
    return canonical_json([asdict(finding) for finding in found])


def read_findings(data: bytes) -> tuple[Finding, ...]:
    """Raises ConsignmentError when it holds anything else; an untreated finding is read, for the intake to refuse."""
    try:
        found = tuple(Finding(**entry) for entry in json.loads(data))
        sound = all(_sound(finding) for finding in found)
    except (ValueError, TypeError, RecursionError):
        sound = False
    if not sound:
        raise ConsignmentError(
            f"{NAME} is signed, but holds no findings", code="consignment.findings_invalid"
        )
    return found


def treated(finding: Finding) -> bool:
    """Redacted, or accepted with a reason."""
    return finding.treatment == "redacted" or (
        finding.treatment == "accepted" and bool(finding.reason.strip())
    )


def _sound(finding: Finding) -> bool:
    said = (finding.id, finding.kind, finding.treatment, finding.reason)
    return (
        all(isinstance(value, str) for value in said)
        and _ID.fullmatch(finding.id) is not None
        and finding.kind in KINDS
        and finding.treatment in (*TREATMENTS, "")
        and len(finding.reason) <= MAX_REASON
        and finding.reason.isprintable()
    )
