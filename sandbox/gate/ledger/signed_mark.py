"""A mark in Vault's KV, signed by the gate: what it says of ``name``, and for which write of Vault's it was made.

The signature is transit's (``sign/gate``), so whoever can write to Vault's store and no more cannot make one. Each
carries the check-and-set number that Vault gave it, so an older one that is put back is another's, too.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sandbox.errors import EvidenceMismatch, StatementError
from sandbox.gate.house import House
from sandbox.statements import canonical_json, open_statement, sha256, sign_statement

STATEMENT = "budget-mark"


@dataclass(frozen=True)
class Marked:
    """What the mark says (nothing, when there was none yet), and the number that replaces it."""

    said: Mapping[str, Any] = field(default_factory=dict)
    cas: int = 0


def read(house: House, name: str) -> Marked:
    """Raises EvidenceMismatch (``ledger.mark_forged``): it is not signed by us, of another name, or an older one."""
    kept = house.vault.read_budget(name)
    if not kept.value and kept.cas == 0:
        return Marked()
    try:
        envelope = base64.b64decode(str(kept.value.get("envelope", "")), validate=True)
        statement = open_statement(envelope, STATEMENT, house.trust("gate"))
    except (StatementError, ValueError):
        raise _forged(name) from None
    said = statement.predicate
    if said.get("name") != name or said.get("version") != kept.cas:
        raise _forged(name)
    return Marked(said, kept.cas)


def write(house: House, name: str, said: Mapping[str, Any], cas: int) -> None:
    """Replace the mark that has the number ``cas``. Raises Conflict when another gate was first, Unreachable."""
    predicate = {**said, "name": name, "version": cas + 1}
    subject = (name, sha256(canonical_json(predicate)))
    envelope = sign_statement(STATEMENT, [subject], predicate, [house.vault.signer()])
    house.vault.write_budget(name, {"envelope": base64.b64encode(envelope).decode()}, cas)


def _forged(name: str) -> EvidenceMismatch:
    return EvidenceMismatch(
        f"the mark kv/budgets/{name} in Vault is not one that this gate signed for its place",
        code="ledger.mark_forged",
        mend="somebody else wrote to Vault: an incident; nothing is admitted until it is explained",
    )
