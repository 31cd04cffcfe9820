"""What is done about a finding: redacted, or accepted by its kind with a reason. Anything else is untreated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sandbox.client.screening import redacted, screen
from sandbox.consignment.findings import Finding


@dataclass(frozen=True)
class Treatment:
    """``accept``: kind -> reason. ``redact``: whatever is not accepted. The audio is never altered."""

    redact: bool = False
    accept: Mapping[str, str] = field(default_factory=dict)

    def treat(self, number: int, text: str, names: frozenset[str]) -> tuple[str, list[Finding]]:
        """The transcript as it will be sent, and its findings: id, kind, treatment, never the text."""
        hits = screen(text, names)
        findings = [
            Finding(f"{number:06d}.{place}", hit.kind, self._of(hit.kind), self.accept.get(hit.kind, ""))
            for place, hit in enumerate(hits, 1)
        ]
        out = [hit for hit in hits if self._of(hit.kind) == "redacted"]
        return redacted(text, out), findings

    def _of(self, kind: str) -> str:
        if self.accept.get(kind, "").strip():
            return "accepted"
        return "redacted" if self.redact else ""
