"""Every recording of a folder judged, one at a time in memory, and the sums of it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from sandbox.client.readers import Recording
from sandbox.client.rehearsal.examine import examine
from sandbox.client.rehearsal.lengths import bins
from sandbox.client.rehearsal.problems import PROBLEMS
from sandbox.sealing.audio import MAX_SECONDS
from sandbox.sealing.recording import Decoded
from sandbox.sealing.transcript import Said


@dataclass
class Rehearsal:
    """``lengths`` in seconds, one a recording that would be sealed; the rest counts those recordings by what they are.

    ``problems``: code -> files that would be set aside for it, as the listing names them.
    """

    lengths: list[float] = field(default_factory=list)
    people: Counter[str] = field(default_factory=Counter)
    languages: Counter[str] = field(default_factory=Counter)
    rates: Counter[int] = field(default_factory=Counter)
    channels: Counter[int] = field(default_factory=Counter)
    problems: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    @property
    def hours(self) -> float:
        return sum(self.lengths) / 3600

    @property
    def aside(self) -> int:
        return sum(map(len, self.problems.values()))

    @property
    def read(self) -> int:
        return len(self.lengths) + self.aside

    def to_json(self) -> dict[str, Any]:
        return {
            "read": self.read,
            "records": len(self.lengths),
            "hours": round(self.hours, 6),
            "people": dict(self.people),
            "languages": dict(self.languages),
            "sample_rates": dict(self.rates),
            "channels": dict(self.channels),
            "lengths_s": [asdict(found) for found in bins(self.lengths)],
            "set_aside": self.aside,
            "problems": [
                {"code": code, "why": PROBLEMS[code].why, "mend": PROBLEMS[code].mend, "files": files}
                for code, files in sorted(self.problems.items())
            ],
        }


def rehearse(
    recordings: Iterable[Recording], *, downmix: bool = False, max_seconds: float = MAX_SECONDS
) -> Rehearsal:
    """Every recording examined, and counted by what it is or by its fault."""
    found, seen = Rehearsal(), set[str]()
    for number, recording in enumerate(recordings):
        facts, audio = recording.sent()
        judged = examine(facts, audio, seen, downmix=downmix, max_seconds=max_seconds)
        if isinstance(judged, str):
            found.problems[judged].append(facts["file"] or str(number))
        else:
            _count(found, *judged)
    return found


def _count(found: Rehearsal, said: Said, decoded: Decoded) -> None:
    found.lengths.append(decoded.audio.seconds)
    found.people[said.subject] += 1
    found.languages[said.language] += 1
    found.rates[decoded.audio.sample_rate] += 1
    found.channels[decoded.channels] += 1
