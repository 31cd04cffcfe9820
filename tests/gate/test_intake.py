"""Stored before acknowledged: what a restarted gate finds is what was acknowledged, and nothing foreign is kept."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass, field
from typing import Any

import pytest
import sqlalchemy as sa

from sandbox.errors import FrameError
from sandbox.frames import Frame
from sandbox.gate.database.tables import artifacts, events, runs
from sandbox.gate.gate import Gate
from sandbox.gate.runs import chronicle, leases
from sandbox.gate.runs.intake import Intake, restore
from sandbox.gate.runs.leases import LeaseLost
from sandbox.runs import FLAC, SAFETENSORS, RunState
from sandbox.sealing.artifacts import ArtifactHeader, seal_artifact
from tests.gate.world import admit, row

MODEL = "model-4.safetensors"


@dataclass
class Wire:
    """A run in training, and the frames that come from it; ``restart`` is a new gate's intake."""

    gate: Gate
    run: str
    sent: int = 0
    frames: list[Frame] = field(default_factory=list)

    def __post_init__(self) -> None:
        store = self.gate.house.store
        store.transact(lambda c: c.execute(runs.update().values(state=RunState.TRAINING.value)))
        self.restart()

    def restart(self) -> None:
        house = self.gate.house
        lease = house.store.transact(lambda c: leases.take(c, self.run, "here:x", time.time(), alone=True))
        channel = house.store.read(lambda c: restore(c, self.run))
        channel.unlocked = True
        self.intake = Intake(house.places, house.store, lease, channel, house.clock)

    def say(self, kind: str, **body: Any) -> None:
        self.sent += 1
        self.frames.append(Frame(kind, self.sent, body))

    def seal(self, plain: bytes = b"weights", **changes: Any) -> bytes:
        plan = chronicle.granted(row(self.gate, self.run))
        said: dict[str, Any] = {
            "run": plan.run,
            "grant": plan.grant,
            "agreement": plan.agreement,
            "path": MODEL,
        }
        said |= {"step": 4, "media_type": SAFETENSORS, "wrapped_key": "vault:v1:x", "length": len(plain)}
        return seal_artifact(ArtifactHeader(**{**said, **changes}), bytes(32), plain)

    def send(self, sealed: bytes, digest: str = "") -> str:
        """Announced, and in two pieces."""
        digest = digest or hashlib.sha256(sealed).hexdigest()
        self.say("artifact", path=MODEL, step=4, media_type=SAFETENSORS, size=len(sealed), sha256=digest)
        self.say("piece", path=MODEL, offset=0, data=sealed[:100])
        self.say("piece", path=MODEL, offset=100, data=sealed[100:])
        return digest

    def take(self, *numbers: int) -> int:
        return self.intake.take([frame for frame in self.frames if not numbers or frame.n in numbers])

    def told(self, kind: str) -> list[Any]:
        asked = sa.select(events.c.data).where(events.c.run == self.run, events.c.kind == kind)
        return self.gate.house.store.read(lambda c: list(c.execute(asked).scalars()))

    def artifact(self) -> Any:
        return self.gate.house.store.read(lambda c: c.execute(sa.select(artifacts)).first())


@pytest.fixture
def wire(gate):
    return Wire(gate, admit(gate))


def test_what_is_acknowledged_is_stored(wire):
    wire.say("metric", name="loss", step=1, value=0.5)
    wire.say("progress", step=1, total=4, rate=1.0)
    digest = wire.send(wire.seal())
    assert wire.take() == 5
    found = row(wire.gate, wire.run)
    assert (found.stored, found.points) == (5, 1)
    assert wire.told("metric") == [{"name": "loss", "step": 1, "value": 0.5}]
    assert wire.told("artifact")[0]["sha256"] == digest
    assert wire.gate.house.places.artifact(digest).read_bytes() == wire.seal()
    assert (wire.artifact().state, wire.artifact().wrapped_key) == ("stored", "vault:v1:x")


def test_a_restarted_gate_goes_on_where_it_was(wire):
    wire.say("metric", name="loss", step=1, value=0.5)
    wire.send(wire.seal())
    assert wire.take(1, 2, 3) == 3
    wire.restart()
    channel = wire.intake.channel
    assert (channel.stored, channel.points, channel.last_step) == (3, 1, {"loss": 1})
    assert channel.arriving[MODEL].received == 100
    assert wire.take() == 4  # all of it again, from the beginning
    assert wire.artifact().state == "stored" and len(wire.told("metric")) == 1
    wire.say("end")
    wire.say("done")
    wire.take()
    wire.restart()
    assert wire.intake.channel.ended and wire.intake.channel.done


def test_a_failure_is_remembered(wire):
    wire.say("failed", code="recipe.failed")
    wire.take()
    wire.restart()
    assert wire.intake.channel.failure == row(wire.gate, wire.run).failure == "recipe.failed"


def test_bytes_that_moved_before_a_crash_are_found_again(wire, monkeypatch):
    """The gate dies between moving the whole artifact and writing down that it did."""
    digest = wire.send(wire.seal())
    wire.take(1, 2)

    def dies(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(wire.intake, "_keep", dies)
    with pytest.raises(KeyboardInterrupt):
        wire.take(3)
    assert wire.gate.house.places.artifact(digest).exists() and wire.artifact().state == "arriving"
    wire.restart()
    assert wire.take() == 3
    assert wire.artifact().state == "stored"


def test_an_artifact_is_announced_in_the_database_before_its_bytes_are_here(wire, monkeypatch):
    digest = wire.send(wire.seal())
    moves = []
    move = wire.intake._move
    monkeypatch.setattr(wire.intake, "_move", lambda *a: (moves.append(wire.artifact().sha256), move(*a))[1])
    wire.take()
    assert moves == [digest]


FOREIGN = {
    "another run's": {"run": "r-9999"},
    "another grant's": {"grant": "g-9999"},
    "another agreement's": {"agreement": "dsa-9999"},
    "another path's": {"path": "model-2.safetensors"},
    "another step's": {"step": 2},
    "another kind": {"media_type": FLAC},
}


@pytest.mark.parametrize("changes", FOREIGN.values(), ids=FOREIGN)
def test_what_was_sealed_as_something_else_is_refused(wire, changes):
    digest = wire.send(wire.seal(**changes))
    with pytest.raises(FrameError) as fault:
        wire.take()
    assert fault.value.code == "artifact.foreign"
    assert not wire.gate.house.places.artifact(digest).exists()


def test_more_plain_bytes_than_granted_are_refused(wire):
    wire.send(wire.seal(bytes(4097)))
    with pytest.raises(FrameError, match="something else"):
        wire.take()


def test_other_bytes_than_announced_are_refused(wire):
    wire.send(wire.seal(), "f" * 64)
    with pytest.raises(FrameError) as fault:
        wire.take()
    assert fault.value.code == "artifact.digest"
    assert wire.intake.stored == row(wire.gate, wire.run).stored == 2


@pytest.mark.parametrize("spoil", [lambda b: b"{" * len(b), lambda b: b[:-1]], ids=["in clear", "cut"])
def test_what_is_not_sealed_is_refused(wire, spoil):
    wire.send(spoil(wire.seal()))
    with pytest.raises(FrameError) as fault:
        wire.take()
    assert fault.value.code == "artifact.not_sealed"


def test_everything_before_a_refused_frame_is_stored(wire):
    wire.say("metric", name="loss", step=1, value=0.5)
    wire.say("metric", name="secret", step=1, value=0.5)
    with pytest.raises(FrameError):
        wire.take()
    assert (row(wire.gate, wire.run).stored, len(wire.told("metric"))) == (1, 1)


def test_who_lost_the_run_stores_nothing(wire):
    old = wire.intake
    wire.restart()
    with pytest.raises(LeaseLost):
        old.take([Frame("metric", 1, {"name": "loss", "step": 1, "value": 0.5})])
    assert old.stored == row(wire.gate, wire.run).stored == 0
