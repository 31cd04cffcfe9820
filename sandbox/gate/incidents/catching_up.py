"""What a kill could not do at once is tried until it is proved: beside everything else, and again after a restart."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed

from sqlalchemy.engine import Connection

from sandbox.gate.house import House
from sandbox.gate.incidents import duties, freeze, kill
from sandbox.gate.incidents.beside import each
from sandbox.gate.incidents.duties import CONTAINER, CREDENTIAL, FREEZE, LOGIN, SHOWN, UNSHOWN, Duty
from sandbox.gate.runs import chronicle
from sandbox.service import journal

LOOK_S = 1.0
#: Seconds that one turn waits for a service; the next turn asks again.
TURN_S = 10.0
BACKOFF_S = (0.0, 1.0, 2.0, 5.0, 10.0)


def keep_trying(house: House, stop: threading.Event) -> None:
    """Until ``stop``: a turn a second, slower while nothing comes of it."""
    barren = 0
    while not stop.wait(LOOK_S + BACKOFF_S[min(barren, len(BACKOFF_S) - 1)]):
        try:
            owed, proved = turn(house)
        except Exception as fault:  # noqa: BLE001 - the next turn tries again
            journal.trouble("duties.untried", fault)
            owed, proved = 1, 0
        barren = barren + 1 if owed and not proved else 0


def turn(house: House, limit_s: float = TURN_S) -> tuple[int, int]:
    """Try everything that is owed once; how much was owed, and how much of it is proved now.

    Credentials wait for no container and marks for no credential: each kind is tried beside the others.
    """
    at = house.clock()

    def look(connection: Connection) -> tuple[int, list[Duty]]:
        duties.owe(connection, duties.appeared(connection))
        settled = duties.proved_elsewhere(connection)
        duties.done(connection, settled, at)
        return len(settled), duties.outstanding(connection)

    if not house.store.read(duties.outstanding):
        return 0, 0
    already, owed = house.store.transact(look)
    effects: Mapping[str, Callable[[Duty], None]] = {
        CONTAINER: lambda duty: house.launcher.kill(duty.what),
        CREDENTIAL: lambda duty: kill.end(house, duty),
        LOGIN: lambda duty: _end_login(house, duty),
        FREEZE: lambda duty: freeze.late(house, duty.incident),
        SHOWN: lambda duty: freeze.show(house, duty.what),
        UNSHOWN: lambda duty: freeze.show(house, duty.what),
    }
    proved = 0
    for duty, fault in _by_kind(owed, effects, limit_s):
        if fault is not None:
            code = kill.reason(fault)
            house.store.transact(lambda c, d=duty, why=code: duties.tried(c, [d], why))  # type: ignore[misc]
            continue
        proved += 1
        house.store.transact(lambda c, d=duty: _proved(c, d, house))  # type: ignore[misc]
        journal.say("duty.done", incident=duty.incident, kind=duty.kind, run=duty.run)
    return already + len(owed), already + proved


def _by_kind(
    owed: Sequence[Duty], effects: Mapping[str, Callable[[Duty], None]], limit_s: float
) -> Iterator[tuple[Duty, Exception | None]]:
    """Each kind with threads of its own: an engine or MLflow that hangs takes none from the credentials."""
    kinds: dict[str, list[Duty]] = defaultdict(list)
    for duty in owed:
        kinds[duty.kind].append(duty)

    def tried(kind: str) -> list[tuple[Duty, Exception | None]]:
        return list(each(kinds[kind], effects[kind], limit_s=limit_s))

    with ThreadPoolExecutor(max(1, len(kinds))) as pool:
        for found in as_completed([pool.submit(tried, kind) for kind in kinds]):
            yield from found.result()


def _end_login(house: House, duty: Duty) -> None:
    """A gate that was cut off before it ended its login, or was given one all the same, ends it now."""
    house.login.hold(duty.incident)
    house.login.end()


def _proved(connection: Connection, duty: Duty, house: House) -> None:
    at = house.clock()
    duties.done(connection, [duty], at)
    if duty.kind == CREDENTIAL:
        chronicle.proved_dead(connection, [duty.what], at)
