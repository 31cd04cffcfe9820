"""`sandbox login NAME`, `logout`. A password or code is asked for or read from stdin: never an argument."""

from __future__ import annotations

import sys

import click

from sandbox.cli.context import Context, current
from sandbox.cli.show import marks
from sandbox.errors import Unreachable, Usage

NEW_LENGTH_MIN = 12


@click.command()
@click.argument("name", required=False)
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input (one line).")
@click.option(
    "--totp-stdin", is_flag=True, help="Read the authenticator app's code from it, too (the next line)."
)
@click.option(
    "--new-password", is_flag=True, help="Also set a new one (with --password-stdin: the last line)."
)
@click.option("--enrol", is_flag=True, help="Also add an authenticator app, which later logins ask for.")
@click.option(
    "--oidc", is_flag=True, help="By the identity provider: in a browser, here or on another machine."
)
@click.option("--browser", is_flag=True, help="With --oidc: open the browser of this machine.")
def login(
    name: str | None,
    password_stdin: bool,
    totp_stdin: bool,
    new_password: bool,
    enrol: bool,
    oidc: bool,
    browser: bool,
) -> None:
    """\b
    sandbox login eng.li
    sandbox login eng.li --enrol
    sandbox login --oidc

    Keeps a short-lived Vault token in your runtime directory, readable by you alone.
    """
    from sandbox.client import Login

    here = current()
    keep = Login.at(here.state, here.environ)
    if oidc:
        from sandbox.cli.login_oidc import by_provider

        if name or password_stdin or new_password:
            raise Usage("--oidc takes neither a name nor a password: the identity provider says who you are")
        known = by_provider(here, keep, browser)
    elif name is None:
        raise click.UsageError("sandbox login NAME, or sandbox login --oidc")
    else:
        known = name
        keep.save(_by_password(here, name, password_stdin, totp_stdin, new_password))
    if enrol:
        from sandbox.cli.second_factor import enrol as add_app

        found = add_app(here, known)
    if here.as_json:
        here.emit({"name": known, **({"second_factor": found["second_factor"]} if enrol else {})})
    else:
        click.echo(f"{marks(sys.stdout).good} logged in as {known}")


def _by_password(here: Context, name: str, from_stdin: bool, code_stdin: bool, new: bool) -> str:
    """A Vault token. Lines of standard input, in this order: password, code, new password."""
    from sandbox.cli.second_factor import fresh_code, login_code
    from sandbox.client import Address, Public
    from sandbox.vault import people

    public, ca = Public.read(here.state), Address.of(here.state).vault_ca
    password = _password(from_stdin)
    code = fresh_code(here, True) if code_stdin else ""
    token = people.login(public.vault_addr, ca, name, password, (lambda: code) if code_stdin else login_code)
    if new:
        chosen = _password(from_stdin, new=True)
        people.change_password(public.vault_addr, ca, token, name, chosen)
    return token


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
