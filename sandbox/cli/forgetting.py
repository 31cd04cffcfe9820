"""An erasure as its caller carries it between custodian and gate, who never speak to each other.

1. custodian: asked, barred.   2. gate: runs that hold the voices end; its receipt.   3. custodian: keys destroyed and
proved, tombstones.   4. gate: models tainted; its second receipt.   5. custodian: certificates.   6. The list of all
erasures, for Party A. Every step may repeat, so the whole may be asked for again after an interruption.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sandbox.cli.context import Context
from sandbox.cli.show import marks
from sandbox.errors import RunFailed, Usage

if TYPE_CHECKING:
    from sandbox.client import Service

AT_ONCE = 50  # speakers of one receipt: it stands whole in each certificate
PATIENCE_S = 180.0
POLL_S = 0.2
LIST = "erasures.jsonl"

Speakers = list[list[str]]
Say = Callable[[str, str], None]


def forget(
    here: Context,
    subjects: Sequence[str],
    dataset: str | None,
    witness: str | None,
    without: str,
    code: Callable[[], str] = lambda: "",
) -> None:
    """All steps. Raises what a service refuses; everything up to there stands.

    ``code`` is asked for the second factor right before keys are destroyed: waiting for runs takes longer than a code
    lasts.
    """
    began, say = time.monotonic(), _saying(here)
    with here.custodian() as custodian:
        body = {"subjects": list(subjects)} | ({"dataset": dataset} if dataset else {})
        asked = custodian.post("/v1/erasures", body)
        speakers = [[one["dataset"], one["subject"]] for one in asked["erasures"]]
        open_ = [
            [one["dataset"], one["subject"]] for one in asked["erasures"] if one["status"] != "certified"
        ]
        say("barred", f"{_people(speakers)}: no new run, no credential opens them")
        first = [] if without else _receipts(here, "settled", open_, say)
        say("settled", f"without the gate: {without}" if without else "no run holds them")
        _destroy(custodian, open_, first, without, say, code)
        second = [] if without else _receipts(here, "tainted", open_, say)
        say(
            "tainted",
            "what was made of them is not looked up" if without else "what was made of them is marked",
        )
        certificates = _certify(custodian, open_, second, witness)
        written = [_write(one, here.as_json) for one in certificates]
        _keep(custodian, Path(LIST))
    seconds = round(time.monotonic() - began, 3)
    say("certified", f"{len(written)} signed in {seconds:.2f} s; {LIST} is for Party A to keep elsewhere")
    if here.as_json:
        here.emit({"event": "erased", "erasures": written, "seconds": seconds, "list": LIST})


def fetch_certificate(here: Context, subject: str, output: Path | None) -> None:
    """Write what stands, one file for each dataset, and show it."""
    with here.custodian() as custodian:
        found = custodian.get(f"/v1/certificates/{subject}")["certificates"]
    if output is not None and len(found) > 1:
        raise Usage(
            f"{subject} was erased from {len(found)} datasets", mend="leave out -o: one file each is written"
        )
    for one in found:
        path = output or _name(one)
        path.write_text(one["certificate"])
        if here.as_json:
            here.emit({"file": str(path), "dataset": one["dataset"], "subject": subject})
        else:
            mark = marks(sys.stdout)
            click.echo(f"{mark.good} written    {path} {mark.dot} sandbox audit certificate {path}")


def fetch_list(here: Context, output: Path) -> None:
    with here.custodian() as custodian:
        entries = _keep(custodian, output)
    if here.as_json:
        here.emit({"file": str(output), "entries": entries})
    else:
        click.echo(f"{marks(sys.stdout).good} written    {output}, {entries} entries")


def _receipts(here: Context, stage: str, speakers: Speakers, say: Say) -> list[str]:
    """One for each few speakers; waits for runs that are ending. Raises RunFailed when they do not."""
    found, until = [], time.monotonic() + PATIENCE_S
    with here.gate() as gate:
        for some in _few(speakers):
            told = ""
            while "receipt" not in (answer := gate.post("/v1/receipts", {"stage": stage, "speakers": some})):
                runs = ", ".join(answer["waiting"])
                if runs != told:
                    say("waiting", f"for {runs} to end")
                    told = runs
                if time.monotonic() > until:
                    raise RunFailed(
                        f"{runs} did not end", code="erasure.waits", mend="sandbox runs list; ask again"
                    )
                time.sleep(POLL_S)
            found.append(str(answer["receipt"]))
    return found


def _destroy(
    custodian: Service,
    speakers: Speakers,
    receipts: list[str],
    without: str,
    say: Say,
    code: Callable[[], str],
) -> None:
    if not speakers:
        return
    body = {"speakers": speakers, "receipts": receipts} | ({"without_receipt": without} if without else {})
    lines = custodian.stream(
        "/v1/erasures/destroy",
        [json.dumps(body).encode()],
        media_type="application/json",
        code=code(),
    )
    for line in lines:
        if line["event"] == "destroyed":
            say("destroyed", f"{line['subjects']} of {line['dataset']}: keys gone, every stored wrap fails")


def _certify(
    custodian: Service, speakers: Speakers, receipts: list[str], witness: str | None
) -> list[dict[str, Any]]:
    found, more = [], {"witness": witness} if witness else {}
    for number, some in enumerate(_few(speakers)):
        body = {"speakers": some, "receipts": receipts[number : number + 1], **more}
        found += custodian.post("/v1/erasures/certify", body)["certificates"]
    return found


def _few(speakers: Speakers) -> list[Speakers]:
    return [speakers[at : at + AT_ONCE] for at in range(0, len(speakers), AT_ONCE)]


def _write(one: dict[str, Any], quiet: bool) -> dict[str, Any]:
    path = _name(one)
    path.write_text(one["certificate"])
    if not quiet:
        click.echo(f"  certificate {path}")
    return {"dataset": one["dataset"], "subject": one["subject"], "certificate": str(path)}


def _name(one: dict[str, Any]) -> Path:
    return Path(f"erasure-{one['subject']}-{one['dataset']}.dsse.json")


def _keep(custodian: Service, path: Path) -> int:
    """Never shorter than what is kept there: a list that lost entries is another installation's, or was restored."""
    data = custodian.get_bytes("/v1/erasure-list")
    kept = path.read_bytes() if path.exists() else b""
    if not data.startswith(kept):
        raise Usage(
            f"{path} is no beginning of the list that the custodian has now",
            code="erasure.list_differs",
            mend="keep it: a restored installation is brought up to date with it; name another file",
        )
    partial = path.with_name(f".{path.name}.new")
    partial.write_bytes(data)
    partial.replace(path)
    return data.count(b"\n")


def _people(speakers: Speakers) -> str:
    names = {subject for _, subject in speakers}
    return next(iter(names)) if len(names) == 1 else f"{len(names)} people"


def _saying(here: Context) -> Say:
    def say(word: str, what: str) -> None:
        if here.as_json:
            here.emit({"event": word, "says": what})
        else:
            click.echo(f"{marks(sys.stdout).good} {word:<10} {what}")

    return say
