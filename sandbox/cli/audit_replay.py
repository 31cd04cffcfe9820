"""All stored decisions decided again at the auditor's own desk, with the rules that are installed there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sandbox.cli.show import grid, local_time, marks, thousands
from sandbox.client import Service
from sandbox.policy.replay import GONE, replay

if TYPE_CHECKING:
    from rich.console import Console

PAGE = 100
SHOWN = 50


@dataclass(frozen=True)
class Differing:
    """A decision that does not come out as it is stored, or is not stored any more."""

    decision: str
    person: str
    at: str
    faults: tuple[str, ...]


@dataclass
class Replaying:
    """What came of deciding everything again."""

    decisions: int = 0
    other_rules: int = 0
    differing: list[Differing] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        return not self.differing

    @property
    def same(self) -> int:
        return self.decisions - sum(GONE not in one.faults for one in self.differing)

    @classmethod
    def of(cls, gate: Service) -> Replaying:
        """The gate goes on deciding meanwhile: the log is read before the decisions, and its new end after them.

        So whatever the log told of before must be stored, and whatever is stored must stand in the log after.
        """
        found = cls()
        seen: set[str] = set()
        late: list[dict[str, Any]] = []
        logged, end = _logged(gate, -1)
        for row in gate.pages("/v1/decisions", {"whole": "true", "limit": PAGE}):
            seen.add(str(row["id"]))
            if row["id"] in logged:
                found._take(row, logged[row["id"]])
            else:
                late.append(row)
        if late:
            newer, _ = _logged(gate, end)
            for row in late:
                found._take(row, newer.get(row["id"]))
        for name, entry in logged.items():
            if name not in seen:
                found.differing.append(Differing(name, str(entry["by"]), str(entry["at"]), (GONE,)))
        return found

    def _take(self, row: Mapping[str, Any], logged: Mapping[str, Any] | None) -> None:
        again = replay(row, logged)
        self.decisions += 1
        self.other_rules += again.other_rules
        if not again.same:
            self.differing.append(Differing(again.decision, str(row["person"]), str(row["at"]), again.faults))

    def as_json(self) -> dict[str, Any]:
        return {
            "holds": self.holds,
            "decisions": self.decisions,
            "same": self.same,
            "other_rules": self.other_rules,
            "differ": [
                {"decision": one.decision, "person": one.person, "at": one.at, "faults": list(one.faults)}
                for one in self.differing
            ],
        }

    def show(self, screen: Console) -> None:
        """One line, then whatever does not agree."""
        from rich.markup import escape

        mark = marks(screen.file)
        screen.print(
            f"decisions    {thousands(self.decisions)} decided again from their stored facts: "
            f"{thousands(self.same)} the same, {thousands(len(self.differing))} not"
        )
        if self.other_rules:
            screen.print(
                f"rules        {thousands(self.other_rules)} were decided under other rules than today's"
            )
        rows = [
            [
                escape(cell)
                for cell in (
                    f"  {mark.bad} {one.decision}",
                    one.person,
                    local_time(one.at),
                    "; ".join(one.faults),
                )
            ]
            for one in self.differing[:SHOWN]
        ]
        if rows:
            grid(screen, ("    decision", "asked by", "at", "what differs"), rows)
        if len(self.differing) > SHOWN:
            screen.print(
                f"    and {thousands(len(self.differing) - SHOWN)} more: sandbox audit replay --json"
            )


def _logged(gate: Service, after: int) -> tuple[dict[str, dict[str, Any]], int]:
    """The log's entries of decisions behind ``after``, by decision, and the index of its last entry."""
    found: dict[str, dict[str, Any]] = {}
    for entry in gate.pages("/v1/log", {"after": after}):
        after = int(entry["index"])
        if entry["kind"] == "decision":
            found[str(entry["decision"])] = entry
    return found, after
