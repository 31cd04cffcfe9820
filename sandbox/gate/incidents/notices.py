"""Draft notices: made by the gate itself from what it knows, the moment that an incident stands (R-3.5).

One for Party A, one for each regulator clock that an affected agreement names, one for the final report. Each is a
text and a JSON file below ``private/notices``, a row, and a log entry with the digest of its text. A draft that was not
sent follows the facts; one that was marked as sent stands. A deadline that comes near without that is an alert.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from sandbox.errors import NotFound, SandboxError
from sandbox.gate.alarms.alerts import raise_alert
from sandbox.gate.database.tables import incidents, notices
from sandbox.gate.files import write_whole
from sandbox.gate.house import House
from sandbox.gate.incidents import incident
from sandbox.gate.incidents.affected import Affected, affected, done
from sandbox.gate.incidents.stopped import DRILL
from sandbox.gate.ledger import log
from sandbox.policy import notice
from sandbox.policy.agreement import Agreement
from sandbox.policy.notice import Addressee
from sandbox.runs import from_utc, utc
from sandbox.service import journal
from sandbox.statements import canonical_json, sha256

BY_GATE = "gate"
LOOK_S, AGAIN = 1.0, 15
#: Of a clock's whole time this much is left when the first alert comes; ten minutes at least, a day at most.
NEAR, NEAR_LEAST, NEAR_MOST = 0.25, timedelta(minutes=10), timedelta(days=1)


def draft_missing(house: House) -> list[str]:
    """Draft for every incident that has no notice yet; the incidents. A fault of one holds no other up."""
    drafted = sa.select(notices.c.incident).distinct()
    real = sa.and_(incidents.c.id.not_in(drafted), incidents.c.kind != DRILL)
    asked = sa.select(incidents.c.id).where(real).order_by(incidents.c.at)
    waiting = house.store.read(lambda c: list(c.execute(asked).scalars()))
    return [name for name in waiting if _drafted(house, name)]


def follow(house: House) -> None:
    """Draft anew what was not sent and whose facts have changed."""
    asked = sa.select(notices.c.incident).where(notices.c.sent_at.is_(None)).distinct()
    for name in house.store.read(lambda c: list(c.execute(asked).scalars())):
        _drafted(house, name)


def draft(house: House, name: str) -> int:
    """Write the drafts of one incident as it stands now; how many are new or changed. Nothing is asked of Vault."""
    row = house.store.read(lambda c: incident.find(c, name))
    hit = house.store.read(lambda c: affected(c, house.registers.last(), row))
    steps, at = house.store.read(lambda c: done(c, row)), from_utc(row.at)
    made = 0
    for agreement in (_agreement(house, named) for named in hit.agreements):
        for addressee in notice.addressees(agreement.terms.incidents, at):
            facts = _facts(row, hit, steps, agreement, addressee, at)
            made += _keep(house, facts)
    return made


def found(connection: Connection, name: str) -> list[dict[str, Any]]:
    """The notices of an incident, the first due first. Raises NotFound where there is none (yet)."""
    incident.find(connection, name)
    asked = (
        sa.select(notices).where(notices.c.incident == name).order_by(notices.c.due_at, notices.c.addressee)
    )
    rows = [dict(row) for row in connection.execute(asked).mappings()]
    if not rows:
        raise NotFound(f"incident {name} has no notice: no agreement is affected", code="notice.none")
    return [{**row, "text": notice.text(row["facts"])} for row in rows]


def mark_sent(
    connection: Connection, name: str, addressee: str, sent: datetime, by: str, now: datetime
) -> list[dict[str, Any]]:
    """A person says that it was sent; from here on it stands as it is. Raises NotFound."""
    unsent = [
        one for one in found(connection, name) if one["addressee"] == addressee and one["sent_at"] is None
    ]
    if not unsent:
        raise NotFound(f"no unsent notice of {name} to {addressee[:60]}", code="notice.unknown")
    for one in unsent:
        connection.execute(notices.update().where(_key(one)).values(sent_at=utc(sent), sent_by=by))
        told = {
            "incident": name,
            "agreement": one["agreement"],
            "addressee": addressee,
            "digest": one["digest"],
        }
        log.append(connection, "notice-sent", now, by, **told, sent_at=utc(sent))
    return [one for one in found(connection, name) if one["addressee"] == addressee]


def remind(connection: Connection, now: datetime) -> list[str]:
    """Alerts for each unsent notice whose clock comes near, and again when it is over."""
    raised = []
    for row in connection.execute(sa.select(notices).where(notices.c.sent_at.is_(None))).mappings():
        opened, due = from_utc(row["facts"]["opened_at"]), from_utc(row["due_at"])
        near = min(max((due - opened) * NEAR, NEAR_LEAST), NEAR_MOST)
        if now < due - near:
            continue
        late = now >= due
        about = {"incident": row["incident"], "agreement": row["agreement"], "addressee": row["addressee"]}
        raised.append(
            raise_alert(
                connection,
                rule="notice.late" if late else "notice.deadline",
                about=about,
                detail={"due_at": row["due_at"]},
                now=now,
                severity="critical" if late else "high",
                incident=row["incident"],
                once=" ".join(about.values())[:200],
            )
        )
    return raised


def keep_drafting(house: House, stop: threading.Event, every_s: float = LOOK_S) -> None:
    """Until ``stop``."""
    turn = 0
    while not stop.wait(every_s):
        try:
            draft_missing(house)
            if turn % AGAIN == 0:
                follow(house)
                now = house.clock()
                house.store.transact(lambda c, now=now: remind(c, now))  # type: ignore[misc]
            turn += 1
        except Exception as fault:  # noqa: BLE001 - the thread's last line
            journal.trouble("notice.failed", fault)


def _facts(
    row: Any,
    hit: Affected,
    steps: Sequence[dict[str, str]],
    agreement: Agreement,
    to: Addressee,
    at: datetime,
) -> dict[str, Any]:
    terms = agreement.terms
    contact = terms.parties.a.contacts.incidents
    return {
        "incident": row.id,
        "addressee": to.name,
        "trigger": to.trigger,
        "due_at": utc(to.due),
        "class": notice.incident_class(row.kind),
        "kind": row.kind,
        "by": row.by,
        "opened_at": row.at,
        "scope": row.scope,
        "agreement": terms.metadata.id,
        "version": terms.metadata.version,
        "agreement_digest": agreement.digest,
        "datasets": list(hit.datasets),
        "subjects": hit.subjects,
        "runs": list(hit.runs),
        "models": list(hit.models),
        "contact": {"name": contact.name, "email": contact.email, "phone": contact.phone},
        "timeline": list(steps),
        "clocks": notice.clocks(terms.incidents, at),
    }


def _keep(house: House, facts: dict[str, Any]) -> bool:
    """Whether it is new or says something else than before."""
    told = notice.text(facts).encode()
    digest, now = sha256(told), house.clock()
    key = _key(facts)
    before = house.store.read(lambda c: c.execute(sa.select(notices).where(key)).first())
    if before is not None and (before.digest == digest or before.sent_at is not None):
        return False
    stem = f"{facts['incident']}.{facts['agreement']}.{sha256(facts['addressee'].encode())[:12]}"
    for suffix, data in ((".txt", told), (".json", canonical_json(facts))):
        write_whole(house.places.private / "notices" / f"{stem}{suffix}", data)

    def keep(connection: Connection) -> bool:
        values = {"facts": facts, "digest": digest, "made_at": utc(now), "due_at": facts["due_at"]}
        changed = notices.update().where(key, notices.c.sent_at.is_(None)).values(**values)
        if not connection.execute(changed).rowcount:
            if connection.execute(sa.select(notices.c.digest).where(key)).first() is not None:
                return False  # it was sent meanwhile
            named = {name: facts[name] for name in ("incident", "agreement", "addressee")}
            connection.execute(notices.insert().values(**named, **values))
        named = {name: facts[name] for name in ("incident", "agreement", "addressee", "class")}
        log.append(connection, "notice", now, BY_GATE, digest=digest, **named)
        return True

    return house.store.transact(keep)


def _agreement(house: House, name: str) -> Agreement:
    entry = house.registers.last().statuses.get(name)
    known = house.registers.agreement(entry)
    if known is None:
        raise NotFound(f"there is no agreement {name}", code="agreement.unknown")
    return known


def _key(facts: Any) -> Any:
    return sa.and_(
        notices.c.incident == facts["incident"],
        notices.c.agreement == facts["agreement"],
        notices.c.addressee == facts["addressee"],
    )


def _drafted(house: House, name: str) -> int:
    try:
        return draft(house, name)
    except SandboxError as fault:
        journal.trouble("notice.undrafted", fault, incident=name)
        return 0
