"""The custodian's hand in memory: keys, heads, policies and people, with the refusals of the real one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sandbox.consignment.envelope import draw_private
from sandbox.errors import Conflict, EvidenceMismatch
from sandbox.vault.heads import Kept
from tests.fakes.keys import Keys


@dataclass
class FakeCustody(Keys):
    """Fits ``sandbox.custodian.desk.Vault``."""

    heads: dict[str, Kept] = field(default_factory=dict)
    policies: dict[str, list[str]] = field(default_factory=dict)  # "dataset/purpose" -> who is barred
    people: dict[str, str] = field(default_factory=dict)
    disabled: set[str] = field(default_factory=set)
    derivatives: set[str] = field(default_factory=set)
    intake: bytes = field(default_factory=draw_private)

    def head(self, dataset: str) -> Kept:
        return self.heads.get(f"datasets/{dataset}", Kept({}, 0))

    def set_head(self, dataset: str, value: Mapping[str, Any], cas: int) -> int:
        return self._move(f"datasets/{dataset}", value, cas)

    def register_heads(self) -> Kept:
        return self.heads.get("registers", Kept({}, 0))

    def set_register_heads(self, value: Mapping[str, Any], cas: int) -> int:
        return self._move("registers", value, cas)

    def _move(self, name: str, value: Mapping[str, Any], cas: int) -> int:
        if self.heads.get(name, Kept({}, 0)).cas != cas:
            raise Conflict("did not match the current version")
        self.heads[name] = Kept(dict(value), cas + 1)
        return cas + 1

    def create_derivatives_key(self, agreement: str) -> None:
        self.derivatives.add(agreement)

    def destroy_key(self, dataset: str, subject: str) -> None:
        self.masters.pop((dataset, subject), None)

    def prove_destroyed(self, dataset: str, subject: str, wrapped: str) -> None:
        if (dataset, subject) in self.masters:
            raise EvidenceMismatch("the wrap still opens", code="key.not_destroyed")

    def write_run_policy(self, dataset: str, purpose: str, barred: Iterable[str] = ()) -> None:
        self.policies[f"{dataset}/{purpose}"] = sorted(barred)

    def delete_run_policy(self, dataset: str, purpose: str) -> None:
        self.policies.pop(f"{dataset}/{purpose}", None)

    def add_person(self, name: str, password: str) -> None:
        self.people[name] = password
        self.disabled.discard(name)

    def intake_key(self) -> bytes:
        return self.intake

    def disable_person(self, name: str) -> None:
        self.disabled.add(name)
