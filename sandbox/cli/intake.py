"""`sandbox intake list|show|review|accept|reject|quarantine`: what becomes of Party A's consignments."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from sandbox.cli.context import current
from sandbox.cli.data_rehearsal import plain
from sandbox.cli.data_view import count_of
from sandbox.cli.show import grid, local_time, marks, size, thousands
from sandbox.errors import RunFailed, Usage

ITEMS = ("own_signature", "ai_synthesis", "chain_of_title", "minors", "notice", "findings")


@click.group()
def intake() -> None:
    """\b
    sandbox intake list
    sandbox intake review cs-7f3k9w --all-met
    sandbox intake accept cs-7f3k9w
    """


@intake.command("list", short_help="Consignments that came, and where each stands.")
@click.option("--dataset", default="", help="Only of this dataset.")
def list_(dataset: str) -> None:
    """\b
    sandbox intake list --dataset studio-01
    """
    here = current()
    with here.custodian() as custodian:
        found = list(custodian.pages("/v1/intake", {"dataset": dataset}))
    if here.as_json:
        for entry in found:
            here.emit(entry)
        return
    head = ("consignment", "number", "dataset", "files", "size", "received by", "state", "reviewed by")
    rows = [
        (
            str(entry["consignment"]),
            str(entry["number"]),
            str(entry["dataset"]),
            thousands(entry["files"]),
            size(entry["size"]),
            str(entry["received_by"]),
            str(entry["state"]),
            " ".join(review["reviewer"] for review in entry["reviews"]) or "-",
        )
        for entry in found
    ]
    grid(here.console, head, rows)


@intake.command()
@click.argument("consignment")
def show(consignment: str) -> None:
    """\b
    sandbox intake show cs-7f3k9w

    Who received and reviewed it, when, with which answers; its findings by kind. No voice, no transcript, no name.
    """
    here = current()
    with here.custodian() as custodian:
        found = custodian.get(f"/v1/intake/{consignment}")
    if here.as_json:
        here.emit(found)
        return

    def say(head: str, text: str) -> None:
        here.console.print(f"{head:<12} {plain(text)}", markup=False, soft_wrap=True)

    for name in ("consignment", "number", "agreement", "dataset", "state", "reason", "files", "digest"):
        if found[name] is not None:
            say(name, str(found[name]))
    for name in ("categories", "subjects"):
        say(name, " ".join(found[name]) or "-")
    for line in _findings(found["findings"]):
        say("findings", line)
    for review in found["reviews"]:
        answers = " ".join(_answer(check) for check in review["checklist"])
        say("review", f"{review['reviewer']}: {answers}")
    for step in found["history"]:
        say("history", f"{local_time(step['at'])} {step['state']} by {step['by']}")


@intake.command()
@click.argument("consignment")
@click.option("--met", multiple=True, type=click.Choice(ITEMS), help="You saw that it is so.")
@click.option("--all-met", is_flag=True, help="All that is not answered otherwise is met.")
@click.option("--not-met", multiple=True, type=click.Choice(ITEMS))
@click.option("--waive", multiple=True, metavar="ITEM=REASON", help="Only chain_of_title and notice.")
def review(
    consignment: str, met: tuple[str, ...], all_met: bool, not_met: tuple[str, ...], waive: tuple[str, ...]
) -> None:
    """\b
    sandbox intake review cs-7f3k9w --all-met
    sandbox intake review cs-7f3k9w --all-met --waive "chain_of_title=own studio, own staff"

    The checklist: own_signature ai_synthesis chain_of_title minors notice findings. It takes two different reviewers,
    neither of whom received it; the consent register is asked besides, and nobody can waive what it says.
    """
    checklist = [{"item": item, "answer": "met"} for item in met]
    checklist += [{"item": item, "answer": "not_met"} for item in not_met]
    for one in waive:
        item, _, note = one.partition("=")
        if item not in ITEMS or not note.strip():
            raise click.UsageError("--waive takes ITEM=REASON")
        checklist.append({"item": item, "answer": "waived", "note": note.strip()})
    answered = [check["item"] for check in checklist]
    if len(set(answered)) < len(answered):
        raise Usage("an item has two answers", code="input.invalid")
    if all_met:
        checklist += [{"item": item, "answer": "met"} for item in ITEMS if item not in answered]
    _decide(consignment, "review", {"checklist": checklist})


@intake.command()
@click.argument("consignment")
@click.option("--region", help="Where it is stored, if the agreement allows several.")
@click.option("--set-aside", is_flag=True, help="Seal the good recordings even when some are bad.")
@click.option("--downmix", is_flag=True, help="Make mono of stereo.")
@click.option(
    "--resample", type=click.IntRange(8_000, 96_000), help="Change every recording to this rate in Hz."
)
@click.option("--max-seconds", type=click.FloatRange(0, 300, min_open=True))
def accept(consignment: str, **wishes: Any) -> None:
    """\b
    sandbox intake accept cs-7f3k9w

    Opens it in the custodian's memory and seals it; its own ciphertext is then deleted. After a crash, ask again.
    """
    here, sealed, last = current(), dict[str, Any](), dict[str, Any]()
    body = {name: value for name, value in wishes.items() if value}
    with here.custodian() as custodian:
        path = f"/v1/intake/{consignment}/accept"
        for line in custodian.stream(path, iter([json.dumps(body).encode()]), media_type="application/json"):
            if here.as_json:
                here.emit(line)
            last = line
            sealed = line if line.get("event") == "sealed" else sealed
    if last.get("event") != "accepted":
        raise RunFailed("the custodian stopped before the end", code="accept.cut_short", mend="ask again")
    if here.as_json:
        return
    mark, say = marks(here.console.file), here.console.print
    say(f"{mark.good} accepted   {consignment}; its ciphertext is deleted", soft_wrap=True)
    if sealed:
        say(
            f"{mark.good} sealed     {count_of(sealed['added'], 'record')} of {consignment} as {sealed['dataset']}@"
            f"{sealed['version']} {mark.dot} {sealed['hours']:.2f} h {mark.dot} manifest signed",
            soft_wrap=True,
        )
    for purpose, barred in sealed.get("barred", {}).items():
        if barred:
            say(
                f"  [yellow]{mark.warn}[/yellow] {purpose}: barred until they consent: {' '.join(barred)}",
                soft_wrap=True,
            )


@intake.command()
@click.argument("consignment")
@click.option("--reason", required=True)
@click.option(
    "-o",
    "--statement",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the signed statement here.",
)
def reject(consignment: str, reason: str, statement: Path | None) -> None:
    """\b
    sandbox intake reject cs-7f3k9w --reason "no consent of spk_7f3a" -o rejection.json

    For good: the ciphertext is deleted, and a signed statement says so.
    """
    signed = str(_decide(consignment, "reject", {"reason": reason}).get("statement", ""))
    if statement is not None:
        try:
            statement.write_text(signed, encoding="utf-8")
        except OSError as fault:
            raise Usage(f"{statement} cannot be written: {fault.strerror}", code="file.unwritable") from None


@intake.command()
@click.argument("consignment")
@click.option("--reason", required=True)
def quarantine(consignment: str, reason: str) -> None:
    """\b
    sandbox intake quarantine cs-7f3k9w --reason "category in doubt"

    It stays encrypted, and can only be rejected.
    """
    _decide(consignment, "quarantine", {"reason": reason})


def _decide(consignment: str, step: str, body: dict[str, Any]) -> dict[str, Any]:
    here = current()
    with here.custodian() as custodian:
        found = custodian.post(f"/v1/intake/{consignment}/{step}", body)
    if here.as_json:
        here.emit(found)
        return found
    who = f", reviewed by {' and '.join(found['reviews'])}" if found["reviews"] else ""
    here.console.print(
        f"{marks(here.console.file).good} {found['state']:<10} {found['consignment']}{who}", soft_wrap=True
    )
    return found


def _findings(text: str) -> list[str]:
    from collections import Counter

    counts = Counter((found["kind"], found["treatment"] or "untreated") for found in json.loads(text or "[]"))
    return [f"{count} {kind}, {treatment}" for (kind, treatment), count in sorted(counts.items())]


def _answer(check: dict[str, Any]) -> str:
    return f"{check['item']}={check['answer']}" + (f" ({check['note']})" if check.get("note") else "")


command = intake
