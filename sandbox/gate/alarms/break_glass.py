"""Break-glass is loud: each opened access raises an alert as soon as its entry is read, once (R-3.2a-4)."""

from __future__ import annotations

from sqlalchemy.engine import Connection

from sandbox.gate.alarms.alerts import raise_alert, raised_before
from sandbox.gate.house import House
from sandbox.policy.registers import Registers
from sandbox.runs import utc

RULE = "access.break_glass"


def announce(house: House, known: Registers) -> list[str]:
    """Alert on every break-glass access that was not told of yet; the accesses newly told of. May run twice.

    One that ended or was revoked before anybody looked is told of all the same.
    """
    opened = [row for row in known.access.values() if row.break_glass]
    if not opened:
        return []
    now = house.clock()

    def tell(connection: Connection) -> list[str]:
        fresh = [row for row in opened if raised_before(connection, RULE, row.id) is None]
        for row in fresh:
            request = known.requests.get(row.request or "")
            raise_alert(
                connection,
                rule=RULE,
                about={"access": row.id, "person": row.person, "dataset": row.dataset},
                detail={
                    "purposes": list(row.purposes),
                    "until": utc(row.until),
                    "request": row.request or "",
                    "asked_by": request.asked_by if request else "",
                    "confirmed_by": row.approved_by,
                },
                severity="critical",
                now=now,
                once=row.id,
            )
        return [row.id for row in fresh]

    return house.store.transact(tell)
