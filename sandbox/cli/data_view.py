"""How sealing looks: a bar while files are read, what was set aside, and one line at the end."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from sandbox.cli.context import Context
from sandbox.cli.show import marks, thousands
from sandbox.errors import Usage

if TYPE_CHECKING:
    from sandbox.client.readers import Recording


class SealView:
    """Shows one sealing; writes the list of what was set aside to ``<dataset>.quarantine.csv``."""

    def __init__(self, here: Context, dataset: str, total: int, records: Path | None = None) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

        self._here = here
        self._mark = marks(here.console.file)
        self._list = Path(f"{dataset}.quarantine.csv")
        self._aside: list[Mapping[str, Any]] = []
        self._records = records
        self._placed: list[list[str]] = []
        self._people: dict[str, str] = {}  # file -> whose voice, of what was not set aside
        self._progress = Progress(
            TextColumn("  reading   "),
            BarColumn(),
            MofNCompleteColumn(),
            console=here.console,
            disable=here.as_json or not here.console.is_terminal,
            transient=True,
        )
        self._task = self._progress.add_task("reading", total=total)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, at: TracebackType | None
    ) -> None:
        self._progress.stop()
        self._told_aside()

    def counted(self, recordings: Iterable[Recording]) -> Iterator[Recording]:
        """The recordings as they go out, each moving the bar."""
        for recording in recordings:
            self._people[recording.file] = recording.subject
            yield recording
            self._progress.advance(self._task)

    def seen(self, line: Mapping[str, Any]) -> None:
        if self._here.as_json:
            self._here.emit(line)
        if line.get("event") == "set_aside":
            self._aside.append(line)
            self._people.pop(str(line["file"]), None)
        elif line.get("event") == "records":
            self._placed += line["records"]
        elif line.get("event") == "sealed":
            self._list_records()
            self._progress.stop()
            self._told_aside()
            self._sealed(line)

    def _list_records(self) -> None:
        """Which file became which record: only Party A can know, and needs it for a correction."""
        if self._records is None:
            return
        try:
            with self._records.open("w", encoding="utf-8", newline="") as file:
                rows = csv.writer(file)
                rows.writerow(["file", "record"])
                rows.writerows(self._placed)
        except OSError as fault:
            raise Usage(
                f"all is sealed, but {self._records} cannot be written: {fault.strerror}",
                mend="sandbox data records tells the ids",
            ) from None

    def _told_aside(self) -> None:
        if not self._aside:
            return
        with self._list.open("w", encoding="utf-8", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(["file", "code", "why"])
            rows.writerows([line["file"], line["code"], line["why"]] for line in self._aside)
        kinds = Counter(str(line["code"]) for line in self._aside)
        told = ", ".join(f"{count} {code}" for code, count in kinds.most_common())
        if not self._here.as_json:
            self._here.console.print(
                f"  [red]{self._mark.bad}[/red] {count_of(len(self._aside), 'file')} set aside "
                f"(list: {self._list}): {told}",
                soft_wrap=True,
            )
        self._aside = []

    def _sealed(self, line: Mapping[str, Any]) -> None:
        if self._here.as_json:
            return
        mark = self._mark
        grown = 100 * (line["sealed_bytes"] / max(1, line["plain_bytes"]) - 1)
        keys = count_of(len(set(self._people.values())), "key")
        self._here.console.print(
            f"{mark.good} sealed     {count_of(line['added'], 'record')}, {keys}, "
            f"{count_of(line['shards'], 'shard')}, {grown:+.1f} % in size {mark.dot} {long(line['hours'])} {mark.dot} "
            f"{' '.join(line['languages'])} {mark.dot} manifest v{line['version']} signed",
            soft_wrap=True,
        )
        for purpose, barred in line["barred"].items():
            if barred:
                self._here.console.print(
                    f"  [yellow]{mark.warn}[/yellow] {purpose}: barred until they consent: {' '.join(sorted(barred))}",
                    soft_wrap=True,
                )


def long(hours: float) -> str:
    """``42 s``, ``5.3 min``, ``2.00 h``."""
    if hours < 1 / 60:
        return f"{hours * 3600:.0f} s"
    return f"{hours * 60:.1f} min" if hours < 1 else f"{hours:.2f} h"


def count_of(number: int, noun: str) -> str:
    """``1 file``, ``2 593 files``."""
    return f"{thousands(number)} {noun}{'' if number == 1 else 's'}"
