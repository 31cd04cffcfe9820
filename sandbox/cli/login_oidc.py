"""`sandbox login --oidc`: an address to open, anywhere; then wait until the person was there."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

import click

from sandbox.cli.context import Context
from sandbox.cli.second_factor import login_code
from sandbox.errors import IdentityInvalid

if TYPE_CHECKING:
    from pathlib import Path

    from sandbox.client import Login
    from sandbox.vault.oidc_login import Offer

PATIENCE_S = 300.0


def by_provider(here: Context, keep: Login, browser: bool) -> str:
    """Log in and keep the token; the person's name, as Vault knows them."""
    from sandbox.client import Address, Public
    from sandbox.client.identity import claims
    from sandbox.vault import oidc_login

    addr, ca = Public.read(here.state).vault_addr, Address.of(here.state).vault_ca
    offer = oidc_login.begin(addr, ca)
    if offer.polled:
        _tell(here, offer, browser)
        token = oidc_login.wait(addr, ca, offer, time.sleep, login_code, PATIENCE_S)
    else:
        token = _loopback(here, addr, ca, offer, browser)
    keep.save(token)
    return str(claims(keep.token()).get("name", ""))


def _tell(here: Context, offer: Offer, browser: bool) -> None:
    if browser:
        click.launch(offer.address)
    if here.as_json:
        here.emit({"address": offer.address, "code": offer.user_code})
        return
    click.echo("Open this on any machine, and log in there:")
    click.echo(f"  {offer.address}")
    if offer.user_code:
        click.echo(f"  and type the code  {offer.user_code}")
    sys.stdout.flush()


def _loopback(here: Context, addr: str, ca: Path, offer: Offer, browser: bool) -> str:
    """The browser of this machine comes back to ``localhost:8250`` with a code; anything else is turned away."""
    from http.server import BaseHTTPRequestHandler, HTTPServer
    from urllib.parse import parse_qs, urlsplit

    from sandbox.vault import oidc_login

    came: list[tuple[str, str]] = []
    where = urlsplit(oidc_login.LOOPBACK)
    expected = parse_qs(urlsplit(offer.address).query).get("state", [""])[0]

    class Back(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = urlsplit(self.path)
            said = {name: values[0] for name, values in parse_qs(asked.query).items()}
            fits = asked.path == where.path and said.get("state") == expected and "code" in said
            if fits:
                came.append((said["state"], said["code"]))
            text = b"You may close this window." if fits else b"Nothing here."
            self.send_response(200 if fits else 404)
            self.send_header("Content-Type", "text/plain")
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: object) -> None:
            """Nothing: a request holds the code."""

    with HTTPServer(("127.0.0.1", int(where.port or 0)), Back) as server:
        server.timeout = 1.0
        _tell(here, offer, browser)
        until = time.monotonic() + PATIENCE_S
        while not came and time.monotonic() < until:
            server.handle_request()
    if not came:
        raise IdentityInvalid(
            "nobody came back from the identity provider", code="oidc.timeout", mend="ask again"
        )
    return oidc_login.came_back(addr, ca, offer, *came[0], login_code)
