"""Enrolling a second factor, and taking a lost one away. The person's own hand begins and confirms; another's resets.

1. The person, logged in, asks for a secret: shown once, kept here in memory for ten minutes, nowhere else.
2. A first code of their app confirms it: from then on it counts, at login and for acts that cannot be taken back.
3. Lost: Party A's approver, never the person themself, resets it with a fresh code of their own; then 1 again.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from sandbox.custodian.desk import Desk
from sandbox.custodian.people import APPROVER, require
from sandbox.errors import NotFound, NotPermitted, Usage
from sandbox.records import check_id
from sandbox.service import journal

KEPT_S = 600.0
TRIES = 5


class _Drawn(NamedTuple):
    address: str
    until: float
    tries: int


class Enrolments:
    """Secrets that were shown and not confirmed yet. Thread-safe; a restart forgets them, and they are drawn anew."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._now = monotonic
        self._lock = threading.Lock()
        self._drawn: dict[str, _Drawn] = {}

    def begin(self, desk: Desk, caller: str) -> dict[str, Any]:
        """``{"person", "address"}``: an ``otpauth://`` address for the app, told once.

        Raises:
            NotPermitted: the caller stands in no register, or has left.
            Conflict: ``totp.enrolled``: there is one already.
        """
        _active(desk, caller)
        with self._lock, desk.lock:
            address = desk.vault.draw_factor(caller)
            self._drawn[caller] = _Drawn(address, self._now() + KEPT_S, 0)
        return {"person": caller, "address": address}

    def confirm(self, desk: Desk, caller: str, code: str) -> dict[str, Any]:
        """Raises NotFound when no secret waits for a first code, NotPermitted when the code is wrong."""
        with self._lock, desk.lock:
            drawn = self._drawn.pop(caller, None)
            if drawn is None or self._now() > drawn.until:
                raise NotFound(
                    "no second factor waits for its first code",
                    code="totp.not_begun",
                    mend=f"sandbox login {caller} --enrol",
                )
            if not desk.vault.confirm_factor(caller, drawn.address, code):
                if drawn.tries + 1 < TRIES:
                    self._drawn[caller] = drawn._replace(tries=drawn.tries + 1)
                raise NotPermitted(
                    "the code is wrong", code="totp.wrong", mend="wait for the next one; compare the clocks"
                )
        journal.say("factor.enrolled", person=caller)
        return {"person": caller, "second_factor": "enrolled"}


def show(desk: Desk, caller: str) -> dict[str, Any]:
    """Whether the caller has enrolled."""
    return {"person": caller, "second_factor": "enrolled" if desk.vault.has_factor(caller) else "none"}


def reset(desk: Desk, caller: str, person: str) -> dict[str, Any]:
    """Take a lost second factor away. Nobody's own: whoever holds a stolen login could enrol a factor of theirs.

    Raises:
        NotPermitted: the caller is no approver, or means themself (``totp.own``).
        NotFound: nobody of that name was entered.
    """
    require(desk, caller, APPROVER)
    if check_id("person", person) == caller:
        raise NotPermitted(
            "nobody resets their own second factor", code="totp.own", mend="another approver of Party A does"
        )
    if person not in desk.now("people").people:
        raise NotFound(f"nobody is called {person}", code="person.unknown", mend="sandbox people list")
    with desk.lock:
        desk.vault.drop_factor(person)
    journal.say("factor.reset", person=person, by=caller)
    return {"person": person, "second_factor": "none"}


def code_of(body: dict[str, Any]) -> str:
    """The six digits of ``{"code": …}``. Raises Usage."""
    code = body.get("code")
    if not isinstance(code, str) or len(code) != 6 or not (code.isascii() and code.isdigit()):
        raise Usage("a code has six digits", code="totp.malformed")
    return code


def _active(desk: Desk, caller: str) -> None:
    found = desk.now("people").people.get(caller)
    if found is None or found.status != "active":
        raise NotPermitted(f"{caller} stands in no register of people", mend="sandbox people list")
