"""Detection: what the log and Vault's audit file show, held against ``configs/detection.yaml`` (R-3.2d-3).

How far a source was read, what its rules remember and what they found are written in one transaction, so nothing is
missed and nothing found twice across a crash. What cannot be read is an alert itself, never silence.
"""

from __future__ import annotations

import copy
import json
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from sandbox.errors import Usage
from sandbox.gate.alarms import alarm
from sandbox.gate.alarms.alerts import raise_alert
from sandbox.gate.alarms.audit_tail import read_on
from sandbox.gate.alarms.seen_in_log import sightings
from sandbox.gate.alarms.seen_in_vault import hear
from sandbox.gate.database.tables import watches
from sandbox.gate.house import House
from sandbox.gate.ledger import log
from sandbox.policy.detection import Memory, Rule, Sighting, forget, observe, read_rules
from sandbox.runs import utc
from sandbox.service import journal
from sandbox.statements import sha256

LOG, VAULT = "log", "vault"
ENTRIES = 500
#: Vault's audit file may be away while it is rotated; longer is an alert.
PATIENCE_S = 30.0
Strike = Callable[[str], None]


class Detection:
    """Looks when asked; one look at a time. ``strike`` kills the container of a run that an incident stops."""

    def __init__(self, house: House, strike: Strike) -> None:
        self._house, self._strike = house, strike
        self._lock = threading.Lock()
        self._rules: tuple[Rule, ...] = ()
        self._read = False  # whether there ever were rules: without any, nothing is passed over
        self._unread_since: float | None = None

    def look(self, wait_s: float = 10.0) -> bool:
        """Read what is new in both sources, ``wait_s`` at most; whether everything was read."""
        with self._lock:
            self._read_rules()
            if not self._read:
                return False
            until = time.monotonic() + wait_s
            done = self._all(self._look_log, until)
            return self._all(self._look_vault, until) and done

    def before_go(self) -> bool:
        """As :meth:`look`, before a recipe begins; whether it is known that nothing was missed.

        Where the file cannot be read the run goes on, and the alert of :meth:`look` stands: keys were given away under
        a grant, and whoever audits has the file.
        """
        return self._house.places.vault_audit.exists() and self.look()

    def _all(self, step: Callable[[], bool], until: float) -> bool:
        while step():
            if time.monotonic() > until:
                return False
        return True

    def _read_rules(self) -> None:
        """The last rules that could be read stand while the file has a fault; the fault is an alert."""
        path = self._house.places.app / "configs" / "detection.yaml"
        data = b""
        try:
            data = path.read_bytes()
            self._rules = read_rules(data)
            self._read = True
        except (OSError, Usage) as fault:
            code = fault.code if isinstance(fault, Usage) else "file.missing"
            once = f"{sha256(data)}|{utc(self._house.clock())[:10]}"
            self._say("detection.rules", {"code": code}, once, "high")

    def _look_log(self) -> bool:
        now = self._house.clock()

        def work(connection: Connection) -> tuple[bool, list[str]]:
            position, memory = _standing(connection, LOG)
            after = int(position.get("index", -1))
            found = log.entries(connection, after, ENTRIES)
            if not found:
                return False, []
            seen: list[Sighting] = []
            for number, entry in enumerate(found, after + 1):
                seen += sightings(number, json.loads(entry), self._house.places.registers)
            runs = self._conclude(connection, LOG, {"index": after + len(found)}, memory, seen, now)
            return len(found) == ENTRIES, runs

        # what stands beside the log grows by our own alerts: they are read, and show nothing
        if not self._house.store.read(
            lambda c: log.entries(c, int(_standing(c, LOG)[0].get("index", -1)), 1)
        ):
            return False
        more, runs = self._house.store.transact(work)
        self._stop(runs)
        return more

    def _look_vault(self) -> bool:
        now, house = self._house.clock(), self._house
        position, _ = house.store.read(lambda c: _standing(c, VAULT))
        try:
            taken = read_on(house.places.vault_audit, position)
        except OSError as fault:
            self._unreadable(fault)
            return False
        self._unread_since = None
        waited = list(position.get("waiting", ()))
        if not taken.lines and not waited and not taken.junk and not taken.notes:
            return False

        def work(connection: Connection) -> tuple[bool, list[str]]:
            stands, memory = _standing(connection, VAULT)
            if stands != position:
                return True, []  # another gate read on meanwhile
            heard = hear(connection, [*(line.encode() for line in waited), *taken.lines], now)
            seen = heard.sightings + [
                Sighting("vault.unread_line", now, "vault", "unread", {"file": "vault-audit"})
            ] * min(taken.junk, 1)
            for note in taken.notes:
                once = f"{note}|{position.get('inode')}|{position.get('offset')}"
                about = {"file": "vault-audit"}
                raise_alert(
                    connection, rule=f"audit.{note}", about=about, now=now, severity="critical", once=once
                )
            after = {**taken.position, "waiting": heard.waiting}
            if after == position:
                return False, []
            return taken.more, self._conclude(connection, VAULT, after, memory, seen, now)

        more, runs = house.store.transact(work)
        self._stop(runs)
        return more

    def _conclude(
        self,
        connection: Connection,
        source: str,
        position: Mapping[str, Any],
        memory: Memory,
        seen: Iterable[Sighting],
        now: datetime,
    ) -> list[str]:
        """Write what was found and where one stands; the runs that are to die."""
        doomed: list[str] = []
        for one in seen:
            for finding in observe(self._rules, memory, one):
                doomed += alarm.raised(connection, finding, now)
        forget(self._rules, memory, now)
        values = {"position": dict(position), "memory": memory, "at": utc(now)}
        known = watches.update().where(watches.c.source == source).values(**values)
        if not connection.execute(known).rowcount:
            connection.execute(watches.insert().values(source=source, **values))
        return doomed

    def _unreadable(self, fault: OSError) -> None:
        since = self._unread_since = self._unread_since or time.monotonic()
        if time.monotonic() - since >= PATIENCE_S:
            self.say("audit.unreadable", {"fault": type(fault).__name__})

    def say(self, rule: str, detail: Mapping[str, Any]) -> None:
        """An alert about detection itself, once a day."""
        self._say(rule, detail, utc(self._house.clock())[:10], "critical")

    def _say(self, rule: str, detail: Mapping[str, Any], once: str, severity: str) -> None:
        now = self._house.clock()
        self._house.store.transact(
            lambda c: raise_alert(
                c,
                rule=rule,
                about={"source": "detection"},
                detail=detail,
                now=now,
                severity=severity,
                once=once,
            )
        )

    def _stop(self, runs: Sequence[str]) -> None:
        for run in runs:
            self._strike(run)


def watch(detection: Detection, stop: threading.Event, every_s: float = 1.0) -> None:
    """Until ``stop``. A look that failed, or did not come to the end, is looked again and is an alert, once a day."""
    while not stop.wait(every_s):
        try:
            if not detection.look():
                detection.say("audit.behind", {})
        except Exception as fault:  # noqa: BLE001 - the thread's last line
            journal.trouble("detection.failed", fault)
            with suppress(Exception):
                detection.say("detection.failed", {"fault": type(fault).__name__})


def _standing(connection: Connection, source: str) -> tuple[dict[str, Any], Memory]:
    row = connection.execute(sa.select(watches).where(watches.c.source == source)).first()
    return ({}, {}) if row is None else (dict(row.position), copy.deepcopy(row.memory))
