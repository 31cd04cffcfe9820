"""What a kill reaches: a scope in words, and whether a grant falls under it. A run falls under what its inputs do.

all   agreement:ID   dataset:ID   subject:DATASET/SPK   subject:SPK   run:ID   person:NAME   recipe:DIGEST
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from sandbox.errors import Usage
from sandbox.gate.database.tables import runs
from sandbox.records import check_id
from sandbox.runs import Grant

ALL = "all"
_KINDS = {"recipe": "sha256"}
KINDS = ("agreement", "dataset", "subject", "run", "person", "recipe")
WRITTEN = (
    "all, agreement:ID, dataset:ID, subject:DATASET/SPK, subject:SPK, run:ID, person:NAME or recipe:DIGEST"
)


@dataclass(frozen=True)
class Scope:
    """``kind`` is ``all`` or one of KINDS; ``dataset`` narrows a subject and is empty otherwise."""

    kind: str
    value: str = ""
    dataset: str = ""

    def covers(self, grant: Grant) -> bool:
        """Whether this one grant falls under it, its inputs left aside."""
        match self.kind:
            case "all":
                return True
            case "run":
                return grant.run == self.value
            case "person":
                return grant.person == self.value
            case "recipe":
                return grant.recipe_digest == self.value
            case "agreement":
                return grant.agreement == self.value
            case "dataset":
                return grant.dataset == self.value
            case "subject":
                return self.value in grant.subjects and self.dataset in ("", grant.dataset)
        raise ValueError(self.kind)

    def holds(self, speakers: Iterable[str], dataset: str | None) -> bool:
        """Whether a subject's scope meets these voices of a dataset."""
        return self.kind == "subject" and self.dataset in ("", dataset) and self.value in set(speakers)


def parse(text: str) -> Scope:
    """Raises Usage for what is no scope."""
    if text == ALL:
        return Scope(ALL)
    kind, _, value = text.partition(":")
    if kind not in KINDS:
        raise Usage(f"no scope {text[:60]!r}", mend=WRITTEN)
    if kind == "subject":
        dataset, slash, subject = value.rpartition("/")
        return Scope(kind, check_id("subject", subject), check_id("dataset", dataset) if slash else "")
    return Scope(kind, check_id(_KINDS.get(kind, kind), value))


def line(connection: Connection, run: str) -> list[Grant]:
    """The grant of a run and of every run that its inputs came from, its own first."""
    found, waiting, seen = list[Grant](), [run], {run}
    while waiting:
        plan = connection.execute(sa.select(runs.c.plan).where(runs.c.id == waiting.pop())).scalar()
        if plan is None:
            continue
        grant = Grant.from_predicate(plan)
        found.append(grant)
        above = {item.run for item in grant.inputs} - seen
        seen |= above
        waiting += sorted(above)
    return found


def reaches(connection: Connection, scope: Scope, run: str) -> bool:
    """Whether a run falls under the scope, itself or by what it was made from."""
    return scope.kind == ALL or any(scope.covers(grant) for grant in line(connection, run))
