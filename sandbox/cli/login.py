"""`sandbox login NAME`, `logout`, `whoami`. A password is asked for or read from stdin: never an argument."""

from __future__ import annotations

import sys

import click

from sandbox.cli.context import current
from sandbox.cli.show import marks
from sandbox.errors import Unreachable, Usage

NEW_LENGTH_MIN = 12


@click.command()
@click.argument("name")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input (one line).")
@click.option(
    "--new-password", is_flag=True, help="Also set a new one (with --password-stdin: the second line)."
)
def login(name: str, password_stdin: bool, new_password: bool) -> None:
    """\b
    sandbox login eng.li
    sandbox login eng.li --new-password

    Keeps a short-lived Vault token in your runtime directory, readable by you alone.
    """
    from sandbox.client import Address, Login, Public
    from sandbox.vault import people

    here = current()
    public = Public.read(here.state)
    password = _password(password_stdin)
    ca = Address.of(here.state).vault_ca
    token = people.login(public.vault_addr, ca, name, password)
    if new_password:
        chosen = _password(password_stdin, new=True)
        people.change_password(public.vault_addr, ca, token, name, chosen)
    Login.at(here.state, here.environ).save(token)
    if here.as_json:
        here.emit({"name": name})
    else:
        click.echo(f"{marks(sys.stdout).good} logged in as {name}")


@click.command()
def logout() -> None:
    """\b
    sandbox logout

    Revokes the Vault token and forgets it. Runs that are under way go on.
    """
    from sandbox.client import Address, Login, Public
    from sandbox.errors import IdentityInvalid, SandboxError
    from sandbox.vault import people

    here = current()
    keep = Login.at(here.state, here.environ)
    try:
        people.logout(Public.read(here.state).vault_addr, Address.of(here.state).vault_ca, keep.vault_token())
    except (IdentityInvalid, Unreachable):
        pass
    except SandboxError as fault:
        if fault.exit_code not in (3, 5):
            raise
    keep.forget()


@click.command()
def whoami() -> None:
    """\b
    sandbox whoami

    The person, as Vault knows them, and the roles that the signed register gives them.
    """
    from sandbox.client import Login
    from sandbox.client.identity import claims
    from sandbox.errors import SandboxError

    here = current()
    name = str(claims(Login.at(here.state, here.environ).token()).get("name", ""))
    found: dict[str, object] = {"name": name}
    try:
        with here.gate() as gate:
            found |= gate.get(f"/v1/people/{name}")
    except SandboxError as fault:
        found["note"] = fault.message
    if here.as_json:
        here.emit(found)
        return
    roles = found.get("roles")
    shown = ", ".join(str(role) for role in roles) if isinstance(roles, list) else str(found.get("note", ""))
    click.echo(f"{name}   {shown}")


def _password(from_stdin: bool, new: bool = False) -> str:
    """Raises Usage when there is no terminal to ask at, or nothing was given."""
    if from_stdin:
        password = sys.stdin.readline().rstrip("\n")
    elif sys.stdin.isatty():
        words = "New password" if new else "Password"
        password = str(click.prompt(words, hide_input=True, confirmation_prompt=new, err=True))
    else:
        raise Usage(
            "there is no terminal to ask for the password",
            mend="--password-stdin reads it from standard input",
        )
    if not password:
        raise Usage("the password is empty")
    if new and len(password) < NEW_LENGTH_MIN:
        raise Usage(f"a new password has at least {NEW_LENGTH_MIN} characters")
    return password
