"""Marks, tables and times as people see them: UTF-8 with an ASCII fallback, colours only on a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console


@dataclass(frozen=True)
class Marks:
    """The few signs the product uses."""

    good: str
    bad: str
    warn: str
    arrow: str
    dot: str
    full: str  # a bar's part that is done
    empty: str


_UTF8 = Marks("✔", "✘", "!", "→", "·", "━", "╌")
_ASCII = Marks("+", "x", "!", "->", "-", "#", ".")


def marks(stream: IO[str]) -> Marks:
    """Signs that ``stream``'s encoding can write."""
    try:
        "✔✘→·━╌".encode(getattr(stream, "encoding", None) or "ascii")
    except (UnicodeEncodeError, LookupError):
        return _ASCII
    return _UTF8


def console(stream: IO[str]) -> Console:
    """A console on ``stream``. Piped, it is plain text, 120 wide, so that nothing is cut."""
    from rich.console import Console

    return Console(file=stream, highlight=False, width=None if stream.isatty() else 120)


def grid(screen: Console, head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A table without lines."""
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    for name in head:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*row)
    screen.print(table)


def local_time(text: str) -> str:
    """A UTC time of a statement, in the reader's zone with its offset; unchanged when it is no time."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return text
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return moment.astimezone().strftime("%Y-%m-%d %H:%M:%S%z")


def duration(seconds: float) -> str:
    """``0:44``, ``12:03``, ``1:02:03``."""
    whole = max(0, round(seconds))
    hours, rest = divmod(whole, 3600)
    minutes, left = divmod(rest, 60)
    return f"{hours}:{minutes:02}:{left:02}" if hours else f"{minutes}:{left:02}"


def thousands(number: float) -> str:
    """1 284 (a thin thing between thousands, as people write it)."""
    return f"{number:,.0f}".replace(",", " ")


def size(count: float) -> str:
    """Bytes as people say them."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000 or unit == "GB":
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return ""
