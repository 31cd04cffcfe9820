"""The custodian's hand in memory: keys, heads, policies and people, with the refusals of the real one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sandbox.consignment.envelope import draw_private
from sandbox.errors import Conflict, CredentialError, EvidenceMismatch, NotFound
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
    factors: dict[str, bool] = field(default_factory=dict)  # person -> whether the one code is unused
    subjects: dict[str, str] = field(default_factory=dict)  # of the identity provider -> person

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

    def map_subject(self, name: str, subject: str) -> None:
        if self.subjects.setdefault(subject, name) != name:
            raise Conflict("somebody else's", code="oidc.subject_taken")

    def has_factor(self, name: str) -> bool:
        return name in self.factors

    def code_fits(self, name: str, code: str) -> bool:
        """A factor's only code is 123456, good once."""
        if name not in self.factors:
            raise NotFound("no second factor", code="totp.not_enrolled")
        if code != "123456":
            return False
        if not self.factors[name]:
            raise CredentialError("shown before", code="totp.used")
        self.factors[name] = False
        return True

    def draw_factor(self, name: str) -> str:
        if name in self.factors:
            raise Conflict("has one", code="totp.enrolled")
        return f"otpauth://totp/voice-sandbox:{name}?secret=GEZDGNBVGY3TQOJQ&issuer=voice-sandbox"

    def confirm_factor(self, name: str, address: str, code: str) -> bool:
        if code == "123456":
            self.factors[name] = True
        return code == "123456"

    def drop_factor(self, name: str) -> None:
        self.factors.pop(name, None)

    def intake_key(self) -> bytes:
        return self.intake

    def disable_person(self, name: str) -> None:
        self.disabled.add(name)
