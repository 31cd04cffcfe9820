"""`sandbox data records|correct|rewrap|compact`: what is done to a dataset that is sealed already."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from sandbox.cli.context import Context, current
from sandbox.cli.data_view import count_of
from sandbox.cli.show import grid, local_time, marks, thousands
from sandbox.errors import RunFailed, Usage

MAX_TEXT_BYTES = 1 << 20


@click.command()
@click.argument("dataset")
@click.option("--subject", help="Only this voice's.")
def records(dataset: str, subject: str | None) -> None:
    """\b
    sandbox data records studio-01 --subject spk_7f3a

    Ids, speakers, lengths. No voice, no transcript, no file's name.
    """
    here = current()
    head = ("record", "subject", "revision", "seconds", "characters", "language")
    with here.custodian() as custodian:
        found = custodian.pages(f"/v1/datasets/{dataset}/records", {"subject": subject} if subject else None)
        if here.as_json:
            for one in found:
                here.emit(one)
            return
        grid(here.console, head, [tuple(str(one[name]) for name in head) for one in found])


@click.command()
@click.argument("dataset")
@click.argument("record")
@click.option("--audio", type=click.Path(path_type=Path, dir_okay=False), help="The recording, whole.")
@click.option(
    "--text-file",
    type=click.Path(path_type=Path, dir_okay=False, allow_dash=True),
    help="Its transcript; -: standard input.",
)
def correct(dataset: str, record: str, audio: Path | None, text_file: Path | None) -> None:
    """\b
    sandbox data correct studio-01 u7k2m9qxw4h3t --audio 0042.wav --text-file 0042.txt

    Replaces a record: revision + 1, the old one can no longer be read by a new run. Recording and transcript are both
    needed, also where only one is wrong: nobody here may open the voice to keep the other. Subject and language stay.
    """
    here = current()
    if audio is None or text_file is None:
        raise Usage(
            "a correction needs the recording and its transcript",
            mend="--audio FILE --text-file FILE: nobody here may open the old record to keep half of it",
        )
    facts = {"file": audio.name, "text": _text(text_file)}
    members = [
        ("request.json", json.dumps({"record": record}).encode()),
        ("000000.json", json.dumps(facts).encode()),
        ("000000.audio", _bytes(audio)),
    ]
    from sandbox.client import tar_stream

    done = _last(here, f"/v1/datasets/{dataset}/correct", "corrected", tar_stream(members))
    _say(here, f"corrected  {done['record']} of {done['dataset']}: revision {done['revision']}", done)


@click.command()
@click.argument("dataset")
@click.option("--subject", help="Only this voice's key.")
def rewrap(dataset: str, subject: str | None) -> None:
    """\b
    sandbox data rewrap studio-01

    Rotates the voices' keys in Vault and lets the old wraps die; the recordings stay as they lie. A run that is just
    starting may have to be asked for again.
    """
    here = current()
    body = {"subject": subject} if subject else {}
    done = _last(here, f"/v1/datasets/{dataset}/rewrap", "rewrapped", _json(body), "application/json")
    keys, wraps = count_of(done["subjects"], "key"), count_of(done["wraps"], "wrap")
    _say(here, f"rotated    {keys}, {wraps}; the old ones are dead", done)


@click.command()
@click.argument("dataset")
@click.option(
    "--above",
    type=click.FloatRange(0, 100),
    default=20.0,
    show_default=True,
    help="Rewrite shards with more dead than this, in percent.",
)
@click.option(
    "--remove-after",
    type=click.FloatRange(0, 8784),
    default=24.0,
    show_default=True,
    help="Hours that a replaced version is kept, for runs that still read it.",
)
def compact(dataset: str, above: float, remove_after: float) -> None:
    """\b
    sandbox data compact studio-01
    sandbox data compact studio-01 --above 0 --remove-after 0

    Copies the living records out of shards full of erased and corrected ones, undecrypted, and removes what was
    replaced --remove-after hours ago: more than the longest run may last (limits.run_time_max), or a run that reads an
    old version fails. Ask again after that time to free the rest.
    """
    here = current()
    body = {"above": above, "remove_after_hours": remove_after}
    done = _last(here, f"/v1/datasets/{dataset}/compact", "compacted", _json(body), "application/json")
    shards = f"{count_of(done['shards_before'], 'shard')} to {done['shards_after']}"
    told = f"{shards}, {_size(done['dead_bytes'])} dead left out"
    _say(here, f"compacted  {told if done['shards_before'] else 'nothing: no shard is that dead'}", done)
    if here.as_json:
        return
    mark = marks(sys.stdout)
    removed = count_of(done["removed_objects"], "object")
    here.console.print(f"{mark.good} removed    {removed}, {_size(done['freed_bytes'])} freed")
    if done["waiting_until"]:
        when = local_time(done["waiting_until"])
        here.console.print(
            f"  {_size(done['waiting_bytes'])} more can go after {when}: sandbox data compact {dataset}"
        )


def _last(
    here: Context, path: str, event: str, content: Iterator[bytes], media_type: str = "application/x-tar"
) -> dict[str, Any]:
    """The line that ends the work; what comes before it is progress."""
    from rich.progress import BarColumn, Progress, TaskProgressColumn

    last: dict[str, Any] = {}
    hidden = here.as_json or not here.console.is_terminal
    with (
        here.custodian() as custodian,
        Progress(
            BarColumn(), TaskProgressColumn(), console=here.console, disable=hidden, transient=True
        ) as bar,
    ):
        task = bar.add_task(event, total=None)
        for last in custodian.stream(path, content, media_type=media_type):
            if here.as_json:
                here.emit(last)
            if last.get("event") == "progress":
                bar.update(task, completed=last["done"], total=last["of"])
    if last.get("event") != event:
        raise RunFailed("the custodian stopped before the end", code="data.cut_short", mend="sandbox status")
    return last


def _say(here: Context, text: str, done: Mapping[str, Any]) -> None:
    if not here.as_json:
        mark = marks(here.console.file)
        here.console.print(
            f"{mark.good} {text} {mark.dot} manifest v{done['version']} signed", soft_wrap=True
        )


def _json(body: Mapping[str, Any]) -> Iterator[bytes]:
    return iter([json.dumps(body).encode()])


def _size(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count >= 100_000 else f"{thousands(count)} bytes"


def _text(path: Path) -> str:
    """The transcript, from a file or standard input: never from the command line, where others could read it."""
    data = sys.stdin.buffer.read(MAX_TEXT_BYTES + 1) if str(path) == "-" else _bytes(path)
    if len(data) > MAX_TEXT_BYTES:
        raise Usage(f"{path} is no transcript: it is larger than 1 MiB")
    try:
        return data.decode("utf-8-sig").strip()
    except UnicodeDecodeError:
        raise Usage(f"{path} is not UTF-8", mend="write the transcript as UTF-8") from None


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as fault:
        raise Usage(f"{path} cannot be read: {fault.strerror}") from None
