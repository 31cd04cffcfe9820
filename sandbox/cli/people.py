"""`sandbox people add|leave|reset-factor|list`: who is who, by Party A's approver."""

from __future__ import annotations

import sys

import click

from sandbox.cli.context import current
from sandbox.cli.second_factor import code_option, fresh_code
from sandbox.cli.show import grid, local_time, marks
from sandbox.errors import Usage

ROLES = ("ml_engineer", "data_steward", "privacy_reviewer", "auditor", "operator", "party_a_approver")


@click.group()
def people() -> None:
    """\b
    sandbox people add eng.li --party B --role ml_engineer --nda-until 2029-01-10 \\
        --training voice-data-security-2026 --training-until 2027-01-12
    sandbox people list
    """


@people.command()
@click.argument("person")
@click.option("--party", type=click.Choice(["A", "B"]), required=True)
@click.option(
    "--role", "roles", type=click.Choice(ROLES), multiple=True, required=True, help="May be given again."
)
@click.option("--nda-until", required=True, help="End of the confidentiality agreement: 2029-01-10")
@click.option("--training", required=True, help="The data-security course passed.")
@click.option("--training-until", required=True, help="Until when it counts.")
@click.option(
    "--password-stdin", is_flag=True, help="Read the first password from standard input (one line)."
)
@click.option("--oidc-subject", help="Whom the identity provider calls this person: sandbox login --oidc.")
def add(
    person: str,
    party: str,
    roles: tuple[str, ...],
    nda_until: str,
    training: str,
    training_until: str,
    password_stdin: bool,
    oidc_subject: str | None,
) -> None:
    """\b
    sandbox people add eng.li --party B --role ml_engineer --nda-until 2029-01-10 \\
        --training voice-data-security-2026 --training-until 2027-01-12

    Enters somebody, or changes what is known of them. A new person's first password is shown once, unless it is
    given by --password-stdin.
    """
    here = current()
    body: dict[str, object] = {
        "person": person,
        "party": party,
        "roles": list(roles),
        "nda": {"expires": nda_until},
        "training": {"course": training, "valid_until": training_until},
        "status": "active",
    }
    if oidc_subject is not None:
        body["oidc_subject"] = oidc_subject
    if password_stdin:
        body["password"] = sys.stdin.readline().rstrip("\n")
        if not body["password"]:
            raise Usage("the password is empty")
    with here.custodian() as custodian:
        answer = custodian.post("/v1/people", body)
    if here.as_json:
        here.emit(answer)
        return
    click.echo(f"{marks(sys.stdout).good} entered    {person} {' '.join(roles)}")
    if "password" in answer:
        click.echo(f"  first password, shown once: {answer['password']}")


@people.command()
@click.argument("person")
def leave(person: str) -> None:
    """\b
    sandbox people leave eng.li

    From here on they cannot log in, and no token of theirs works.
    """
    here = current()
    with here.custodian() as custodian:
        found = list(custodian.pages("/v1/people", {"person": person}))
        if not found:
            raise Usage(f"nobody is called {person}", code="person.unknown", mend="sandbox people list")
        fields = ("person", "party", "roles", "nda", "training")
        answer = custodian.post("/v1/people", {**{name: found[0][name] for name in fields}, "status": "left"})
    if here.as_json:
        here.emit(answer)
    else:
        click.echo(f"{marks(sys.stdout).good} left       {person}")


@people.command("reset-factor")
@click.argument("person")
@code_option
def reset_factor(person: str, totp_stdin: bool) -> None:
    """\b
    sandbox people reset-factor eng.li

    Takes a lost second factor away, with a fresh code of your own; they then enrol anew. Nobody resets their own.
    """
    here = current()
    with here.custodian() as custodian:
        path = f"/v1/people/{person}/second-factor/reset"
        answer = custodian.post(path, code=fresh_code(here, totp_stdin))
    if here.as_json:
        here.emit(answer)
    else:
        click.echo(f"{marks(sys.stdout).good} reset      {person}: sandbox login {person} --enrol")


@people.command("list")
def list_() -> None:
    """\b
    sandbox people list

    Everybody entered, with roles and what expires when.
    """
    here = current()
    with here.custodian() as custodian:
        found = list(custodian.pages("/v1/people"))
    if here.as_json:
        for entry in found:
            here.emit(entry)
        return
    rows = [
        (
            str(entry["person"]),
            str(entry["party"]),
            " ".join(entry["roles"]),
            str(entry["status"]),
            local_time(str(entry["nda"]["expires"])),
            local_time(str(entry["training"]["valid_until"])),
        )
        for entry in found
    ]
    grid(here.console, ("person", "party", "roles", "status", "NDA until", "training until"), rows)


command = people
