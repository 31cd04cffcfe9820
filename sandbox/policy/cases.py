"""A table of cases that a compliance officer can read: who may do what, and which refusals are expected where not.

Each case is decided by the ``decide`` that admits every run. The agreement is the file as it stands, as if both
parties had signed it, so that a draft can be tried before it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, field_validator

from sandbox.errors import Reason, Usage
from sandbox.policy.agreement import Agreement
from sandbox.policy.decide import RULES, decide
from sandbox.policy.documents import Document, Model, fit, parse
from sandbox.policy.fields import Text
from sandbox.policy.situation import Situation, faults, over
from sandbox.policy.staging import stage

PERMITTED = "permitted"
CODES = frozenset(rule.code for rule in RULES)


def _expected(value: object) -> object:
    if value == PERMITTED:
        return ()
    if not isinstance(value, list) or not value:
        raise ValueError("write permitted, or the list of codes that refuse it")
    for code in value:
        if code not in CODES:
            raise ValueError(f"{code!r} is no code of a refusal: see docs/refusals.md")
    return value


class Case(Situation):
    """One line of the table: what is said of it besides the usual, and what the rules are to answer."""

    case: Text
    expect: Annotated[tuple[str, ...], BeforeValidator(_expected)]  # empty: permitted


class Table(Model):
    """The whole file. ``usual`` holds in every case that does not say otherwise."""

    kind: Literal["PolicyCases"]
    usual: Situation = Situation()
    cases: Annotated[tuple[Case, ...], Field(min_length=1)]

    @field_validator("cases")
    @classmethod
    def _each_once(cls, cases: tuple[Case, ...]) -> tuple[Case, ...]:
        names = [case.case for case in cases]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"two cases are called {name!r}")
        return cases


@dataclass(frozen=True)
class Outcome:
    """What the rules answered to one case, which stands on ``line``. Empty codes: permitted."""

    case: str
    line: int
    expected: tuple[str, ...]
    reasons: tuple[Reason, ...]

    @property
    def codes(self) -> tuple[str, ...]:
        """Each refusal once, in the order of the rules; a rule may refuse for several people."""
        return tuple(dict.fromkeys(reason.code for reason in self.reasons))

    @property
    def as_expected(self) -> bool:
        return set(self.codes) == set(self.expected)


def try_cases(data: bytes, name: str, agreement: Agreement) -> tuple[Outcome, ...]:
    """Every case of the file ``data`` decided under ``agreement``, in the file's order.

    Raises:
        Usage: not readable as a table of cases; every fault with its line.
    """
    document = parse(data, name)
    table = fit(document, Table)
    situations = [over(table.usual, case) for case in table.cases]
    _require_decidable(document, situations)
    return tuple(
        Outcome(
            case.case,
            document.line(("cases", n)),
            case.expect,
            decide(*stage(situation, agreement)).reasons,
        )
        for n, (case, situation) in enumerate(zip(table.cases, situations, strict=True))
    )


def _require_decidable(document: Document, situations: list[Situation]) -> None:
    found = [
        f"{document.name}:{document.line(('cases', n, key))}: cases.{n}.{key}: {why}"
        for n, situation in enumerate(situations)
        for key, why in faults(situation)
    ]
    if found:
        raise Usage("\n".join(found), code="file.invalid", mend=f"mend {document.name} and try again")
