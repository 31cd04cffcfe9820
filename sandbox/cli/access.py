"""`sandbox access …`: who may use which dataset for what, until when; asked for, granted, looked at again."""

from __future__ import annotations

import sys

import click

from sandbox.cli.access_requests import PURPOSES, approve, break_glass, confirm, deny, request, requests
from sandbox.cli.access_review import review
from sandbox.cli.context import current
from sandbox.cli.show import grid, local_time, marks


@click.group()
def access() -> None:
    """\b
    sandbox access request --dataset studio-01 --purpose train --until 2026-12-31T23:59:59+08:00 --reason "release 2"
    sandbox access approve rq-7f3k9w
    sandbox access review
    """


for _command in (request, requests, approve, deny, break_glass, confirm, review):
    access.add_command(_command)


@access.command(short_help="Lets a person use a dataset for some purposes, for a time.")
@click.argument("person")
@click.option("--dataset", required=True)
@click.option("--purpose", "purposes", type=click.Choice(PURPOSES), multiple=True, required=True)
@click.option(
    "--until", required=True, help="2026-12-31T23:59:59+08:00; a bare date is its first second, UTC."
)
@click.option(
    "--minor",
    "minors",
    multiple=True,
    help="Approve hearing this minor, for a day at most; may be given again.",
)
def grant(person: str, dataset: str, purposes: tuple[str, ...], until: str, minors: tuple[str, ...]) -> None:
    """\b
    sandbox access grant eng.li --dataset studio-01 --purpose train --until 2026-12-31T23:59:59+08:00

    Never longer than the person's NDA and training last, and never for an auditor. With --minor it is no access but
    the approval that each hearing of a minor's voice needs besides: by the approver whom the agreement names.
    """
    here = current()
    body = {"person": person, "dataset": dataset, "purposes": list(purposes), "until": until}
    if minors:
        body["minors"] = list(minors)
    with here.custodian() as custodian:
        answer = custodian.post("/v1/access", body)
    if here.as_json:
        here.emit(answer)
    else:
        click.echo(
            f"{marks(sys.stdout).good} granted    {answer['id']} {person} {dataset} {' '.join(purposes)}"
        )


@access.command()
@click.argument("access_id")
def revoke(access_id: str) -> None:
    """\b
    sandbox access revoke ac-7f3k9w

    No run is admitted under it from here on.
    """
    here = current()
    with here.custodian() as custodian:
        answer = custodian.post("/v1/access", {"revoke": access_id})
    if here.as_json:
        here.emit(answer)
    else:
        click.echo(f"{marks(sys.stdout).good} revoked    {access_id}")


@access.command("list")
@click.option("--person", default="", help="Only this person's.")
@click.option("--dataset", default="", help="Only to this dataset.")
def list_(person: str, dataset: str) -> None:
    """\b
    sandbox access list --person eng.li

    Who may use what for what, and until when.
    """
    here = current()
    with here.custodian() as custodian:
        found = list(custodian.pages("/v1/access", {"person": person, "dataset": dataset}))
    if here.as_json:
        for entry in found:
            here.emit(entry)
        return
    rows = [
        (
            str(entry["id"]),
            str(entry["person"]),
            str(entry["dataset"]),
            " ".join([*entry["purposes"], *(f"minor:{name}" for name in entry.get("minors", ()))]),
            str(entry["status"]),
            local_time(str(entry["until"])),
        )
        for entry in found
    ]
    grid(here.console, ("access", "person", "dataset", "purposes", "status", "until"), rows)


command = access
