"""An erasure from asking to certificate, as the command line carries it; without the gate, or with its receipts."""

from __future__ import annotations

from typing import Any

from sandbox.custodian import erase as duty
from sandbox.custodian.certificates import certify
from sandbox.custodian.desk import Desk

REASON = "the gate is gone in this test"


def erase(desk: Desk, caller: str, subject: str, dataset: str | None = None) -> list[dict[str, Any]]:
    """Everything, without the gate; the certificates."""
    return erase_all(desk, caller, [subject], dataset)


def erase_all(
    desk: Desk, caller: str, subjects: list[str], dataset: str | None = None
) -> list[dict[str, Any]]:
    asked = duty.ask(desk, caller, subjects, dataset)["erasures"]
    speakers = [(one["dataset"], one["subject"]) for one in asked]
    list(duty.destroy(desk, caller, speakers, [], REASON))
    found: list[dict[str, Any]] = certify(desk, caller, speakers, [])["certificates"]
    return found
