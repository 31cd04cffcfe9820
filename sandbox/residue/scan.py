"""Places searched for needles, with figures: a search that read nothing has shown nothing."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sandbox.residue.needles import Needle
from sandbox.residue.places import Place
from sandbox.residue.search import Search


@dataclass(frozen=True)
class Finding:
    """A needle that was found: of what, in which form, in which place, and there in which file or process."""

    of: str
    form: str
    place: str
    source: str


@dataclass(frozen=True)
class Searched:
    """What was read of a place; ``closed`` sources were there and could not be read."""

    place: str
    sources: int
    bytes: int
    closed: int
    seconds: float


@dataclass(frozen=True)
class Scan:
    findings: Sequence[Finding]
    places: Sequence[Searched]

    @property
    def bytes(self) -> int:
        return sum(place.bytes for place in self.places)

    def found_in(self, place: str) -> set[str]:
        """The forms found in a place."""
        return {finding.form for finding in self.findings if finding.place == place}


def scan(places: Iterable[Place], needles: Iterable[Needle]) -> Scan:
    """Search every place for every needle. What vanishes while it is read is no fault; what is closed is counted."""
    search = Search(needles)
    findings: list[Finding] = []
    searched: list[Searched] = []
    for place in places:
        began, count, total, closed = time.monotonic(), 0, 0, 0
        for source in place.sources():
            try:
                if source.file is None:
                    closed += 1
                    continue
                found, size = search.stream(source.file)
            except OSError:
                closed += 1
                continue
            count, total = count + 1, total + size
            findings += [Finding(n.of, n.form, place.name, source.name) for n in sorted(found, key=lambda n: n.form)]
        searched.append(Searched(place.name, count, total, closed, time.monotonic() - began))
    return Scan(list(dict.fromkeys(findings)), searched)
