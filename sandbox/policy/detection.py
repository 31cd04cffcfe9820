"""Detection rules as data (``configs/detection.yaml``), and the one fold that applies them (R-3.2d-3).

A rule looks at one kind of sighting, counts it by who did it inside a sliding window, and finds something once there
are more than ``over``. Pure: sightings and memory come in as values, findings and memory go out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from sandbox.policy.documents import Model, read
from sandbox.policy.fields import Flag, Span, Whole

NAME = "configs/detection.yaml"
#: What can be seen, and where: in the gate's own log, or in Vault's audit file.
SEEN = (
    "run.asked",
    "run.refused",
    "policy.edited",
    "approver.new",
    "vault.decrypt",
    "vault.decrypt_of_no_grant",
    "vault.key_of_no_grant",
    "vault.unknown_accessor",
    "vault.wrapped_again",
    "vault.policy_written",
    "vault.root_attempt",
    "vault.login_refused",
    "vault.unread_line",
)
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
#: Of one counter no more is remembered; a threshold lies below.
MOST = 10_000


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"{name[:40]!r} is no time zone like Asia/Shanghai") from None
    return name


def _clock(text: str) -> str:
    try:
        time.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text[:20]!r} is no time of day like 08:00") from None
    return text


TimeOfDay = Annotated[str, StringConstraints(pattern=r"^\d\d:\d\d$"), AfterValidator(_clock)]


class Hours(Model):
    """Hours of work: ``since`` <= local time < ``until`` on ``days``. What lies outside is seen, the rest is not."""

    zone: Annotated[str, AfterValidator(_zone)]
    since: TimeOfDay
    until: TimeOfDay
    days: tuple[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"], ...] = Field(min_length=1)

    def cover(self, moment: datetime) -> bool:
        local = moment.astimezone(ZoneInfo(self.zone))
        inside = time.fromisoformat(self.since) <= local.time() < time.fromisoformat(self.until)
        return DAYS[local.weekday()] in self.days and inside


class Rule(Model):
    """One rule. ``over`` sightings are still silent; with ``distinct`` the same thing counts once."""

    id: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_.-]{0,47}$")]
    sees: Literal[SEEN]  # type: ignore[valid-type]
    over: Annotated[Whole, Field(ge=0, lt=MOST)] = 0
    within: Span = 3600
    distinct: Flag = False
    outside: Hours | None = None
    severity: Literal["low", "medium", "high", "critical"]
    incident: Literal["none", "run", "person", "dataset", "agreement", "all"] = "none"


class RulesFile(Model):
    """``configs/detection.yaml``."""

    rules: tuple[Rule, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _one_each(self) -> RulesFile:
        names = [rule.id for rule in self.rules]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"the rule {twice[0]} stands twice")
        return self


def read_rules(data: bytes) -> tuple[Rule, ...]:
    """Raises Usage with the line of each fault; an unknown key is one."""
    return read(data, RulesFile, NAME).rules


@dataclass(frozen=True)
class Sighting:
    """Something that was seen. ``by`` is whom it is counted for; ``unit`` what makes it one thing, or the same again.

    ``about`` holds ids only: run, person, dataset, agreement, subject, path, entry.
    """

    what: str
    at: datetime
    by: str
    unit: str
    about: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Finding:
    """A rule that found something. ``once`` is the same for the same finding, however often it is read."""

    rule: Rule
    at: datetime
    about: Mapping[str, str]
    count: int
    once: str


#: rule -> by -> [[epoch seconds, unit, whether it was found], …], oldest first. JSON, so that it can be kept.
Memory = dict[str, dict[str, list[list[Any]]]]


def observe(rules: Sequence[Rule], memory: Memory, seen: Sighting) -> list[Finding]:
    """What ``seen`` adds to. ``memory`` is changed in place, and holds what is needed to go on after a restart."""
    return [
        found
        for rule in rules
        if rule.sees == seen.what and not (rule.outside and rule.outside.cover(seen.at))
        if (found := _count(rule, memory.setdefault(rule.id, {}), seen)) is not None
    ]


def _count(rule: Rule, counters: dict[str, list[list[Any]]], seen: Sighting) -> Finding | None:
    """A counter that found something starts again, and what it found is not found twice inside the window."""
    now = seen.at.timestamp()
    held = [entry for entry in counters.get(seen.by, ()) if entry[0] > now - rule.within][-MOST:]
    same = [entry for entry in held if entry[1] == seen.unit]
    if any(entry[2] for entry in same):
        return None
    if not (rule.distinct and same):
        held.append([now, seen.unit, False])
    count = sum(not entry[2] for entry in held)
    counters[seen.by] = held if count <= rule.over else [[at, unit, True] for at, unit, _ in held]
    if count <= rule.over:
        return None
    return Finding(rule, seen.at, dict(seen.about), count, f"{seen.by}|{seen.unit}|{int(now)}"[:180])


def forget(rules: Sequence[Rule], memory: Memory, now: datetime) -> None:
    """Drop what no window reaches any more, and what no rule counts any more."""
    known = {rule.id: rule for rule in rules}
    for name in list(memory):
        rule = known.get(name)
        if rule is None:
            del memory[name]
            continue
        since = (now - timedelta(seconds=rule.within)).astimezone(UTC).timestamp()
        kept = {by: [e for e in held if e[0] > since] for by, held in memory[name].items()}
        memory[name] = {by: held for by, held in kept.items() if held}


def scope_of(finding: Finding) -> tuple[str, str | None] | None:
    """Scope and run of the incident that a finding opens; None where it opens none.

    Where the rule's scope is not known from what was seen, everything is stopped: nobody knows what is not hit.
    """
    wanted = finding.rule.incident
    if wanted == "none":
        return None
    named = finding.about.get(wanted)
    if wanted == "all" or not named:
        return "all", None
    return f"{wanted}:{named}", named if wanted == "run" else None
