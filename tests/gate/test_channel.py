"""What may leave a container, frame by frame."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from sandbox.errors import FrameError
from sandbox.frames import PIECE_BYTES, Frame
from sandbox.gate.runs.channel import PROGRESS_MAX, TEXT_LINES_MAX, Channel, sealed_limit
from sandbox.runs import FLAC, JSON, SAFETENSORS, Artifact, Kind
from tests.fakes.grants import grant

MODEL = "model-4.safetensors"
UNLOCKED = {"subjects": 1, "seconds": 0.5}


def channel(kind: Kind = Kind.AGREEMENT, **changes: Any) -> Channel:
    """In training, with three metric points to spend."""
    granted = replace(grant(kind), channels={"metric_points": 3, "text": kind is Kind.DRY})
    return Channel(granted, **{"unlocked": True, "training": True, **changes})


def say(found: Channel, kind: str, **body: Any) -> bool:
    """The next frame."""
    return found.judge(Frame(kind, found.stored + 1, body))


def metric(found: Channel, step: int = 0, value: float = 1.5, name: str = "loss") -> bool:
    return say(found, "metric", name=name, step=step, value=value)


def announce(found: Channel, path: str = MODEL, **changes: Any) -> bool:
    body = {"path": path, "step": 4, "media_type": SAFETENSORS, "size": 10, "sha256": "a" * 64}
    return say(found, "artifact", **{**body, **changes})


def piece(found: Channel, offset: int, data: bytes, path: str = MODEL) -> bool:
    return say(found, "piece", path=path, offset=offset, data=data)


def test_what_is_declared_may_leave():
    found = channel(unlocked=False, training=False)
    assert say(found, "unlocked", **UNLOCKED)
    found.training = True
    assert metric(found) and metric(found, step=2, value=0.0) and metric(found, step=9, value=10)
    assert say(found, "progress", step=1, total=4, rate=2.0)
    assert announce(found) and piece(found, 0, b"12345") and piece(found, 5, b"67890")
    assert announce(found, "seven.flac", media_type=FLAC, size=1) and piece(found, 0, b"1", "seven.flac")
    assert say(found, "end") and say(found, "done")
    assert found.stored == 12 and found.points == 3 and found.arriving[MODEL].whole


REFUSED_METRICS = {
    "undeclared": ({"name": "secret"}, "metric.undeclared"),
    "below its bounds": ({"value": -0.01}, "metric.bounds"),
    "above its bounds": ({"value": 10.01}, "metric.bounds"),
    "finer than declared": ({"value": 1.234}, "metric.bounds"),
    "a second point for its step": ({"step": 4}, "metric.rate"),
    "denser than declared": ({"step": 5}, "metric.rate"),
    "earlier than the one before": ({"step": 2}, "metric.rate"),
}


@pytest.mark.parametrize(("said", "code"), REFUSED_METRICS.values(), ids=REFUSED_METRICS)
def test_a_metric_leaves_as_declared_or_not_at_all(said, code):
    found = channel()
    metric(found, step=4)
    with pytest.raises(FrameError) as fault:
        metric(found, **{"step": 6, **said})
    assert fault.value.code == code
    assert (found.stored, found.points) == (1, 1) or code == "metric.budget"


def test_no_more_numbers_leave_than_were_granted():
    found = channel()
    for step in (0, 2, 4):
        metric(found, step)
    with pytest.raises(FrameError) as fault:
        metric(found, 6)
    assert fault.value.code == "metric.budget"


REFUSED_ARTIFACTS = {
    "undeclared": ({"path": "notes.txt"}, "artifact.undeclared"),
    "of another kind": ({"media_type": JSON}, "artifact.undeclared"),
    "outside its schedule": ({"step": 3}, "artifact.schedule"),
    "empty": ({"size": 0}, "artifact.size"),
    "larger than granted": ({"size": sealed_limit(grant().artifacts[0]) + 1}, "artifact.size"),
}


@pytest.mark.parametrize(("said", "code"), REFUSED_ARTIFACTS.values(), ids=REFUSED_ARTIFACTS)
def test_an_artifact_leaves_as_declared_or_not_at_all(said, code):
    with pytest.raises(FrameError) as fault:
        announce(channel(), **said)
    assert fault.value.code == code


def test_an_artifact_is_announced_once():
    found = channel()
    announce(found)
    with pytest.raises(FrameError) as fault:
        announce(found)
    assert fault.value.code == "artifact.twice"


@pytest.mark.parametrize(
    ("offset", "data", "path"),
    [
        (0, b"x", "seven.flac"),
        (4, b"x", MODEL),
        (6, b"x", MODEL),
        (5, b"", MODEL),
        (5, b"123456", MODEL),
        (5, bytes(PIECE_BYTES + 1), MODEL),
    ],
    ids=["of nothing announced", "again", "with a gap", "empty", "past the end", "too large"],
)
def test_pieces_follow_each_other(offset, data, path):
    found = channel()
    announce(found)
    piece(found, 0, b"12345")
    with pytest.raises(FrameError):
        piece(found, offset, data, path)


def test_a_large_artifact_may_grow_by_its_seal_and_no_more():
    plain = Artifact("x", (), JSON, (1 << 20) + 1)
    assert sealed_limit(plain) == plain.max_bytes + (16 << 10) + 2 * 16


OUT_OF_TURN = {
    "a metric before go": ({"training": False}, "metric", {"name": "loss", "step": 0, "value": 1.0}),
    "an artifact before go": ({"training": False}, "progress", {"step": 1, "total": 1, "rate": 1.0}),
    "a metric after the end": ({"ended": True}, "metric", {"name": "loss", "step": 0, "value": 1.0}),
    "a second end": ({"ended": True}, "end", {}),
    "a metric after failing": (
        {"failure": "recipe.failed"},
        "metric",
        {"name": "loss", "step": 0, "value": 1.0},
    ),
    "unlocked twice": ({}, "unlocked", UNLOCKED),
    "unlocked after failing": ({"unlocked": False, "failure": "x"}, "unlocked", UNLOCKED),
    "not everybody unlocked": ({"unlocked": False}, "unlocked", {"subjects": 0, "seconds": 0.5}),
    "done without an end": ({}, "done", {}),
    "anything after done": ({"ended": True, "done": True}, "failed", {"code": "x"}),
    "a second hello": ({}, "hello", {"run": "r-2345", "grant": "x", "seen": 0}),
    "text under an agreement": ({}, "text", {"line": "hello"}),
}


@pytest.mark.parametrize(("stands", "kind", "body"), OUT_OF_TURN.values(), ids=OUT_OF_TURN)
def test_everything_has_its_turn(stands, kind, body):
    found = channel(**stands)
    with pytest.raises(FrameError):
        say(found, kind, **body)
    assert found.stored == 0


def test_the_end_waits_for_every_byte():
    found = channel()
    announce(found)
    with pytest.raises(FrameError) as fault:
        say(found, "end")
    assert fault.value.code == "artifact.torn"


def test_what_is_sent_again_is_not_counted_twice():
    found = channel()
    frames = [
        Frame("metric", 1, {"name": "loss", "step": 0, "value": 1.0}),
        Frame("artifact", 2, {"path": MODEL, "step": 4, "media_type": SAFETENSORS, "size": 2, "sha256": "a"}),
        Frame("piece", 3, {"path": MODEL, "offset": 0, "data": b"12"}),
    ]
    assert [found.judge(frame) for frame in frames] == [True] * 3
    assert [found.judge(frame) for frame in frames] == [False] * 3
    assert (found.stored, found.points, found.arriving[MODEL].received) == (3, 1, 2)


@pytest.mark.parametrize("n", [2, 5], ids=["the next but one", "far ahead"])
def test_no_frame_is_left_out(n):
    with pytest.raises(FrameError) as fault:
        channel().judge(Frame("end", n, {}))
    assert fault.value.code == "door.order"


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("end", {}),
        ("hello", {"run": "r-9999", "grant": "d", "seen": 0}),
        ("hello", {"run": "r-2345", "grant": "e", "seen": 0}),
        ("hello", {"run": "r-2345", "grant": "d", "seen": 4}),
    ],
    ids=["no hello", "another run", "another grant", "an acknowledgement never given"],
)
def test_a_connection_begins_with_this_runs_hello(kind, body):
    with pytest.raises(FrameError) as fault:
        channel(stored=3).hello(Frame(kind, 0, body), "d")
    assert fault.value.code == "door.hello"
    channel(stored=3).hello(Frame("hello", 0, {"run": "r-2345", "grant": "d", "seen": 3}), "d")


def test_a_dry_run_says_lines_and_leaves_no_artifact():
    found = channel(Kind.DRY)
    assert say(found, "text", line="hello")
    with pytest.raises(FrameError):
        announce(found)
    found.lines = TEXT_LINES_MAX
    with pytest.raises(FrameError):
        say(found, "text", line="one too many")


def test_progress_ends():
    found = channel(progress=PROGRESS_MAX)
    with pytest.raises(FrameError):
        say(found, "progress", step=1, total=1, rate=1.0)


def test_a_failures_code_is_short():
    found = channel()
    say(found, "failed", code="x" * 200)
    assert len(found.failure) == 64
