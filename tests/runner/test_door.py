"""The keeper's door: nothing is lost when the gate restarts, nothing goes on when it stays away."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox import frames
from sandbox.errors import RunFailed, Unreachable
from sandbox.frames import Decoder, Frame, encode
from sandbox.runner.__main__ import _end_in_order_on_sigterm
from sandbox.runner.door import Door


class ScriptedGate:
    """Accepts one connection at a time and answers as told."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.heard: list[Frame] = []
        self.listen()

    def listen(self) -> None:
        self.path.unlink(missing_ok=True)
        self.server = socket.socket(socket.AF_UNIX)
        self.server.bind(str(self.path))
        self.server.listen()

    def accept(self, stored: int) -> None:
        self.peer, _ = self.server.accept()
        self.decoder = Decoder(frames.KEEPER_TO_GATE)
        self.hello = self.read(1)[0]
        self.say("ack", stored)

    def read(self, count: int) -> list[Frame]:
        got: list[Frame] = []
        while len(got) < count:
            data = self.peer.recv(1 << 16)
            assert data, "the keeper hung up"
            got += self.decoder.feed(data)
        self.heard += got
        return got

    def say(self, kind: str, n: int = 0, **body: object) -> None:
        self.peer.sendall(encode(frames.GATE_TO_KEEPER, Frame(kind, n, body)))

    def vanish(self) -> None:
        self.peer.close()
        self.server.close()


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[ScriptedGate]:
    scripted = ScriptedGate(tmp_path / "events.sock")
    yield scripted
    scripted.vanish()


@pytest.fixture
def door(gate: ScriptedGate) -> Iterator[Door]:
    door = opened(gate)
    yield door
    door.close()


def opened(gate: ScriptedGate) -> Door:
    door = Door(str(gate.path), "r-2345", "0" * 64, patience_s=60.0)
    thread = threading.Thread(target=door.open)
    thread.start()
    gate.accept(stored=0)
    thread.join()
    return door


def test_frames_are_numbered_from_one_and_flush_waits_for_the_last_ack(
    gate: ScriptedGate, door: Door
) -> None:
    door.send("progress", step=1, total=2, rate=1.0)
    door.send("end")
    assert [frame.n for frame in gate.read(2)] == [1, 2]
    with pytest.raises(Unreachable):
        door.flush(0.05)
    gate.say("ack", 2)
    door.flush(60)


def test_what_a_restarted_gate_had_not_stored_is_sent_again_the_same(gate: ScriptedGate, door: Door) -> None:
    for step in (1, 2, 3):
        door.send("progress", step=step, total=3, rate=1.0)
    before = gate.read(3)
    gate.vanish()
    door.send("end")
    gate.listen()
    gate.accept(stored=1)
    assert gate.read(3) == [*before[1:], Frame("end", 4)]
    gate.say("ack", 4)
    door.flush(60)


def test_the_reconnection_says_what_was_seen(gate: ScriptedGate, door: Door) -> None:
    door.send("end")
    gate.read(1)
    gate.say("ack", 1)
    door.flush(60)
    gate.vanish()
    gate.listen()
    gate.accept(stored=1)
    assert gate.hello.body["seen"] == 1


def test_a_gate_that_stays_away_ends_the_run(gate: ScriptedGate) -> None:
    door = opened(gate)
    door._patience_s = 0.3  # from now on: while it opens, a busy machine may keep it waiting
    gate.vanish()
    door.send("end")
    with pytest.raises(Unreachable):
        door.flush(60)
    assert door.lost
    door.close()


def test_go_is_waited_for(gate: ScriptedGate, door: Door) -> None:
    with pytest.raises(Unreachable):
        door.wait_for_go(0.05)
    gate.say("go")
    door.wait_for_go(60)


def test_a_stop_before_go_is_no_permission(gate: ScriptedGate, door: Door) -> None:
    gate.say("stop", reason="killed by operator")
    with pytest.raises(RunFailed):
        door.wait_for_go(60)
    assert door.stop_reason == "killed by operator"


def test_a_machine_that_wants_its_place_back_is_heard_as_a_stop(gate: ScriptedGate, door: Door) -> None:
    """Also by a thread that holds the door's lock: a signal's handler runs wherever the main thread is."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        _end_in_order_on_sigterm(door)
        with door._changed:
            os.kill(os.getpid(), signal.SIGTERM)
            assert door.stop_reason == "pre-empted"
    finally:
        signal.signal(signal.SIGTERM, before)
    door.stop("asked")
    assert door.stop_reason == "pre-empted"
