"""`sandbox consent give|import|withdraw|list`: what data subjects consented to, flag by flag."""

from __future__ import annotations

import hashlib
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from sandbox.cli.context import current
from sandbox.cli.show import grid, local_time, marks
from sandbox.errors import Usage

SCOPES = (
    "process_voice_biometric",
    "ai_synthesis_of_my_voice",
    "recipient_party_b",
    "clone_identifiable_voice",
    "serve_to_third_parties",
    "release_model",
)
DECLARED = "declared by the data steward; the signed paper stays with Party A"


@click.group()
def consent() -> None:
    """\b
    sandbox consent import consents.yaml
    sandbox consent withdraw spk_7f3a --dataset studio-01
    """


@consent.command()
@click.argument("subject")
@click.option("--dataset", required=True)
@click.option(
    "--scope", "scopes", type=click.Choice(SCOPES), multiple=True, required=True, help="Each its own consent."
)
@click.option("--given-at", default="", help="When it was signed; now, unless given.")
@click.option("--expires", required=True, help="With its offset: 2027-01-31T23:59:59+08:00")
@click.option("--age-band", type=click.Choice(["adult", "14_17", "under_14"]), default="adult")
@click.option(
    "--evidence",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="The signed paper: its digest is kept, nothing else.",
)
def give(
    subject: str,
    dataset: str,
    scopes: tuple[str, ...],
    given_at: str,
    expires: str,
    age_band: str,
    evidence: Path | None,
) -> None:
    """\b
    sandbox consent give spk_7f3a --dataset studio-01 --scope process_voice_biometric \\
        --scope ai_synthesis_of_my_voice --expires 2027-01-31T23:59:59+08:00 --evidence signed.pdf

    A scope that is not named is not consented to.
    """
    moment = given_at or datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    record = {
        "subject": subject,
        "dataset": dataset,
        "status": "ConsentGiven",
        "given_at": moment,
        "expires": expires,
        "age_band": age_band,
        "evidence": _evidence(evidence, f"{subject} {dataset} {' '.join(sorted(scopes))} {moment}"),
        "scope": dict.fromkeys(scopes, True),
    }
    _send({"consents": [record]}, "given", f"{subject} {dataset}")


@consent.command("import")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, exists=True))
def import_(file: Path) -> None:
    """\b
    sandbox consent import consents.yaml

    A YAML file with one record, or a list of them under `consents`; all go in, or none.
    """
    from sandbox.policy.documents import parse

    found = parse(file.read_bytes(), file.name).value
    records = found.get("consents", [found])
    if not isinstance(records, list) or not records:
        raise Usage(f"{file.name}: consents is no list of records")
    _send({"consents": records}, "imported", f"{len(records)} from {file.name}")


@consent.command()
@click.argument("subject")
@click.option("--dataset", required=True)
def withdraw(subject: str, dataset: str) -> None:
    """\b
    sandbox consent withdraw spk_7f3a --dataset studio-01

    At once: Vault refuses this voice to running credentials too, and the gate admits no run with it.
    """
    _send({"withdraw": {"subject": subject, "dataset": dataset}}, "withdrawn", f"{subject} {dataset}")


@consent.command("list")
@click.option("--dataset", default="", help="Only for this dataset.")
@click.option("--subject", default="", help="Only of this person.")
def list_(dataset: str, subject: str) -> None:
    """\b
    sandbox consent list --dataset studio-01
    """
    here = current()
    with here.custodian() as custodian:
        found = list(custodian.pages("/v1/consents", {"dataset": dataset, "subject": subject}))
    if here.as_json:
        for entry in found:
            here.emit(entry)
        return
    rows = [
        (
            str(entry["record_id"]),
            str(entry["subject"]),
            str(entry["dataset"]),
            str(entry["status"]).removeprefix("Consent"),
            " ".join(name for name, given in entry["scope"].items() if given) or "-",
            local_time(str(entry["expires"])),
        )
        for entry in found
    ]
    grid(here.console, ("consent", "subject", "dataset", "status", "scope", "expires"), rows)


def _evidence(file: Path | None, declared: str) -> dict[str, str]:
    if file is not None:
        return {"sha256": hashlib.sha256(file.read_bytes()).hexdigest(), "method": "signed document"}
    return {"sha256": hashlib.sha256(declared.encode()).hexdigest(), "method": DECLARED}


def _send(body: dict[str, Any], verb: str, what: str) -> None:
    here = current()
    with here.custodian() as custodian:
        answer = custodian.post("/v1/consents", body)
    if here.as_json:
        here.emit(answer)
        return
    click.echo(f"{marks(sys.stdout).good} {verb:<10} {what}")
    for dataset, purposes in answer["barred"].items():
        for purpose, subjects in purposes.items():
            click.echo(f"  {dataset}, {purpose}: {len(subjects)} barred {' '.join(subjects)}".rstrip())


command = consent
