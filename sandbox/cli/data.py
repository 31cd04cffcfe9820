"""`sandbox data seal|list|show|verify|pack|receive`: Party A's recordings, from a folder to ciphertext."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sandbox.cli.context import Context, current
from sandbox.cli.data_budgets import budgets
from sandbox.cli.data_pack import pack, receipt_verify
from sandbox.cli.data_receive import intake_key, receive
from sandbox.cli.data_retention import destroy, due
from sandbox.cli.data_versions import compact, correct, records, rewrap
from sandbox.cli.data_view import count_of
from sandbox.cli.show import grid, local_time, marks, thousands
from sandbox.errors import RunFailed

if TYPE_CHECKING:
    from sandbox.client.readers import Recording


@click.group()
def data() -> None:
    """\b
    sandbox data seal ./studio --dataset studio-01 --agreement dsa-2026-0001
    sandbox data verify studio-01
    """


@data.command(short_help="Seals a folder of recordings, or shows what it would do.")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False, exists=True))
@click.option("--dataset", help="Its name in the agreement.")
@click.option("--agreement", help="The agreement in force that lists it.")
@click.option("--subject", default="", help="The speaker's pseudonym, where the folder names none: spk_…")
@click.option(
    "--subjects",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="Lines of NAME,spk_…: the folder's speakers by their pseudonyms.",
)
@click.option("--language", default="", help="Where the folder names none: en, pt-BR")
@click.option("--region", default="", help="Where it is stored, if the agreement allows several.")
@click.option("--add", is_flag=True, help="Add to a dataset that is sealed already.")
@click.option("--set-aside", is_flag=True, help="Seal the good recordings even when some are bad.")
@click.option("--downmix", is_flag=True, help="Make mono of stereo.")
@click.option(
    "--resample", type=click.IntRange(8_000, 96_000), help="Change every recording to this rate in Hz."
)
@click.option(
    "--loudness", type=click.FloatRange(-40, -10), help="Bring every recording to this loudness in LUFS: -23"
)
@click.option(
    "--max-seconds", type=click.FloatRange(0, 300, min_open=True), help="The longest utterance taken (60)."
)
@click.option(
    "--records", type=click.Path(path_type=Path, dir_okay=False), help="Write which file became which record."
)
@click.option("--dry-run", is_flag=True, help="Show what would be sealed and what set aside; send nothing.")
def seal(
    folder: Path,
    dataset: str | None,
    agreement: str | None,
    subject: str,
    subjects: Path | None,
    language: str,
    records: Path | None,
    dry_run: bool,
    **wishes: Any,
) -> None:
    """\b
    sandbox data seal ./studio --dry-run
    sandbox data seal ./studio --dataset studio-01 --agreement dsa-2026-0001

    Reads LJSpeech, VCTK, LibriTTS, Common Voice, AudioFolder, or a metadata.csv with file,text,subject,language. A bad
    recording stops the sealing, unless --set-aside; the list of bad ones is written to DATASET.quarantine.csv. Speakers
    are pseudonyms: spk_…. With --dry-run nothing is sent or written, and nobody need be logged in.
    """
    from sandbox.client.readers import Defaults, read_folder, read_names, recognise

    here = current()
    if not dry_run and not (dataset and agreement):
        raise click.UsageError("sealing needs --dataset and --agreement; --dry-run does not")
    names = read_names(subjects) if subjects else {}
    found = read_folder(folder, Defaults(subject, language, names))
    if dry_run:
        from sandbox.cli.data_rehearsal import rehearse_sealing

        rehearse_sealing(here, folder, recognise(folder).name, found, wishes)
    else:
        _send(here, str(dataset), str(agreement), found, wishes, records)


def _send(
    here: Context,
    dataset: str,
    agreement: str,
    found: list[Recording],
    wishes: Mapping[str, Any],
    records: Path | None,
) -> None:
    from sandbox.cli.data_view import SealView

    request = {"dataset": dataset, "agreement": agreement, **{k: v for k, v in wishes.items() if v}}
    with here.custodian() as custodian, SealView(here, dataset, len(found), records) as view:
        for line in custodian.stream("/v1/seals", _upload(request, view.counted(found))):
            view.seen(line)


@data.command("list")
def list_() -> None:
    """\b
    sandbox data list

    What is sealed: newest version, hours, people, until when it is kept.
    """
    here = current()
    with here.custodian() as custodian:
        found = list(custodian.pages("/v1/datasets"))
    if here.as_json:
        for entry in found:
            here.emit(entry)
        return
    head = ("dataset", "version", "records", "hours", "people", "agreement", "kept until", "first to end")
    rows = [
        (
            str(entry["dataset"]),
            str(entry["version"]),
            thousands(entry["records"]),
            f"{entry['hours']:.2f}",
            str(len(entry["subjects"])),
            str(entry["agreement"]),
            local_time(str(entry.get("ends", entry["retention_until"])))
            + (" OVER" if entry.get("over") else ""),
            local_time(str(entry.get("first_end", "-"))),
        )
        for entry in found
    ]
    grid(here.console, head, rows)


@data.command()
@click.argument("dataset")
def show(dataset: str) -> None:
    """\b
    sandbox data show studio-01

    The newest signed manifest: what the dataset is, for what, until when. No voice, no transcript, no name.
    """
    here = current()
    with here.custodian() as custodian:
        found = custodian.get(f"/v1/datasets/{dataset}")
    if here.as_json:
        here.emit(found)
        return
    for name in (
        "dataset",
        "version",
        "manifest",
        "records",
        "hours",
        "agreement",
        "region",
        "retention_until",
    ):
        here.console.print(f"{name.replace('_', ' '):<16} {found[name]}", soft_wrap=True)
    if "ends" in found:
        over = "  OVER: sandbox data due" if found["over"] else ""
        here.console.print(f"{'ends':<16} {found['ends']} ({found['ends_why']}){over}", soft_wrap=True)
        here.console.print(
            f"{'first to end':<16} {found['first_end']} ({found['first_end_why']})", soft_wrap=True
        )
    for name in ("purposes", "subjects", "tombstones"):
        here.console.print(f"{name:<16} {' '.join(found[name]) or '-'}", soft_wrap=True)
    here.console.print(f"{'shards':<16} {len(found['shards'])}")


@data.command()
@click.argument("dataset")
def verify(dataset: str) -> None:
    """\b
    sandbox data verify studio-01

    Compares every byte with what was signed. Exit code 6 names the first object that differs.
    """
    here = current()
    last: dict[str, Any] = {}
    with here.custodian() as custodian:
        for line in custodian.stream(f"/v1/datasets/{dataset}/verify", iter(())):
            last = line
            if here.as_json:
                here.emit(line)
    if last.get("event") != "verified":
        raise RunFailed(
            "the custodian stopped before the end", code="verify.cut_short", mend="sandbox status"
        )
    if not here.as_json:
        here.console.print(
            f"{marks(here.console.file).good} verified   {last['dataset']}@{last['version']}: "
            f"{thousands(last['bytes'])} bytes in {count_of(last['shards'], 'shard')} are what was signed",
            soft_wrap=True,
        )


def _upload(request: dict[str, Any], recordings: Iterable[Recording]) -> Iterator[bytes]:
    import json

    from sandbox.client import tar_stream

    def members() -> Iterator[tuple[str, bytes]]:
        yield "request.json", json.dumps(request).encode()
        for number, recording in enumerate(recordings):
            facts, audio = recording.sent()
            yield f"{number:06d}.json", json.dumps(facts).encode()
            yield f"{number:06d}.audio", audio

    return tar_stream(members())


data.add_command(budgets)
data.add_command(pack)
data.add_command(receipt_verify)
data.add_command(intake_key)
data.add_command(receive)
for later in (records, correct, rewrap, compact, due, destroy):
    data.add_command(later)

command = data
