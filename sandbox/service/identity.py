"""Who is calling: an identity token (JWT, EdDSA) that our Vault signed, for our audience, within its time.

A token says only who. What the person may do is read from the signed people register, never from a claim.
Sources: RFC 7519 (JWT), RFC 8037 (EdDSA), RFC 8725 (JWT, best practices), VAULT.md, "People".
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jwt

from sandbox.errors import IdentityInvalid, Usage
from sandbox.records import check_id
from sandbox.service.identity_keys import IdentityKeys

ALGORITHM = "EdDSA"
TOKEN_BYTES = 4096
"""Ours have about 500; a larger one is refused before it is parsed."""
SKEW_S = 30.0
"""How far ahead of our clock Vault's may be: for ``nbf`` and ``iat``. The end has no leeway."""


@dataclass(frozen=True)
class Caller:
    """A person, as identified; ``expires`` is Unix time."""

    name: str
    expires: float


class IdentityVerifier:
    """Verifies bearer tokens; thread-safe. ``jwks`` fetches Vault's keys (RFC 7517) when one is unknown or old."""

    def __init__(
        self,
        jwks: Callable[[], Mapping[str, Any]],
        issuer: str,
        audience: str,
        clock: Callable[[], float] = time.time,
        keys: IdentityKeys | None = None,
    ) -> None:
        self._issuer, self._audience, self._clock = issuer, audience, clock
        self._keys = keys or IdentityKeys(jwks)

    def verify(self, bearer: str) -> Caller:
        """Whoever Vault says is calling.

        Raises:
            IdentityInvalid: malformed, another issuer or audience, too early, expired, or signed by another key.
            Unreachable: Vault does not answer and the key is not known yet.
        """
        try:
            claims = self._claims(bearer)
            name, expires = check_id("person", claims["name"]), _moment(claims["exp"])
            begins = max(_moment(claims.get(early, 0)) for early in ("nbf", "iat"))
        except (jwt.PyJWTError, KeyError, TypeError, ValueError, Usage):
            raise _foreign() from None
        now = self._clock()
        if now >= expires:
            raise IdentityInvalid(
                "the identity token has expired", code="identity.expired", mend="sandbox login NAME"
            )
        if begins > now + SKEW_S:
            raise IdentityInvalid(
                "the identity token is not valid yet",
                code="identity.early",
                mend="compare the clocks of this machine and of Vault's",
            )
        return Caller(name, expires)

    def _claims(self, bearer: str) -> dict[str, Any]:
        """1. size; 2. header: one algorithm, a key by name, nothing critical; 3. signature, issuer, audience."""
        if len(bearer) > TOKEN_BYTES:
            raise ValueError("too large")  # 1
        header = jwt.get_unverified_header(bearer)
        kid = header["kid"]
        if header["alg"] != ALGORITHM or "crit" in header or not isinstance(kid, str):
            raise ValueError("not a header of ours")  # 2
        claims: dict[str, Any] = jwt.decode(
            bearer,
            self._keys.find(kid),
            algorithms=[ALGORITHM],
            options={
                "require": ["exp", "iss", "aud", "name"],
                # times, issuer and audience are compared by us: exactly, and against our own clock
                "verify_exp": False,
                "verify_iat": False,
                "verify_nbf": False,
                "verify_iss": False,
                "verify_aud": False,
            },
        )
        if claims["iss"] != self._issuer or claims["aud"] != self._audience or not self._audience:
            raise ValueError("for somebody else")  # 3
        return claims


def _moment(value: object) -> float:
    """Unix time. Raises TypeError, ValueError for anything but a finite number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError("not a number")
    if not math.isfinite(value):
        raise ValueError("not a moment")
    return float(value)


def _foreign() -> IdentityInvalid:
    return IdentityInvalid("the identity token is not one of ours", mend="sandbox login NAME")
