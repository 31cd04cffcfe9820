"""A fresh code of the second factor, for what cannot be taken back; and enrolling one: `sandbox login NAME --enrol`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from sandbox.cli.context import Context
from sandbox.cli.show import marks
from sandbox.errors import Usage

if TYPE_CHECKING:
    from collections.abc import Callable

WORDS = "Code of your authenticator app"

code_option = click.option(
    "--totp-stdin",
    is_flag=True,
    help="Read the code of your authenticator app from standard input (one line).",
)


def fresh_code(here: Context, from_stdin: bool) -> str:
    """Six digits. Empty where nobody can be asked: the service then says whether it wants a code."""
    if from_stdin:
        return _line()
    if sys.stdin.isatty() and not here.as_json:
        return str(click.prompt(f"{WORDS} (empty: none)", default="", show_default=False, err=True)).replace(
            " ", ""
        )
    return ""


def login_code() -> str:
    """The code that Vault asks for at login; empty without a terminal."""
    if not sys.stdin.isatty():
        return ""
    return str(click.prompt(WORDS, err=True)).replace(" ", "")


def enrol(here: Context, name: str) -> dict[str, Any]:
    """Show the secret once, as a picture and as text, and confirm it by a first code.

    ``--json`` emits ``{"address": "otpauth://…"}`` and then reads the code, a line of standard input.
    """
    with here.custodian() as custodian:
        address = str(custodian.post("/v1/second-factor")["address"])
        show: Callable[[str], None] = _emit(here) if here.as_json else _picture
        show(address)
        code = login_code() if sys.stdin.isatty() else _line()
        found = custodian.post("/v1/second-factor/confirm", {"code": code})
    if not here.as_json:
        click.echo(f"{marks(sys.stdout).good} enrolled   {name}: from now on a login asks for a code")
    return found


def _emit(here: Context) -> Callable[[str], None]:
    return lambda address: here.emit({"address": address})


def _picture(address: str) -> None:
    from urllib.parse import parse_qs, urlsplit

    import segno

    if sys.stdout.isatty() and (sys.stdout.encoding or "").lower().startswith("utf"):
        segno.make(address, error="l").terminal(compact=True)
    secret = parse_qs(urlsplit(address).query)["secret"][0]
    grouped = " ".join(secret[at : at + 4] for at in range(0, len(secret), 4))
    click.echo(
        "Scan this with an authenticator app, or type the secret. It is shown once and kept nowhere here."
    )
    click.echo(f"  {grouped}")


def _line() -> str:
    code = sys.stdin.readline().strip()
    if not code:
        raise Usage("there is no code on standard input", code="totp.empty")
    return code
