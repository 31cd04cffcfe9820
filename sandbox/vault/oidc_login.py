"""Logging in by an identity provider (OpenID Connect), used by the command line only.

Vault speaks with the provider; this asks Vault for an address, and waits until the person was there. Three ways, as the
role says: ``device`` (a code typed anywhere, RFC 8628), ``direct`` (the browser comes back to Vault), ``client`` (the
browser comes back to this machine, RFC 8252, 7.3). In the first two the browser may be on another machine.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sandbox.errors import CredentialError, IdentityInvalid
from sandbox.vault.answers import part
from sandbox.vault.people import connected, second_step

LOOPBACK = "http://localhost:8250/oidc/callback"
ROLE = "person"
INTERVAL_S = 5.0


@dataclass(frozen=True)
class Offer:
    """Where the person goes. ``user_code`` is typed there (device); without ``polled`` the browser comes back here."""

    address: str
    user_code: str
    polled: bool
    interval_s: float
    state: str = field(repr=False)
    nonce: str = field(repr=False)


def begin(addr: str, ca: Path, role: str = ROLE) -> Offer:
    """Ask Vault for an address. Raises IdentityInvalid when no identity provider is set up."""
    nonce = secrets.token_urlsafe(24)
    for redirect in (LOOPBACK, f"{addr}/v1/auth/oidc/oidc/callback"):  # the role allows one of them
        body = {"role": role, "redirect_uri": redirect, "client_nonce": nonce}
        try:
            with connected(addr, ca) as vault:
                found = part(vault.write("auth/oidc/oidc/auth_url", body), "data")
        except CredentialError:
            break
        if found.get("auth_url"):
            polled = "poll_interval" in found
            return Offer(
                address=str(found["auth_url"]),
                user_code=str(found.get("user_code", "")),
                polled=polled,
                interval_s=float(found.get("poll_interval") or INTERVAL_S),
                state=str(found.get("state", "")),
                nonce=nonce,
            )
    raise IdentityInvalid(
        "nobody logs in by an identity provider here",
        code="oidc.not_configured",
        mend="sandbox login NAME; an administrator sets it up: docs/vault.md",
    )


def wait(
    addr: str,
    ca: Path,
    offer: Offer,
    pause: Callable[[float], None],
    code: Callable[[], str] | None = None,
    patience_s: float = 300.0,
) -> str:
    """A Vault token, once the person was at the provider. ``pause(seconds)`` is called between two questions.

    Raises IdentityInvalid: they did not come, the provider refused, or nobody of ours is known by that subject.
    """
    waited, every = 0.0, max(1.0, offer.interval_s)
    body = {"state": offer.state, "client_nonce": offer.nonce}
    while waited <= patience_s:
        try:
            with connected(addr, ca) as vault:
                answer = vault.write("auth/oidc/oidc/poll", body)
        except CredentialError as fault:
            if fault.code not in ("oidc.pending", "oidc.slow_down"):
                raise _failed() from None
            every += 5.0 if fault.code == "oidc.slow_down" else 0.0  # RFC 8628, 3.5
        else:
            return _known(addr, ca, answer, code)
        pause(every)
        waited += every
    raise IdentityInvalid(
        "nobody came back from the identity provider", code="oidc.timeout", mend="ask again"
    )


def came_back(
    addr: str, ca: Path, offer: Offer, state: str, given: str, code: Callable[[], str] | None = None
) -> str:
    """A Vault token for the ``state`` and the ``given`` code with which the browser came back here. Raises likewise."""
    path = (
        f"auth/oidc/oidc/callback?state={quote(state)}&code={quote(given)}&client_nonce={quote(offer.nonce)}"
    )
    try:
        with connected(addr, ca) as vault:
            answer = vault.read(path)
    except CredentialError:
        raise _failed() from None
    return _known(addr, ca, answer, code)


def _known(addr: str, ca: Path, answer: dict[str, Any], code: Callable[[], str] | None) -> str:
    """The token, if it belongs to a person who was entered. Vault gives an unknown subject a token of no policy."""
    token = second_step(addr, ca, answer, code)
    with connected(addr, ca, token) as vault:
        try:
            vault.read("auth/token/lookup-self")
        except CredentialError:
            raise IdentityInvalid(
                "the identity provider knows you, and this installation does not",
                code="oidc.unknown_subject",
                mend="Party A's approver enters you: sandbox people add … --oidc-subject",
            ) from None
    return token


def _failed() -> IdentityInvalid:
    return IdentityInvalid(
        "the identity provider's login failed", code="oidc.failed", mend="sandbox login --oidc"
    )
