"""Vault's audit file as sightings: each line held against what the gate's database knows of its credentials."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from sandbox.audit import Window
from sandbox.audit.vault_join import SLACK, TOKEN, moment
from sandbox.audit.vault_watch import Later, judge
from sandbox.gate.database.tables import credentials, events, runs
from sandbox.gate.runs import chronicle
from sandbox.policy.detection import Sighting
from sandbox.runs import Kind, RunState, from_utc

#: How long a line may wait for the gate to write down what it made, beside a run that is minting now.
GRACE = timedelta(seconds=10)
#: Requests are judged by their answers. Quotes inside a JSON text are escaped, so no text can look like this.
_REQUEST = b'"type":"request"'


@dataclass
class Heard:
    """What a piece of the file shows, and the lines that wait for the next look."""

    sightings: list[Sighting] = field(default_factory=list)
    waiting: list[str] = field(default_factory=list)


def hear(connection: Connection, lines: Iterable[bytes], now: datetime) -> Heard:
    """Judge whole lines, oldest first. A line that is none of Vault's is a sighting, not a fault."""
    heard, ours = Heard(), Ours(connection)
    busy = _minting_since(connection)
    for line in lines:
        if _REQUEST in line:
            continue
        try:
            text = line.decode()
            value = json.loads(text)
            at = moment(str(value["time"]))
            young = now - at < GRACE or (busy is not None and at >= busy - SLACK)
            found = judge(value, ours, young=young)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            heard.sightings.append(
                Sighting("vault.unread_line", now, "vault", "unread", {"file": "vault-audit"})
            )
            continue
        if isinstance(found, Later):
            heard.waiting.append(text)
            continue
        heard.sightings += [
            Sighting(seen.what, seen.at, *ours.counted(seen.what, seen.by, seen.unit, seen.about))
            for seen in found
        ]
    return heard


class Ours:
    """What the database knows of the credentials that the gate ever made."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._windows: dict[str, Window | None] = {}
        self._marks: dict[str, bool] = {}
        self._people: dict[str, str] = {}
        self._dying: Sequence[Window] | None = None

    def window(self, grant: str) -> Window | None:
        if grant not in self._windows:
            row = (
                self._connection.execute(sa.select(runs).where(runs.c.grant == grant)).first()
                if grant
                else None
            )
            self._windows[grant] = None if row is None else _window(self._connection, row)
            if row is not None:
                self._people[str(row.id)] = str(row.person)
        return self._windows[grant]

    def owns(self, mark: str) -> bool:
        if mark not in self._marks or not self._marks[mark]:
            asked = sa.select(credentials.c.run).where(credentials.c.audit_hash == mark)
            self._marks[mark] = bool(mark) and self._connection.execute(asked).first() is not None
        return self._marks[mark]

    def minting(self, at: datetime) -> bool:
        """Of a run that ended before its credentials were all written down, nobody knows which it had."""
        if self._dying is None:
            unhashed = sa.select(credentials.c.run).where(credentials.c.audit_hash == "")
            unminted = sa.select(events.c.run).where(events.c.kind == "state").distinct()
            asked = sa.select(runs).where(
                runs.c.state.in_([RunState.ENDED.value, RunState.SETTLED.value]),
                sa.or_(runs.c.id.in_(unhashed), runs.c.wraps_until.is_(None)),
                runs.c.id.in_(unminted),
            )
            self._dying = [_window(self._connection, row) for row in self._connection.execute(asked).all()]
        return any(window.holds(at) for window in self._dying)

    def counted(self, what: str, by: str, unit: str, about: Any) -> tuple[str, str, dict[str, str]]:
        """Decrypts count for the person whose run it is."""
        person = self._people.get(about.get("run", ""))
        if person is None:
            return by, unit, dict(about)
        return (person if what == "vault.decrypt" else by), unit, {**about, "person": person}


def _window(connection: Connection, row: Row[Any]) -> Window:
    plan = chronicle.granted(row)
    asked = sa.select(events.c.data, events.c.at).where(events.c.run == row.id, events.c.kind == "state")
    began = {str(e.data["state"]): from_utc(e.at).astimezone(UTC) for e in connection.execute(asked)}
    listed = sa.select(credentials.c.kind, credentials.c.audit_hash).where(credentials.c.run == row.id)
    held = [(c.kind, c.audit_hash) for c in connection.execute(listed) if c.audit_hash]
    found = Window(
        run=str(row.id),
        grant=plan.grant,
        subjects=frozenset(f"{plan.dataset}.{subject}" for subject in plan.subjects),
        began=began.get("prepared") or began.get("admitted"),
        ended=began.get("ended") if plan.kind is Kind.DRY else began.get("unlocked") or began.get("ended"),
        ordered=chronicle.ordered(connection, str(row.id)),
        token=next((mark for kind, mark in held if kind == TOKEN), ""),
    )
    return replace(found, wraps=frozenset(mark for kind, mark in held if kind != TOKEN))


def _minting_since(connection: Connection) -> datetime | None:
    """Since when the oldest run that mints now does."""
    asked = sa.select(sa.func.min(runs.c.changed_at)).where(
        runs.c.state.in_([RunState.ADMITTED.value, RunState.PREPARED.value])
    )
    text = connection.execute(asked).scalar()
    return None if text is None else from_utc(str(text)).astimezone(UTC)
