"""`sandbox data pack|receipt-verify`: at Party A, with no service and nobody logged in."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sandbox.cli.context import Context, current
from sandbox.cli.data_rehearsal import plain
from sandbox.cli.data_view import count_of
from sandbox.cli.show import marks, size
from sandbox.errors import Usage

if TYPE_CHECKING:
    from sandbox.client.packing import Packed
    from sandbox.consignment.envelope import IntakeKey
    from sandbox.statements import PublicKey

KINDS = ("id_number", "phone", "email", "address", "name")
CATEGORIES = ("speech_sample", "text")
FILE = click.Path(path_type=Path, dir_okay=False, exists=True)


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False, exists=True))
@click.option("--agreement", required=True, help="The agreement that lists the dataset.")
@click.option("--dataset", required=True, help="Its name in the agreement.")
@click.option("--number", type=click.IntRange(1), required=True, help="Higher than that of every one before.")
@click.option("--to", type=FILE, required=True, help="What sandbox data intake-key wrote.")
@click.option(
    "--key", type=FILE, required=True, help="Party A's private key, which the agreement was signed with."
)
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), required=True)
@click.option(
    "--names",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Speakers and pseudonyms, kept from one consignment to the next (DATASET.names.csv).",
)
@click.option("--subject", default="", help="The speaker's name, where the folder names none.")
@click.option("--language", default="", help="Where the folder names none: en, pt-BR")
@click.option("--category", "categories", multiple=True, default=CATEGORIES, show_default=True)
@click.option("--redact", is_flag=True, help="Take every finding that is not accepted out of its transcript.")
@click.option(
    "--accept", "accepted", multiple=True, metavar="KIND=REASON", help=f"One of {', '.join(KINDS)}."
)
@click.option("--set-aside", is_flag=True, help="Pack the good recordings even when some are bad.")
@click.option("--downmix", is_flag=True, help="Take stereo; the custodian makes mono of it.")
@click.option("--max-seconds", type=click.FloatRange(0, 300, min_open=True), default=60.0, show_default=True)
def pack(
    folder: Path,
    agreement: str,
    dataset: str,
    number: int,
    to: Path,
    key: Path,
    output: Path,
    names: Path | None,
    subject: str,
    language: str,
    categories: tuple[str, ...],
    redact: bool,
    accepted: tuple[str, ...],
    set_aside: bool,
    downmix: bool,
    max_seconds: float,
) -> None:
    """\b
    sandbox data pack ./studio --agreement dsa-2026-0001 --dataset studio-01 --number 1 \\
        --to custodian.keys --key party-a.key --redact -o studio-01.consignment

    Reads what `data seal` reads and judges it by the same rules. Speakers become random pseudonyms, files numbers;
    transcripts are scanned for identity numbers, telephones, e-mail, addresses and names. Everything is encrypted to
    the custodian alone. Who is who stays here: in DATASET.names.csv and OUTPUT.files.csv, for their owner's eyes.
    """
    from sandbox.cli.party_key import read_key
    from sandbox.client.packing import Order, Pseudonyms, Treatment
    from sandbox.client.packing import pack as pack_folder
    from sandbox.client.readers import Defaults, read_folder
    from sandbox.records import check_id

    here = current()
    order = Order(
        number=number,
        agreement=check_id("agreement", agreement),
        dataset=check_id("dataset", dataset),
        categories=categories,
        to=read_keys(to)[0],
        downmix=downmix,
        max_seconds=max_seconds,
        set_aside=set_aside,
    )
    known = Pseudonyms.at(names or Path(f"{dataset}.names.csv"))
    found = read_folder(folder, Defaults(subject, language))
    treatment = Treatment(redact, dict(_accepted(one) for one in accepted))
    packed = pack_folder(found, order, known, treatment, read_key(key), output, lambda: datetime.now(UTC))
    _show(here, packed, output)


@click.command("receipt-verify")
@click.argument("receipt", type=FILE)
@click.argument("consignment", type=FILE)
@click.option("--custodian", type=FILE, required=True, help="What sandbox data intake-key wrote.")
@click.option("--party-a", type=FILE, required=True, help="Party A's public key.")
def receipt_verify(receipt: Path, consignment: Path, custodian: Path, party_a: Path) -> None:
    """\b
    sandbox data receipt-verify studio-01.receipt.json studio-01.consignment \\
        --custodian custodian.keys --party-a party-a.pub

    Whether the custodian signed for exactly this consignment. Asks nobody.
    """
    from sandbox.cli.party_key import read_public
    from sandbox.consignment.bag import Bag
    from sandbox.consignment.receipt import verify_receipt

    here = current()
    with consignment.open("rb") as file:
        bag = Bag(iter(lambda: file.read(1 << 20), b""), [read_public(party_a)])
    said = verify_receipt(receipt.read_bytes(), bag.letter, read_keys(custodian)[1])
    if here.as_json:
        here.emit(said)
        return
    here.console.print(
        f"{marks(here.console.file).good} receipt    {said['consignment']}, number {said['number']}: "
        f"{count_of(said['files'], 'file')} received by {said['received_by']} at {said['received_at']}",
        soft_wrap=True,
    )


def read_keys(path: Path) -> tuple[IntakeKey, list[PublicKey]]:
    """The custodian's keys as ``data intake-key`` writes them: one to encrypt to, and those that it signs with.

    Raises:
        Usage: there are other lines, or not exactly one key to encrypt to.
    """
    from sandbox.consignment.envelope import IntakeKey
    from sandbox.statements import PublicKey

    try:
        lines = path.read_text(encoding="ascii").split()
    except (OSError, UnicodeDecodeError):
        raise Usage(f"{path} is no readable file of keys", code="key.unreadable") from None
    to = [IntakeKey.from_text(line) for line in lines if not line.startswith("ed25519:")]
    if len(to) != 1:
        raise Usage(
            f"{path} names no intake key, or several", code="key.invalid", mend="sandbox data intake-key"
        )
    return to[0], [PublicKey.from_text(line) for line in lines if line.startswith("ed25519:")]


def _accepted(text: str) -> tuple[str, str]:
    kind, _, reason = text.partition("=")
    if kind not in KINDS or not reason.strip() or len(reason) > 200 or not reason.isprintable():
        raise click.UsageError(f"--accept takes KIND=REASON, with a kind of {', '.join(KINDS)}")
    return kind, reason.strip()


def _show(here: Context, packed: Packed, output: Path) -> None:
    letter, mark, people = packed.letter, marks(here.console.file), len(packed.letter.subjects)
    if here.as_json:
        here.emit(
            {
                "event": "packed",
                "consignment": letter.consignment,
                "number": letter.number,
                "statement": letter.digest,
                "files": letter.files,
                "size": letter.size,
                "hours": round(packed.seconds / 3600, 6),
                "subjects": list(letter.subjects),
                "new_pseudonyms": packed.drawn,
                "set_aside": packed.aside,
                "findings": [
                    {"kind": kind, "treatment": treatment, "count": count}
                    for (kind, treatment), count in sorted(packed.findings.items())
                ],
            }
        )
        return
    say = here.console.print
    say(
        f"{mark.good} packed     {letter.consignment}, number {letter.number}: {count_of(letter.files, 'recording')} "
        f"{mark.dot} {packed.seconds / 3600:.2f} h {mark.dot} {size(letter.size)} {mark.dot} "
        f"{people} {'person' if people == 1 else 'people'}",
        soft_wrap=True,
    )
    for (kind, treatment), count in sorted(packed.findings.items()):
        say(f"  findings   {count} {kind}, {treatment}", soft_wrap=True)
    if any(treatment == "redacted" for _, treatment in packed.findings):
        say(
            f"  [yellow]{mark.warn}[/yellow] what was redacted is still said aloud in its recording",
            soft_wrap=True,
        )
    if packed.aside:
        say(
            f"  [yellow]{mark.warn}[/yellow] {count_of(packed.aside, 'recording')} left out: not fit for sealing"
        )
    say(f"  written    {plain(str(output))}", markup=False, soft_wrap=True)


command = pack
