"""What MLflow should say, by the signed statements, against what it says: every difference by name. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from sandbox.errors import StatementError
from sandbox.runs import Grant, Outcome
from sandbox.tracking import card, tags
from sandbox.tracking.tags import ModelRecord

_STATUS = {outcome.value: outcome.name for outcome in Outcome}


@dataclass(frozen=True)
class Shown:
    """A run, logged model or model version as MLflow shows it. ``id`` is ours (r-…, name@version) where it says one."""

    id: str
    place: str  # MLflow's own id
    tags: Mapping[str, str]
    params: Mapping[str, str] = field(default_factory=dict)
    deleted: bool = False
    status: str = ""
    description: str = ""


@dataclass(frozen=True)
class Actual:
    """Everything in MLflow: runs, logged models, model versions, and aliases (name, alias, version)."""

    runs: tuple[Shown, ...] = ()
    logged: tuple[Shown, ...] = ()
    versions: tuple[Shown, ...] = ()
    aliases: tuple[tuple[str, str, str], ...] = ()

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Actual:
        """Raises StatementError when it is no survey."""
        try:
            runs, logged, versions = (
                tuple(Shown(**one) for one in value[kind]) for kind in ("runs", "logged", "versions")
            )
            aliases = tuple((str(a), str(b), str(c)) for a, b, c in value["aliases"])
        except (KeyError, TypeError, ValueError):
            raise StatementError("not what MLflow shows", code="evidence.unreadable") from None
        return cls(runs, logged, versions, aliases)


@dataclass(frozen=True)
class SignedRun:
    """What was granted and, once it is settled, how it ended and which model it made."""

    grant: Grant
    grant_digest: str
    outcome: Outcome | None = None
    model: ModelRecord | None = None
    taint: str = ""
    withdrawn: str = ""
    frozen: str = ""  # the open incidents that hold its model
    settled: Mapping[str, str] = field(default_factory=dict)  # gov.* tags written at settling

    def tags(self) -> dict[str, str]:
        facts = tags.governance(self.grant, self.grant_digest, self.taint)
        return {**facts, **tags.withdrawal(self.withdrawn), **tags.freeze(self.frozen), **self.settled}

    def model_facts(self) -> dict[str, str]:
        """Those of its model. Raises ValueError when it made none."""
        if self.model is None:
            raise ValueError("this run made no model")
        marks = (self.taint, self.withdrawn, self.frozen)
        return tags.model_facts(self.grant, self.grant_digest, self.model, *marks)

    def card(self) -> str:
        """What a version of its model is described as; empty when it made none."""
        return "" if self.model is None else card.text(self.grant, self.model)


@dataclass(frozen=True)
class Difference:
    """One thing that MLflow says otherwise. ``kind`` is stable; ``what`` is for people, with what was signed."""

    kind: str
    subject: str
    what: str


def compare(expected: Iterable[SignedRun], actual: Actual) -> tuple[Difference, ...]:
    """Every difference, runs first; empty when MLflow shows exactly what was signed."""
    signed = {one.grant.run: one for one in expected}
    found: list[Difference] = []
    by_run = _group(actual.runs)
    for name, one in signed.items():
        found += _run(name, one, by_run.pop(name, []))
    for name, shown in by_run.items():
        found += [Difference("run.unknown", name or run.place, "no grant produced it") for run in shown]
    models = {one.model.id: one for one in signed.values() if one.model is not None}
    for kind, all_shown in (("model", actual.versions), ("logged_model", actual.logged)):
        by_id = _group(all_shown)
        for name, one in models.items():
            found += _model(kind, name, one, by_id.pop(name, []))
        for name, shown in by_id.items():
            found += [
                Difference(f"{kind}.unknown", name or model.place, "no run produced it") for model in shown
            ]
    for name, alias, version in actual.aliases:
        found.append(
            Difference("alias.forged", f"{name}@{version}", f"alias {alias!r}: the gate sets no alias")
        )
    return tuple(found)


def _group(shown: Iterable[Shown]) -> dict[str, list[Shown]]:
    found: dict[str, list[Shown]] = {}
    for one in shown:
        found.setdefault(one.id, []).append(one)
    return found


def _run(name: str, one: SignedRun, shown: list[Shown]) -> list[Difference]:
    live = [run for run in shown if not run.deleted]
    if not live:
        if shown:
            return [Difference("run.deleted", name, "deleted in MLflow; its grant is signed")]
        return [Difference("run.missing", name, "its grant is signed, and MLflow knows nothing of it")]
    found = [
        Difference("run.copied", name, f"a second run claims its grant: {run.place}") for run in live[1:]
    ]
    found += _tags(name, one.tags(), live[0].tags)
    found += _params(name, tags.params(one.grant, one.grant_digest), live[0].params)
    if one.outcome is not None and live[0].status != _STATUS[one.outcome.value]:
        found.append(
            Difference(
                "run.status",
                name,
                f"shown as {live[0].status}; the signed statement says {one.outcome.value}",
            )
        )
    return found


def _model(kind: str, name: str, one: SignedRun, shown: list[Shown]) -> list[Difference]:
    if one.model is None or not shown:
        return [Difference(f"{kind}.missing", name, "its statement is signed, and MLflow does not show it")]
    found = [
        Difference(f"{kind}.copied", name, f"a second one claims it: {extra.place}") for extra in shown[1:]
    ]
    if kind == "model" and shown[0].description != one.card():
        found.append(Difference("card.forged", name, "its card says otherwise than what was signed"))
    return found + _tags(name, one.model_facts(), shown[0].tags)


def _tags(name: str, wanted: Mapping[str, str], shown: Mapping[str, str]) -> list[Difference]:
    found = []
    for key, value in wanted.items():
        if key not in shown:
            found.append(
                Difference("tag.missing", name, f"{key} is missing; the signed statement says {value}")
            )
        elif shown[key] != value:
            said = f"{key} is {shown[key]!r}; the signed statement says {value}"
            found.append(Difference("tag.forged", name, said))
    strange = sorted(key for key in shown if key.startswith("gov.") and key not in wanted)
    found += [Difference("tag.unknown", name, f"{key} was never set by the gate") for key in strange]
    return found


def _params(name: str, wanted: Mapping[str, str], shown: Mapping[str, str]) -> list[Difference]:
    return [
        Difference("param.forged", name, f"{key} is {shown.get(key)!r}; the signed grant says {value}")
        for key, value in wanted.items()
        if shown.get(key) != value
    ]
