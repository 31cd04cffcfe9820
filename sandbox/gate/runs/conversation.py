"""The gate's side of the events door, from ORDERED until the container is gone.

1. One peer: the container's first process, checked at every connection. ``hello`` is answered by the last number kept.
2. ``unlocked``: every accessor of the run is looked up dead, the Vault door is closed and unlinked; then UNLOCKED.
3. TRAINING is written, then ``go`` is said: whatever a recipe may have done is charged.
4. Every frame is judged, stored, acknowledged, in this order. ``done`` and the container's end close the conversation.

What is only told (metrics, progress) is stored once a second, and pieces of an artifact by the 8 MiB: a transaction for
each would take the training its core. The keeper keeps what was not acknowledged, so a crash in between loses nothing.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, closing, suppress
from typing import Any

from sandbox import frames
from sandbox.errors import ForeignPeer, RunFailed
from sandbox.frames import Decoder, Frame, encode
from sandbox.gate.house import House
from sandbox.gate.incidents import incident
from sandbox.gate.runs import chronicle
from sandbox.gate.runs.intake import TOLD, Intake, restore
from sandbox.gate.runs.leases import Lease
from sandbox.gate.runs.proving import prove_dead
from sandbox.gate.runs.telling import Telling
from sandbox.gate.runs.unwrapping import Unwrapping
from sandbox.gate.runs.watch import Watch
from sandbox.isolation.doors import EventsDoor, VaultDoor, vault_target
from sandbox.runs import Kind, RunState

POLL_S = 0.5
GATHER_S = 1.0
LULL_S = 0.05  # how long numbers are left to gather
LULL_BYTES = 4096  # where less than this came at once
GATHER_BYTES = 8 << 20  # half of what the keeper sends before it waits
EXIT_POLL_S = 0.05
EXIT_S = 60.0
FIRST_HELLO_S = 90.0
READ_BYTES = 1 << 20
WRITE_DEADLINE_S = 10.0


class Conversation:
    """One run's conversation. ``hold`` returns when the keeper is done and gone, or raises why it will not be."""

    def __init__(self, house: House, lease: Lease, leaving: threading.Event) -> None:
        self._house, self._lease = house, lease
        row = house.store.read(lambda connection: chronicle.find(connection, lease.run))
        self._pid, self._digest, self._state = int(row.pid), str(row.grant_digest), RunState(row.state)
        self._plan = chronicle.granted(row)
        channel = house.store.read(lambda connection: restore(connection, lease.run))
        self._intake = Intake(house.places, house.store, lease, channel, house.clock)
        self._telling = Telling(house, lease.run, str(row.tracking))
        self._watch = Watch(house, lease, leaving, self._plan, self._telling.flush)
        self._unwrapping = Unwrapping(house, lease.run)
        self._vault: VaultDoor | None = None
        self._went = False

    def hold(self, *, first: bool, ready: Callable[[], None] = lambda: None) -> None:
        """Converse until the end. ``first``: no gate before us did, so the keys are still to be fetched.

        ``ready`` is called once the doors are open: the moment to give the order.

        Raises:
            Killed, LeaseLost, Closing: somebody wants it to end, or us to leave.
            FrameError: something came that may not come; the container must die.
            RunFailed: the keeper failed, vanished, or took too long.
        """
        door, channel = self._house.places.door(self._lease.run), self._intake.channel
        with ExitStack() as stack:
            events = stack.enter_context(closing(EventsDoor(door, self._pid)))
            if first and self._plan.kind is Kind.AGREEMENT:
                target = vault_target(self._house.settings().vault_addr)
                self._vault = VaultDoor(door, target, self._pid, lambda: self._foreign("vault"))
                stack.callback(self._vault.close)
            self._watch.begin()
            if first:
                ready()
                self._state = RunState.ORDERED
            patience_s = FIRST_HELLO_S if first else self._house.settings().reconnect_s + 5.0
            if channel.done:
                self._tell_again(events)
            while not channel.done:
                with self._accept(events, patience_s) as peer:
                    self._talk(peer)
                patience_s = self._house.settings().reconnect_s + 5.0
            self._await_exit()
        if channel.failure:
            raise RunFailed("the run failed in its container", code=channel.failure)

    def _accept(self, events: EventsDoor, patience_s: float) -> socket.socket:
        """The keeper's next connection. Raises RunFailed when it is gone or stays away, ForeignPeer for another."""
        deadline = time.monotonic() + patience_s
        while time.monotonic() < deadline:
            self._watch.look()
            self._look_at_wraps()
            try:
                peer = events.accept()
            except ForeignPeer:
                self._foreign("events")
                continue
            if peer is not None:
                return peer
            if self._watch.exit is not None:
                raise RunFailed("the container went without a word", code="keeper.gone")
        raise RunFailed(f"no keeper at the door for {patience_s:.0f} s", code="keeper.lost")

    def _tell_again(self, events: EventsDoor) -> None:
        """All of it was stored by a gate that died before it said so: the keeper waits at the door for that word."""
        with suppress(RunFailed), self._accept(events, EXIT_S) as peer:  # one that has left needs no word
            decoder, heard = Decoder(frames.KEEPER_TO_GATE), list[Frame]()
            while not heard:
                self._watch.look()
                data = _read(peer)
                if data is not None and not data:
                    return
                heard += decoder.feed(data or b"")
            self._intake.channel.hello(heard[0], self._digest)
            self._say(peer, "ack", self._intake.channel.stored)

    def _talk(self, peer: socket.socket) -> None:
        """One connection, until it breaks or the keeper is done."""
        decoder, greeted, self._went = Decoder(frames.KEEPER_TO_GATE), False, False
        channel, waiting, stored_at = self._intake.channel, list[Frame](), 0.0
        try:
            while not channel.done:
                self._watch.look(lambda reason: self._say(peer, "stop", reason=reason))
                self._look_at_wraps()
                data = _read(peer)
                if data is not None and not data:
                    return
                waiting += decoder.feed(data or b"")
                if waiting and not greeted:
                    channel.hello(waiting.pop(0), self._digest)
                    greeted = True
                    self._say(peer, "ack", channel.stored)
                    self._step(peer)
                if _due(waiting, time.monotonic() - stored_at):
                    stored_at = time.monotonic()
                    self._store(peer, waiting)
                    self._step(peer)
                elif waiting and _lull(waiting, data or b""):
                    time.sleep(LULL_S)
        finally:
            if greeted and waiting:
                self._store(peer, waiting)

    def _store(self, peer: socket.socket, waiting: list[Frame]) -> None:
        """Take and acknowledge all that waits, or what comes before a frame that may not come."""
        heard = waiting.copy()
        waiting.clear()
        try:
            self._intake.take(heard)
        finally:
            self._say(peer, "ack", self._intake.stored)

    def _step(self, peer: socket.socket) -> None:
        """Whatever the run's state asks for next."""
        channel = self._intake.channel
        if self._state is RunState.ORDERED and channel.unlocked:
            dead = prove_dead(self._house, self._lease.run)
            if self._vault is not None:
                self._vault.close()
            self._advance(RunState.UNLOCKED, {**self._unlocked(), "credentials_dead": dead})
        if self._state is RunState.UNLOCKED and not channel.failure:
            self._house.before_go()  # what Vault's audit file shows by now kills the run here
            self._advance(RunState.TRAINING)
            channel.training = True
        if self._state is RunState.TRAINING and not self._went:
            self._went = True
            self._say(peer, "go")

    def _look_at_wraps(self) -> None:
        if self._state is RunState.ORDERED and not self._intake.channel.unlocked:
            self._unwrapping.look()

    def _foreign(self, door: str) -> None:
        """Somebody else knocked: nothing of theirs was read, the run goes on, the incident stands."""
        now = self._house.clock()
        self._house.store.transact(
            lambda c: incident.open_for_run(c, self._lease.run, ForeignPeer.code, {"door": door}, now)
        )

    def _await_exit(self) -> None:
        deadline = time.monotonic() + EXIT_S
        while self._watch.exit is None and time.monotonic() < deadline:
            self._watch.look()
            time.sleep(EXIT_POLL_S)
        if self._watch.exit is None:
            raise RunFailed("the container did not end after it was done", code="keeper.stays")

    def _unlocked(self) -> dict[str, Any]:
        row = self._house.store.read(lambda c: chronicle.find(c, self._lease.run))
        return dict(row.unlocked)

    def _advance(self, after: RunState, tell: dict[str, Any] | None = None) -> None:
        now = self._house.clock()
        self._house.store.transact(
            lambda connection: chronicle.advance(connection, self._lease, after, now, tell=tell)
        )
        self._state = after

    def _say(self, peer: socket.socket, kind: str, n: int = 0, **body: Any) -> None:
        """A keeper that does not read is as good as gone: it comes back, and hears again what it missed."""
        with suppress(OSError):
            peer.settimeout(WRITE_DEADLINE_S)
            peer.sendall(encode(frames.GATE_TO_KEEPER, Frame(kind, n, body)))


def _due(waiting: list[Frame], since_s: float) -> bool:
    """Whether to store now: ``GATHER_S`` after the last time, ``GATHER_BYTES`` of pieces or an artifact's last one, or
    anything that is neither piece nor told.
    """
    pieces = [len(frame.body["data"]) for frame in waiting if frame.kind == "piece"]
    if pieces and (sum(pieces) >= GATHER_BYTES or pieces[-1] < frames.PIECE_BYTES):
        return True
    other = any(frame.kind != "piece" and frame.kind not in TOLD for frame in waiting)
    return bool(waiting) and (since_s >= GATHER_S or other)


def _lull(waiting: list[Frame], data: bytes) -> bool:
    """Whether a few numbers are all that comes: they may gather, for each look at them takes a core that trains."""
    return len(data) < LULL_BYTES and all(frame.kind in TOLD for frame in waiting)


def _read(peer: socket.socket) -> bytes | None:
    """Bytes; empty at the end of the stream; None when nothing came for a moment."""
    peer.settimeout(POLL_S)
    try:
        return peer.recv(READ_BYTES)
    except TimeoutError:
        return None
    except OSError:
        return b""
