"""Who is calling: an identity token (JWT, EdDSA) that our Vault signed, for our audience, not yet expired.

A token says only who. What the person may do is read from the signed people register, never from a claim.
Sources: RFC 7519 (JWT), RFC 8037 (EdDSA), VAULT.md, "People".
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jwt

from sandbox.errors import IdentityInvalid, Usage
from sandbox.records import check_id

FETCH_AT_MOST_EVERY_S = 5.0


@dataclass(frozen=True)
class Caller:
    """A person, as identified; ``expires`` is Unix time."""

    name: str
    expires: float


class IdentityVerifier:
    """Verifies bearer tokens; thread-safe. ``jwks`` fetches Vault's public keys (RFC 7517) when a key is unknown."""

    def __init__(
        self,
        jwks: Callable[[], Mapping[str, Any]],
        issuer: str,
        audience: str,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._jwks, self._issuer, self._audience, self._clock = jwks, issuer, audience, clock
        self._lock = threading.Lock()
        self._keys: dict[str, jwt.PyJWK] = {}
        self._fetched = -FETCH_AT_MOST_EVERY_S

    def verify(self, bearer: str) -> Caller:
        """Whoever Vault says is calling.

        Raises:
            IdentityInvalid: malformed, another issuer or audience, expired, or signed by another key.
            Unreachable: Vault does not answer and the key is not known yet.
        """
        try:
            key = self._key(str(jwt.get_unverified_header(bearer)["kid"]))
            claims = jwt.decode(
                bearer,
                key,
                algorithms=["EdDSA"],
                issuer=self._issuer,
                audience=self._audience,
                options={
                    "require": ["exp", "iss", "aud", "name"],
                    "verify_exp": False,  # checked below, against our own clock
                    "verify_iat": False,
                    "verify_nbf": False,
                },
            )
            name, expires = check_id("person", claims["name"]), float(claims["exp"])
        except (jwt.PyJWTError, KeyError, TypeError, ValueError, Usage):
            raise IdentityInvalid(
                "the identity token is not one of ours", mend="sandbox login NAME"
            ) from None
        if self._clock() >= expires:
            raise IdentityInvalid(
                "the identity token has expired", code="identity.expired", mend="sandbox login NAME"
            )
        return Caller(name, expires)

    def _key(self, kid: str) -> jwt.PyJWK:
        """The key of that id; an unknown id asks Vault again, at most every five seconds."""
        with self._lock:
            if kid not in self._keys and time.monotonic() - self._fetched >= FETCH_AT_MOST_EVERY_S:
                found = self._jwks()
                self._fetched = time.monotonic()
                self._keys = {str(key["kid"]): jwt.PyJWK(dict(key)) for key in found["keys"]}
            return self._keys[kid]
