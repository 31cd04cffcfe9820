"""`sandbox consent give|sign|import|withdraw|list|show`: what data subjects consented to, flag by flag."""

from __future__ import annotations

import hashlib
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from sandbox.cli.consent_record import import_, scope_of, show, sign, tell_barred
from sandbox.cli.context import current
from sandbox.cli.show import grid, local_time, marks

SCOPES = (
    "process_voice_biometric",
    "ai_synthesis_of_my_voice",
    "recipient_party_b",
    "clone_identifiable_voice",
    "serve_to_third_parties",
    "release_model",
    "commercial_use",
)
DECLARED = "declared by the data steward; the signed paper stays with Party A"
PAPER = click.Path(path_type=Path, dir_okay=False, exists=True)


@click.group()
def consent() -> None:
    """\b
    sandbox consent sign consents.yaml --key party-a.key
    sandbox consent import consents.yaml
    sandbox consent show spk_7f3a
    sandbox consent withdraw spk_7f3a --dataset studio-01
    """


for verb in (sign, import_, show):
    consent.add_command(verb)


@consent.command(short_help="Enters what one person consents to.")
@click.argument("subject")
@click.option("--dataset", required=True)
@click.option(
    "--scope", "scopes", type=click.Choice(SCOPES), multiple=True, required=True, help="Each its own consent."
)
@click.option("--given-at", default="", help="When it was signed; now, unless given.")
@click.option("--expires", required=True, help="With its offset: 2027-01-31T23:59:59+08:00")
@click.option("--age-band", type=click.Choice(["adult", "14_17", "under_14"]), default="adult")
@click.option("--evidence", type=PAPER, help="The signed paper: its digest is kept, nothing else.")
@click.option("--notice", type=PAPER, help="What the person was told: its digest is kept.")
@click.option("--guardian", type=PAPER, help="A guardian's signed paper, for a child: its digest is kept.")
@click.option("--cross-border", multiple=True, metavar="RECIPIENT", help="May be processed abroad, by them.")
@click.option("--channel", default="", help="How it can be withdrawn: https://…")
def give(
    subject: str,
    dataset: str,
    scopes: tuple[str, ...],
    given_at: str,
    expires: str,
    age_band: str,
    evidence: Path | None,
    notice: Path | None,
    guardian: Path | None,
    cross_border: tuple[str, ...],
    channel: str,
) -> None:
    """\b
    sandbox consent give spk_7f3a --dataset studio-01 --scope process_voice_biometric \\
        --scope ai_synthesis_of_my_voice --expires 2027-01-31T23:59:59+08:00 --evidence signed.pdf

    A scope that is not named is not consented to. Only people of Party A may; others import what it signed.
    """
    moment = given_at or datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    record: dict[str, Any] = {
        "subject": subject,
        "dataset": dataset,
        "status": "ConsentGiven",
        "given_at": moment,
        "expires": expires,
        "age_band": age_band,
        "evidence": _evidence(evidence, f"{subject} {dataset} {' '.join(sorted(scopes))} {moment}"),
        "scope": dict.fromkeys(scopes, True),
    }
    if cross_border:
        record["scope"]["cross_border"] = {"allowed": True, "recipients": list(cross_border)}
    if notice is not None:
        record["notice_sha256"] = _sha256(notice)
    if guardian is not None:
        record["guardian_evidence"] = {"sha256": _sha256(guardian), "method": "signed document"}
    if channel:
        record["withdrawal"] = {"channel": channel}
    _send({"consents": [record]}, "given", f"{subject} {dataset}")


@consent.command()
@click.argument("subject")
@click.option("--dataset", required=True)
@click.option("--channel", default="", help="How it came in, if otherwise than the record says.")
def withdraw(subject: str, dataset: str, channel: str) -> None:
    """\b
    sandbox consent withdraw spk_7f3a --dataset studio-01

    At once: Vault refuses this voice to running credentials too, and the gate admits no run with it.
    """
    said = {"subject": subject, "dataset": dataset} | ({"channel": channel} if channel else {})
    _send({"withdraw": said}, "withdrawn", f"{subject} {dataset}")


@consent.command("list", short_help="Consents in force and ended, one line each.")
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
            scope_of(entry["scope"]),
            local_time(str(entry["expires"])),
        )
        for entry in found
    ]
    grid(here.console, ("consent", "subject", "dataset", "status", "scope", "expires"), rows)


def _evidence(file: Path | None, declared: str) -> dict[str, str]:
    if file is not None:
        return {"sha256": _sha256(file), "method": "signed document"}
    return {"sha256": hashlib.sha256(declared.encode()).hexdigest(), "method": DECLARED}


def _sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _send(body: dict[str, Any], verb: str, what: str) -> None:
    here = current()
    with here.custodian() as custodian:
        answer = custodian.post("/v1/consents", body)
    if here.as_json:
        here.emit(answer)
        return
    click.echo(f"{marks(sys.stdout).good} {verb:<10} {what}")
    tell_barred(answer["barred"])


command = consent
