"""Vault's public keys for identity tokens: cached, renewed beside the requests, never asked for in a flood.

Nobody waits who shows a key that is known: an old cache is renewed by a thread of its own. Who shows an unknown key
waits for one question to Vault, and only while that question is young; so a Vault that hangs holds up nobody for long.
Source: RFC 7517 (JWK sets), RFC 8037 (Ed25519 keys).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import jwt

from sandbox.errors import VaultUnreachable

FETCH_AT_MOST_EVERY_S = 5.0
RENEW_AFTER_S = 300.0
TRUST_AT_MOST_S = 3600.0
"""Without an answer of Vault for so long, no key counts: it may have been withdrawn."""
WAIT_S = 2.0


class IdentityKeys:
    """Keys by their ids; thread-safe. ``jwks`` fetches Vault's set; ``monotonic`` gives seconds."""

    def __init__(
        self, jwks: Callable[[], Mapping[str, Any]], monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._jwks, self._now = jwks, monotonic
        self._turn = threading.Condition()
        self._keys: dict[str, jwt.PyJWK] = {}
        self._fetched = self._asked = -TRUST_AT_MOST_S
        self._asking = self._silent = False

    def find(self, kid: str) -> jwt.PyJWK:
        """The key of that id.

        Raises:
            KeyError: Vault has none of that id.
            VaultUnreachable: it is not known yet, and Vault does not answer.
        """
        with self._turn:
            age = self._now() - self._fetched
            if kid in self._keys and age < TRUST_AT_MOST_S:
                if age >= RENEW_AFTER_S:
                    self._ask()
                return self._keys[kid]
            self._ask()
            until = self._asked + WAIT_S
            while self._asking and (left := until - self._now()) > 0:
                self._turn.wait(left)
            known = kid in self._keys and self._now() - self._fetched < TRUST_AT_MOST_S
            if not known and (self._asking or self._silent):
                raise VaultUnreachable(
                    "Vault does not say which identity keys are its own", mend="sandbox doctor"
                )
            return self._keys[kid]

    def _ask(self) -> None:
        """Begin one question, unless one is under way or was asked just now. Called under the lock."""
        if self._asking or self._now() - self._asked < FETCH_AT_MOST_EVERY_S:
            return
        self._asking, self._asked = True, self._now()
        threading.Thread(target=self._fetch, name="identity keys", daemon=True).start()

    def _fetch(self) -> None:
        found: dict[str, jwt.PyJWK] | None = None
        try:
            found = _keys(self._jwks())
        except Exception:  # noqa: BLE001 - whatever it was, the keys that are known stay, for a while
            found = None
        with self._turn:
            if found is not None:
                self._keys, self._fetched = found, self._now()
            self._asking, self._silent = False, found is None
            self._turn.notify_all()


def _keys(answer: Mapping[str, Any]) -> dict[str, jwt.PyJWK]:
    """Ed25519 keys for signatures, by their ids; any other key in the set is passed over."""
    found = {}
    for key in answer["keys"]:
        if (key.get("kty"), key.get("crv"), key.get("use", "sig")) != ("OKP", "Ed25519", "sig") or "d" in key:
            continue
        try:
            found[str(key["kid"])] = jwt.PyJWK(dict(key), algorithm="EdDSA")
        except (jwt.PyJWTError, KeyError, ValueError):
            continue
    return found
