"""What the gate does beside its requests: renew its login, and look for new entries in the registers."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from datetime import datetime

from sandbox.errors import CredentialError
from sandbox.gate.alarms.break_glass import announce
from sandbox.gate.deciding.bases import Bases
from sandbox.gate.gate import Gate
from sandbox.gate.incidents.held import held
from sandbox.gate.sealed import Sealed
from sandbox.gate.subjects.narrowed import honour_agreements
from sandbox.gate.subjects.rights import honour, next_end
from sandbox.policy.registers import Registers
from sandbox.service import journal

LOOK_S = 1.0
RENEW_MOST_S = 600.0
RETRY_S = 10.0
TIDY_S = 60.0


def upkeep(gate: Gate, renew: Callable[[], int], stop: threading.Event, lost: Callable[[], None]) -> None:
    """Until ``stop``. Calls ``lost`` when the login is dead: the supervisor starts the gate with a fresh one.

    New entries are seen by their file names, which costs Vault nothing; heads are read when there is one, and at every
    admission. What somebody else's request read first is honoured all the same; and a consent that runs out, too.
    """
    due = 0.0
    ends: datetime | None = None
    honoured: Mapping[str, str] = {}
    while True:
        if time.monotonic() >= due:
            try:
                due = time.monotonic() + max(1.0, min(renew() / 3, RENEW_MOST_S))
            except CredentialError as fault:
                if held(gate.house):
                    due = 0.0  # whoever resumes it wants the fresh login at once
                else:
                    journal.trouble("login.lost", fault)
                    lost()
                    return
            except Exception as fault:  # noqa: BLE001 - whatever it was, withdrawals are looked for all the same
                journal.trouble("login.unrenewed", fault)
                due = time.monotonic() + RETRY_S
        try:
            now = gate.house.clock()
            ended = ends is not None and now >= ends
            if gate.house.login.held:
                pass  # nothing runs, and nobody can be asked; whoever resumes has a gate that looks anew
            elif ended or gate.registers.changed() or gate.registers.heads() != honoured:
                known = gate.registers.read()
                _bring_in_line(gate, known)
                honoured, ends = known.heads, next_end(known, now)
        except Exception as fault:  # noqa: BLE001 - a look that failed is looked again
            journal.trouble("registers.unread", fault)
        if stop.wait(LOOK_S):
            return


def _bring_in_line(gate: Gate, known: Registers) -> None:
    """All three, whatever becomes of the others; then the first fault. Last what tells MLflow, which may hang."""
    faults = list[Exception]()
    for duty in (
        lambda: announce(gate.house, known),
        lambda: honour_agreements(gate, known),
        lambda: honour(gate, known),
    ):
        try:
            duty()
        except Exception as fault:  # noqa: BLE001 - raised below
            faults.append(fault)
    if faults:
        raise faults[0]


def keep_tidy(kept: Sealed | Bases, stop: threading.Event, every_s: float = TIDY_S) -> None:
    """Until ``stop``: what was erased from, compacted away or left lying leaves this machine too. Slow stores delay
    nobody else.
    """
    while not stop.wait(every_s):
        try:
            kept.tidy()
        except Exception as fault:  # noqa: BLE001 - the next turn tries again
            journal.trouble("cache.untidy", fault)
