"""Where a training stands, in one line that fits: what matters most stays when the line is short. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from sandbox.cli.show import Marks, duration, thousands

BAR = 24  # columns of the bar where there is room
GAP = "   "
FIRST = ("loss",)  # metrics that are told before others
OWN = "epsilon"  # has a place of its own


@dataclass
class Standing:
    """What the events of a run said last."""

    step: int = 0
    total: int = 0
    rate: float = 0.0
    metrics: dict[str, float] = field(
        default_factory=dict
    )  # those that go on, not what was said before a step
    privacy: Mapping[str, Any] | None = None
    known: bool = False  # whether the admission was heard, and with it whether there is a privacy target

    @property
    def part(self) -> float:
        return min(self.step / self.total, 1.0) if self.total else 0.0

    def left_s(self) -> float:
        """Seconds until the last step, at the present rate; 0 when unknown."""
        return (self.total - self.step) / self.rate if self.rate > 0 else 0.0

    def metric(self, name: str, step: int, value: float) -> None:
        if step > 0:
            self.metrics[name] = value

    def spent(self) -> str:
        """What has been spent of the privacy budget, or that nothing bounds it."""
        if not self.known:
            return ""
        if self.privacy is None:
            return "no bound"
        asked = f"{float(self.privacy.get('epsilon', 0.0)):g}"
        return (
            f"epsilon {self.metrics[OWN]:.2f} of {asked}" if OWN in self.metrics else f"epsilon up to {asked}"
        )


def words(standing: Standing, width: int) -> str:
    """``1 070 / 1 500   loss 0.21   0:44 left   no bound   9.8 steps/s``, or as much of it as ``width`` holds."""
    line = f"{thousands(standing.step)} / {thousands(standing.total)}"
    for part in _parts(standing):
        if len(line) + len(GAP) + len(part) <= width:
            line += GAP + part
    return line[:width]


def barred(standing: Standing, width: int, marks: Marks) -> str:
    """The same behind a bar, in at most ``width`` columns; the bar gives way to the words."""
    title = f"  {'training':<10} "
    least = words(standing, width - len(title))
    room = min(BAR, width - len(title) - len(least) - 1)
    if room < BAR // 3:
        return (title + least)[:width]
    done = round(standing.part * room)
    return f"{title}{marks.full * done}{marks.empty * (room - done)} {least}"


def _parts(standing: Standing) -> Iterator[str]:
    """The most important first."""
    names = [name for name in FIRST if name in standing.metrics]
    yield from (_number(name, standing.metrics[name]) for name in names)
    if standing.rate > 0:
        yield f"{duration(standing.left_s())} left"
    if spent := standing.spent():
        yield spent
    if standing.rate > 0:
        yield f"{standing.rate:.3g} steps/s"
    others = [name for name in standing.metrics if name not in (*FIRST, OWN)]
    yield from (_number(name, standing.metrics[name]) for name in others)


def _number(name: str, value: float) -> str:
    return f"{name} {value:.4g}"
