"""A fresh code of the second factor (TOTP, RFC 6238) for acts that cannot be taken back, shown as ``Totp-Code``.

Whether a code fits says Vault, where each is good once. Here: who must show one, and that nobody guesses.
"""

from __future__ import annotations

import re
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Protocol

from sandbox.errors import CredentialError, NotFound, NotPermitted, SandboxError, VaultUnreachable
from sandbox.service import journal

HEADER = "totp-code"
TRIES = 5
WINDOW_S = 300.0
"""Five tries in five minutes: a guesser with a stolen login needs some 160 days for an even chance."""
PATIENCE_S = 1.0
"""How long a kill waits for Vault's word before it goes on without."""
_CODE = re.compile(r"[0-9]{6}")


class Codes(Protocol):
    """What a hand at Vault knows of second factors: ``sandbox.vault.minting.Minting``, ``.custody.Custody``."""

    def has_factor(self, name: str) -> bool: ...

    def code_fits(self, name: str, code: str) -> bool: ...


class FreshCodes:
    """Thread-safe. ``required`` reads the setting: whether somebody without a second factor is refused."""

    def __init__(
        self,
        codes: Codes,
        required: Callable[[], bool],
        monotonic: Callable[[], float] = time.monotonic,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self._codes, self._required, self._now, self._patience_s = codes, required, monotonic, patience_s
        self._lock = threading.Lock()
        self._tries: defaultdict[str, list[float]] = defaultdict(list)

    def prove(self, name: str, code: str, urgent: bool = False) -> None:
        """Return when ``name`` may go on.

        ``urgent``: the act stops what runs. A Vault that does not say whether the code is right holds up no kill; the
        journal says that it was not looked at. A code that Vault calls wrong is refused all the same.

        Raises:
            NotPermitted: ``totp.missing``, ``totp.not_enrolled``, ``totp.wrong``, ``totp.used``, ``totp.locked``.
            Unreachable: Vault does not answer, and the act is not urgent.
        """
        if not urgent:
            self._prove(name, code)
            return
        said: list[SandboxError | None] = []

        def ask() -> None:
            try:
                self._prove(name, code)
                said.append(None)
            except SandboxError as fault:
                said.append(fault)
            except Exception as fault:  # noqa: BLE001 - whatever it was, it is no word of Vault's about the code
                journal.trouble("code.unread", fault, person=name)

        asking = threading.Thread(target=ask, name="code", daemon=True)
        asking.start()
        asking.join(self._patience_s)
        fault = said[0] if said else VaultUnreachable("Vault does not say whether the code is right")
        if isinstance(fault, NotPermitted):
            raise fault
        if fault is not None:
            journal.trouble("code.unverified", fault, person=name)

    def _prove(self, name: str, code: str) -> None:
        if not code:
            self._without(name)
            return
        if not _CODE.fullmatch(code):
            raise _refused(
                "totp.wrong", "a code has six digits", "type it as your authenticator app shows it"
            )
        self._count(name)
        try:
            fits = self._codes.code_fits(name, code)
        except NotFound:
            self._without(name)
            return
        except CredentialError as fault:
            if fault.code != "totp.used":
                raise
            raise _refused("totp.used", "this code was shown before", "wait for the next one") from None
        if not fits:
            raise _refused("totp.wrong", "the code is wrong", "wait for the next one; compare the clocks")
        with self._lock:
            self._tries.pop(name, None)

    def _without(self, name: str) -> None:
        """Somebody without a code, or without anything to check it by."""
        enrolled = self._codes.has_factor(name)
        if enrolled:
            raise _refused(
                "totp.missing",
                "this wants a fresh code of your authenticator app",
                "ask again at a terminal, or with --totp-stdin",
            )
        if self._required():
            raise _refused(
                "totp.not_enrolled",
                f"{name} has no second factor, and this wants one",
                f"sandbox login {name} --enrol",
            )

    def _count(self, name: str) -> None:
        """Take one of a person's tries, before Vault is asked: many at once are counted like one after another."""
        now = self._now()
        with self._lock:
            recent = [at for at in self._tries[name] if now - at < WINDOW_S]
            if len(recent) >= TRIES:
                raise _refused(
                    "totp.locked",
                    f"{TRIES} codes of {name} were refused",
                    "wait five minutes; if it was not you, tell Party A's approver",
                )
            self._tries[name] = [*recent, now]


def _refused(code: str, why: str, mend: str) -> NotPermitted:
    return NotPermitted(why, code=code, mend=mend)
