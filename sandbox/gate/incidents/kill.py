"""The kill switch: state first, then what runs, then what opens, then what was made (GATE.md; VAULT.md, "Kill").

1. One transaction: the incident stands, so nothing of its scope is admitted; every live run of it is to die; what is
   owed from here on is written down.
2. Doors close, and the first process of every container is killed, all at once and without asking the engine.
3. Credentials are revoked by accessor and proved dead, sixteen beside each other. (In this order: a full audit disk
   stops revocation too.)
4. The scope's models are frozen, and MLflow is told.
5. Of a kill of everything: the gate ends its own login, and with it every token that it ever made.

Each step has a limit, and what hangs or fails is left owed: :mod:`sandbox.gate.incidents.catching_up` tries until it
is proved.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy.engine import Connection

from sandbox.errors import CredentialError, SandboxError
from sandbox.gate.database.tables import incidents
from sandbox.gate.house import House
from sandbox.gate.incidents import duties, freeze, incident, scopes
from sandbox.gate.incidents.beside import each
from sandbox.gate.incidents.duties import CONTAINER, CREDENTIAL, FREEZE, LOGIN, SHOWN, Duty
from sandbox.gate.incidents.scopes import ALL
from sandbox.gate.incidents.stopped import KILL
from sandbox.gate.runs import chronicle
from sandbox.isolation.doors import close_folder
from sandbox.service import journal

#: Seconds that each step is waited for; afterwards it is tried beside everything else.
CONTAINERS_S, CREDENTIALS_S, SHOWN_S, LOGIN_S = 3.0, 8.0, 1.0, 5.0


@dataclass
class Timeline:
    """What was done and when, in milliseconds since the kill was asked for."""

    now: Callable[[], float]
    steps: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._began = self.now()

    def note(self, what: str, **more: Any) -> None:
        self.steps.append({"ms": round((self.now() - self._began) * 1000), "what": what, **more})


def stop(
    house: House, scope: str, by: str, now: Callable[[], float] = time.monotonic, *, kind: str = KILL
) -> dict[str, Any]:
    """Stop everything in ``scope`` (:data:`sandbox.gate.incidents.scopes.WRITTEN`).

    Raises Usage for another scope, Unreachable when the database cannot be written. Whatever else fails stands in the
    timeline and among what is outstanding.
    """
    wanted, line, at = scopes.parse(scope), Timeline(now), house.clock()
    name, found = house.store.transact(lambda c: _stand(c, wanted, scope, kind, by, at))  # 1
    line.note(f"incident {name} stands: nothing of {scope} is admitted", step="state")
    line.note(f"{len(found)} live runs are to die", step="state")
    if scope == ALL:
        house.login.hold(name)
    _containers(house, name, found, line)  # 2
    _credentials(house, name, line)  # 3
    frozen = _models(house, name, scope, found, line)  # 4
    if scope == ALL:
        _login(house, name, line)  # 5

    def keep(connection: Connection) -> list[dict[str, Any]]:
        connection.execute(incidents.update().where(incidents.c.id == name).values(timeline=line.steps))
        return duties.told(connection, name)

    left = house.store.transact(keep)
    told = {"id": name, "scope": scope, "runs": found, "models": frozen}
    return {**told, "timeline": line.steps, "outstanding": left}


def _stand(
    connection: Connection, wanted: scopes.Scope, scope: str, kind: str, by: str, at: datetime
) -> tuple[str, list[str]]:
    name = incident.open_for_scope(connection, kind, scope, by, at)
    found, owed = list[str](), list[Duty]()
    for run in chronicle.live(connection):
        if scopes.reaches(connection, wanted, run):
            chronicle.ask_kill(connection, run, by, f"incident {name}", at)
            found.append(run)
            owed.append(Duty(name, CONTAINER, run, run))
            alive = chronicle.accessors(connection, run, alive_only=True)
            owed += [Duty(name, CREDENTIAL, accessor, run) for accessor in alive]
    owed.append(Duty(name, FREEZE, "models"))
    if scope == ALL:
        owed.append(Duty(name, LOGIN, "gate"))
    duties.owe(connection, owed)
    return name, found


def _containers(house: House, name: str, found: Sequence[str], line: Timeline) -> None:
    for run in found:
        close_folder(house.places.door(run))
    if found:
        line.note(f"{len(found)} pairs of doors closed", step="doors")
    alive = set(found)

    def strike(runs: Sequence[str]) -> None:
        alive.intersection_update(house.launcher.strike(runs))

    for _, fault in each([found] if found else [], strike, limit_s=CONTAINERS_S):
        if fault is not None:
            _failed(house, [Duty(name, CONTAINER, run, run) for run in found], "containers", fault, line)
            return
    dead = [run for run in found if run not in alive]
    for run in dead:
        line.note(f"{run}: container dead", step="container", run=run)
    _proved(house, [Duty(name, CONTAINER, run, run) for run in dead])
    late = [Duty(name, CONTAINER, run, run) for run in sorted(alive)]
    if late:
        _failed(house, late, "containers", TimeoutError(), line)


def _credentials(house: House, name: str, line: Timeline) -> None:
    owed = house.store.read(lambda c: duties.outstanding(c, name, (CREDENTIAL,)))
    dead = []
    for duty, fault in each(owed, lambda duty: end(house, duty), limit_s=CREDENTIALS_S):
        if fault is None:
            dead.append(duty)
            line.note(f"{duty.run}: a credential proved dead", step="credential", run=duty.run)
        else:
            _failed(house, [duty], f"{duty.run}: a credential", fault, line, step="credential")
    _proved(house, dead)


def end(house: House, duty: Duty) -> None:
    """Revoke a credential and look it up; returns once it is proved dead. Raises CredentialError while it is not."""
    house.vault.revoke(duty.what)
    if not house.vault.is_dead(duty.what):  # what is revoked is refused within milliseconds
        time.sleep(0.05)
        if not house.vault.is_dead(duty.what):
            raise CredentialError("a revoked credential is alive", code="credential.alive")


def _models(house: House, name: str, scope: str, found: Sequence[str], line: Timeline) -> list[str]:
    at = house.clock()
    frozen = house.store.transact(lambda c: freeze.freeze(c, name, scope, found, at))
    line.note(f"{len(frozen)} models frozen", step="models")
    shown = []
    for model, fault in each(frozen, lambda model: freeze.show(house, model), limit_s=SHOWN_S, width=4):
        if fault is None:
            shown.append(Duty(name, SHOWN, model))
        else:
            _failed(house, [Duty(name, SHOWN, model)], f"{model}: MLflow told", fault, line, step="models")
    _proved(house, shown)
    return frozen


def _login(house: House, name: str, line: Timeline) -> None:
    duty = Duty(name, LOGIN, "gate")
    for _, fault in each([duty], lambda _: house.login.end(), limit_s=LOGIN_S):
        if fault is None:
            line.note("the gate's own login is dead, and every token under it", step="login")
            _proved(house, [duty])
        else:
            _failed(house, [duty], "the gate's own login", fault, line, step="login")


def _proved(house: House, found: Sequence[Duty]) -> None:
    if not found:
        return
    at = house.clock()

    def keep(connection: Connection) -> None:
        duties.done(connection, found, at)
        chronicle.proved_dead(connection, [duty.what for duty in found if duty.kind == CREDENTIAL], at)

    house.store.transact(keep)


def _failed(
    house: House, owed: Sequence[Duty], what: str, fault: Exception, line: Timeline, step: str = "container"
) -> None:
    code = reason(fault)
    journal.trouble("incident.effect", fault)
    house.store.transact(lambda c: duties.tried(c, owed, code))
    count = f"{len(owed)} " if len(owed) > 1 else ""
    line.note(f"failed, goes on: {count}{what} ({code})", step=step, failed=True)


def reason(fault: Exception) -> str:
    """Why something could not be done: a code."""
    return fault.code if isinstance(fault, SandboxError) else "no answer in time"
