"""How `sandbox data seal --dry-run` looks: sums, lengths as a plot of signs, and problems with their files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from sandbox.cli.context import Context
from sandbox.cli.data_view import count_of, long
from sandbox.cli.show import Marks, marks, thousands
from sandbox.errors import Refused

if TYPE_CHECKING:
    from sandbox.client.readers import Recording
    from sandbox.client.rehearsal import Bin, Rehearsal

BAR = 40  # signs of the longest bar
LISTED = 8  # files of a problem, people; --json lists all of them


def rehearse_sealing(
    here: Context, folder: Path, layout: str, recordings: Sequence[Recording], wishes: Mapping[str, Any]
) -> None:
    """Measure, show, and say no when something would be set aside. No service is asked.

    Raises:
        Refused: something would be set aside; all of it was shown before.
    """
    from rich.text import Text

    from sandbox.client.rehearsal import rehearse

    done = {name: wishes.get(name) for name in ("resample", "loudness")}
    asked = {name: wishes[name] for name in ("downmix", "max_seconds") if wishes.get(name)}
    found = rehearse(_counted(here, recordings), **asked)
    if here.as_json:
        here.emit({"event": "rehearsed", "layout": layout, **done, **found.to_json()})
    else:
        for line in picture(folder.resolve().name, layout, found, marks(here.console.file), wishes):
            here.console.print(Text(line), soft_wrap=True)
    if found.aside:
        raise Refused(
            f"{thousands(found.aside)} of {count_of(found.read, 'recording')} would be set aside; nothing was sent",
            code="seal.bad_recordings",
            mend="mend them; sealing with --set-aside takes the others",
        )


def picture(
    folder: str, layout: str, found: Rehearsal, mark: Marks, wishes: Mapping[str, Any] = MappingProxyType({})
) -> Iterator[str]:
    """The lines of the report. Nothing in it is a transcript."""
    from sandbox.client.rehearsal import PROBLEMS, bins

    yield f"  read       {count_of(found.read, 'recording')} of {plain(folder)}, laid out as {layout}"
    if found.lengths:
        yield f"{mark.good} would seal {count_of(len(found.lengths), 'recording')} {mark.dot} {long(found.hours)}"
        yield f"  people     {len(found.people)}: {_by_count(found.people)}"
        yield f"  languages  {_by_count(found.languages)}"
        rates = Counter({f"{rate} Hz": count for rate, count in found.rates.items()})
        mixed = f" {mark.dot} {found.channels[2]} in stereo, made mono" if found.channels[2] else ""
        become = f" {mark.arrow} {wishes['resample']} Hz" if wishes.get("resample") else ""
        yield f"  rates      {_by_count(rates)}{become}{mixed}"
        if loudness := wishes.get("loudness"):
            yield f"  loudness   {mark.arrow} {loudness:g} LUFS"
        yield f"  lengths    {min(found.lengths):.2f} to {max(found.lengths):.2f} s"
        yield from plot(bins(found.lengths), "█" if mark.dot == "·" else "#")
    for code, files in sorted(found.problems.items(), key=lambda entry: -len(entry[1])):
        why, mend = PROBLEMS[code]
        yield f"{mark.bad} {code:<19} {thousands(len(files))}: {why}   {mark.arrow} {mend}"
        for file in files[:LISTED]:
            yield f"    {plain(file)}"
        if len(files) > LISTED:
            yield f"    and {thousands(len(files) - LISTED)} more; --json lists all"


def plot(found: Sequence[Bin], block: str) -> Iterator[str]:
    """One bar a bin; a bin that is not empty shows at least one sign."""
    most = max(entry.count for entry in found)
    for entry in found:
        bar = block * (-(-entry.count * BAR // most))
        span = f"{entry.since:.1f} to {entry.until:.1f} s"
        yield f"    {span:>14}  {bar:<{BAR}} {thousands(entry.count)}"


def plain(name: str) -> str:
    """A name from a folder, safe to print: a control sign could move the reader's cursor."""
    return "".join(mark if mark.isprintable() else "\ufffd" for mark in name)


def _by_count(counts: Counter[str]) -> str:
    said = [f"{plain(name)} {thousands(count)}" for name, count in counts.most_common(LISTED)]
    return ", ".join([*said, *([f"and {len(counts) - LISTED} more"] if len(counts) > LISTED else [])])


def _counted(here: Context, recordings: Sequence[Recording]) -> Iterator[Recording]:
    """The recordings, with a bar on a terminal."""
    from rich.progress import track

    quiet = here.as_json or not here.console.is_terminal
    yield from track(recordings, "  measuring ", console=here.console, transient=True, disable=quiet)
