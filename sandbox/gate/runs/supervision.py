"""One supervisor a run: a thread that launches it, talks to it and settles it, or converges what a dead gate left.

What it does about a run that it finds after a restart is :data:`sandbox.gate.runs.states.AFTER_CRASH`; nothing is ever
started again with the same grant.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import TypeVar

from sqlalchemy.engine import Connection

from sandbox.errors import CredentialError, RunFailed, SandboxError, Unreachable
from sandbox.gate.house import House
from sandbox.gate.incidents import incident
from sandbox.gate.ledger import budget
from sandbox.gate.runs import chronicle, leases
from sandbox.gate.runs.chronicle import Killed
from sandbox.gate.runs.conversation import Conversation
from sandbox.gate.runs.launches import Launch
from sandbox.gate.runs.leases import Lease, LeaseLost
from sandbox.gate.runs.settle import Settling
from sandbox.gate.runs.states import AFTER_CRASH, CONTAINER, Recovery
from sandbox.gate.runs.watch import Closing
from sandbox.runs import ExitClass, RunState, from_utc
from sandbox.service import journal

T = TypeVar("T")
GONE_S = 20.0
CLAIM_S = 1.0
BACKOFF_S = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0)


class Supervision:
    """Every supervisor of this gate. ``alone``: this process holds the lock of its state directory."""

    def __init__(self, house: House, *, alone: bool = True) -> None:
        self._house, self._alone = house, alone
        self._closing = threading.Event()
        self._threads: dict[str, threading.Thread] = {}
        self._lock = threading.Lock()

    def begin(self, run: str) -> None:
        """Supervise a run that was just admitted."""
        self._start(run, resumed=False)

    def converge(self) -> list[str]:
        """Take every run that is not final in hand, as a restarted gate does; their ids."""
        found = list(self._house.store.read(chronicle.live))
        for run in found:
            self._start(run, resumed=True)
        return found

    def close(self, timeout_s: float = 10.0) -> None:
        """Leave every run as it is; the next gate goes on."""
        self._closing.set()
        for thread in list(self._threads.values()):
            thread.join(timeout_s)

    def strike(self, run: str) -> None:
        """A kill stands in the database: the container dies at once, whatever the supervisor is waiting for."""

        def effect() -> None:
            try:
                self._house.launcher.kill(run)
            except (SandboxError, TimeoutError) as fault:
                journal.trouble("kill.effect", fault, run=run)

        threading.Thread(target=effect, name=f"kill-{run}", daemon=True).start()

    def join(self, run: str, timeout_s: float) -> bool:
        """Whether the run's supervisor has ended within ``timeout_s``."""
        thread = self._threads.get(run)
        if thread is not None:
            thread.join(timeout_s)
        return thread is None or not thread.is_alive()

    def _start(self, run: str, *, resumed: bool) -> None:
        with self._lock:
            known = self._threads.get(run)
            if self._closing.is_set() or (known is not None and known.is_alive()):
                return
            work = lambda: Supervisor(self._house, run, self._closing).work(  # noqa: E731
                resumed=resumed, alone=self._alone
            )
            thread = threading.Thread(target=work, name=f"run-{run}", daemon=True)
            self._threads[run] = thread
            thread.start()


class Supervisor:
    """One run, from wherever it stands to SETTLED."""

    def __init__(self, house: House, run: str, closing: threading.Event) -> None:
        self._house, self._run, self._closing = house, run, closing

    def work(self, *, resumed: bool, alone: bool) -> None:
        """Never raises: what goes wrong ends the run, not the gate."""
        try:
            lease = self._claim(alone)
            self._bring_to_end(lease, resumed=resumed)
            self._settle(lease)
        except (Closing, LeaseLost):
            journal.say("run.left", run=self._run)
        except Exception as fault:  # noqa: BLE001 - the thread's last line
            journal.trouble("supervisor.failed", fault, run=self._run)

    def _claim(self, alone: bool) -> Lease:
        patience, outlived = leases.Patience(), None
        while True:
            self._leave_if_closing()
            try:
                return self._house.store.transact(
                    lambda c, o=outlived: leases.take(  # type: ignore[misc]
                        c, self._run, self._house.owner, time.time(), alone=alone, outlived=o
                    )
                )
            except leases.Held as held:
                outlived = held.seen if patience.outlived(held.seen) else None
                self._closing.wait(CLAIM_S)

    def _bring_to_end(self, lease: Lease, *, resumed: bool) -> None:
        """Until the run is ENDED, in order or for a fault."""
        launch = Launch(self._house, lease)
        try:
            self._live(lease, launch, resumed=resumed)
        except (LeaseLost, Closing):
            raise
        except Killed:
            self._end(lease, launch, None)
        except SandboxError as fault:
            journal.trouble("run.failed", fault, run=self._run)
            self._end(lease, launch, fault)
        except Exception as fault:  # noqa: BLE001 - a fault of ours is the run's failure, not the gate's
            journal.trouble("run.broken", fault, run=self._run)
            self._end(lease, launch, SandboxError("the gate failed", code="gate.failed"))

    def _live(self, lease: Lease, launch: Launch, *, resumed: bool) -> None:
        state = self._state()
        recovery = AFTER_CRASH[state]
        if state is RunState.ADMITTED:
            grant = launch.prepare()
            order = launch.mint(grant)
            launch.start()
            # the doors open first, so that the keeper never knocks at none
            Conversation(self._house, lease, self._closing).hold(first=True, ready=lambda: launch.give(order))
            self._end(lease, launch, None)
        elif not resumed or recovery is Recovery.NOTHING or state is RunState.ENDED:
            return
        elif recovery is Recovery.RECONNECT:
            Conversation(self._house, lease, self._closing).hold(first=False)
            self._end(lease, launch, None)
        else:
            if recovery is Recovery.WAIT_OUT:
                self._wait_out()
            raise RunFailed("the gate was restarted before the run had begun", code="gate.restarted")

    def _wait_out(self) -> None:
        """Nobody knows which wraps were made; after this none is alive, nor the token in one, which outlives it."""
        row = self._house.store.read(lambda connection: chronicle.find(connection, self._run))
        settings = self._house.settings()
        life = timedelta(
            seconds=max(settings.wrap_ttl_s, settings.credential_ttl_s if row.dataset else 0) + 1
        )
        until = min(from_utc(row.changed_at) + 2 * life, self._house.clock() + life)
        while self._house.clock() < until:
            self._leave_if_closing()
            time.sleep(0.05)

    def _end(self, lease: Lease, launch: Launch, fault: SandboxError | None) -> None:
        """ENDED: the container is gone and its exit class known; what it did is charged, what it used is released."""
        state = self._state()
        if state is RunState.ENDED:
            return
        if launch.minted.unsure:
            self._wait_out()  # as after a crash: nothing is settled while an unknown credential may live
        exit_class = self._until_done(self._remove) if state in CONTAINER else ExitClass.GONE
        now = self._house.clock()

        def step(connection: Connection) -> None:
            row = chronicle.find(connection, self._run)
            failure = row.failure or (fault.code if fault is not None else None)
            plan = chronicle.granted(row)
            launch.remember(connection)
            chronicle.advance(connection, lease, RunState.ENDED, now, exit=exit_class.value, failure=failure)
            budget.settle(connection, plan, now, trained=RunState(row.state) is RunState.TRAINING)
            if fault is not None and incident.alarming(fault):
                incident.open_for_run(connection, self._run, fault.code, {"message": fault.message}, now)

        self._until_done(lambda: self._house.store.transact(step))  # a full disk is waited for

    def _remove(self) -> ExitClass:
        """Kill what is left of the container; how it ended."""
        self._house.launcher.kill(self._run)
        return self._house.launcher.wait(self._run, GONE_S)

    def _settle(self, lease: Lease) -> None:
        """Until SETTLED; a service that does not answer is waited for."""
        settling = Settling(self._house, lease)
        self._until_done(settling.settle)

    def _until_done(self, effect: Callable[[], T]) -> T:
        attempt = 0
        while True:
            self._leave_if_closing()
            try:
                return effect()
            except (Unreachable, TimeoutError, CredentialError) as fault:
                journal.trouble("run.waits", fault, run=self._run)
                if isinstance(fault, CredentialError) and incident.alarming(fault):
                    self._alarm(fault)
                self._closing.wait(BACKOFF_S[min(attempt, len(BACKOFF_S) - 1)])
                attempt += 1

    def _alarm(self, fault: SandboxError) -> None:
        now, detail = self._house.clock(), {"message": fault.message}
        self._house.store.transact(lambda c: incident.open_for_run(c, self._run, fault.code, detail, now))

    def _state(self) -> RunState:
        return RunState(self._house.store.read(lambda c: chronicle.find(c, self._run)).state)

    def _leave_if_closing(self) -> None:
        if self._closing.is_set():
            raise Closing
