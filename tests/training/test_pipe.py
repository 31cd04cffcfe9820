"""The pipe over a real socket pair: order, limits, and both ends writing at once."""

from __future__ import annotations

import socket
import struct
import threading
import types
from collections.abc import Iterator

import pytest

from sandbox.errors import FrameError
from sandbox.frames import EVENT_LIMIT, KEEPER_TO_TRAINER, PIPE_LIMIT, TRAINER_TO_KEEPER, Frame, encode
from sandbox.training import pipe
from sandbox.training.pipe import Pipe

BIG = bytes(3 << 20)  # far more than a socket buffers


@pytest.fixture
def sockets() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    yield ours, theirs
    ours.close()
    theirs.close()


def keepers(sock: socket.socket) -> Pipe:
    return Pipe(sock, hears=TRAINER_TO_KEEPER, says=KEEPER_TO_TRAINER)


def test_messages_arrive_in_order_with_their_numbers(sockets: tuple[socket.socket, socket.socket]) -> None:
    keeper, trainer = keepers(sockets[0]), Pipe(sockets[1])
    for step in range(3):
        trainer.send("progress", step=step, total=3, rate=0.5)
    assert [(f.n, f.body["step"]) for f in (keeper.receive(), *keeper.pending())] == [(1, 0), (2, 1), (3, 2)]


def test_two_that_write_at_once_do_not_wait_for_each_other(
    sockets: tuple[socket.socket, socket.socket],
) -> None:
    keeper, trainer = keepers(sockets[0]), Pipe(sockets[1])
    body = {"path": "model", "media_type": "x", "last": False}
    kept: list[Frame] = []

    def keep() -> None:
        for _ in range(3):
            keeper.send("input", data=BIG, **body)
        kept.extend(keeper.receive() for _ in range(3))  # as the real keeper does, it never stops hearing

    thread = threading.Thread(target=keep, daemon=True)
    thread.start()
    for _ in range(3):
        trainer.send("report", path="r", data=BIG)
    heard = [trainer.receive() for _ in range(3)]
    thread.join(20)
    assert not thread.is_alive()
    assert [len(f.body["data"]) for f in heard] == [len(BIG)] * 3
    assert [len(f.body["data"]) for f in kept] == [len(BIG)] * 3


def test_numbers_of_a_burst_leave_together_and_before_whatever_follows_them(
    sockets: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr(pipe, "time", types.SimpleNamespace(monotonic=lambda: now[0]))
    keeper, trainer = keepers(sockets[0]), Pipe(sockets[1])

    def log(step: int) -> list[int]:
        trainer.send("metric", name="loss", step=step, value=1.0)
        return [frame.n for frame in keeper.pending()]

    assert log(1) == [1], "one that comes alone leaves at once"
    assert log(2) == log(3) == []
    now[0] += pipe.GATHER_S
    assert log(4) == [2, 3, 4]
    assert log(5) == []
    trainer.send("progress", step=5, total=9, rate=0.5)
    assert [(f.n, f.kind) for f in keeper.pending()] == [(5, "metric"), (6, "progress")]
    assert log(6) == [] and trainer.pending() == [] and keeper.pending() == []
    now[0] += pipe.GATHER_S
    assert trainer.pending() == [] and [frame.n for frame in keeper.pending()] == [7]
    assert log(7) == []
    keeper.send("ack")
    assert trainer.receive().kind == "ack" and [frame.n for frame in keeper.pending()] == [8]


def test_nothing_pending_is_answered_at_once(sockets: tuple[socket.socket, socket.socket]) -> None:
    assert Pipe(sockets[1]).pending() == []


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("text", {"line": "x" * EVENT_LIMIT}),
        ("failed", {"code": "x" * EVENT_LIMIT}),
        ("artifact", {"path": "m", "step": 1, "media_type": "x", "metadata": {"note": "x" * EVENT_LIMIT}}),
        ("metric", {"name": "loss", "step": 1, "value": float("nan")}),
        ("metric", {"name": "loss", "step": -1, "value": 1.0}),
        ("metric", {"name": "loss", "step": 1, "value": 1.0, "transcript": "seven"}),
        ("utterance", {}),
        ("transcript", {"text": "seven"}),
    ],
    ids=["long line", "long code", "long note", "no number", "no count", "a field more", "the keeper's word",
         "unknown"],
)  # fmt: skip
def test_what_is_no_message_never_leaves(
    sockets: tuple[socket.socket, socket.socket], kind: str, body: dict[str, object]
) -> None:
    with pytest.raises(FrameError):
        Pipe(sockets[1]).send(kind, **body)
    sockets[0].setblocking(False)
    with pytest.raises(BlockingIOError):
        sockets[0].recv(1)


@pytest.mark.parametrize(
    "data",
    [
        struct.pack(">IB", PIPE_LIMIT + 1, KEEPER_TO_TRAINER.words["utterance"].code),
        struct.pack(">IB", EVENT_LIMIT + 1, KEEPER_TO_TRAINER.words["stop"].code),
        struct.pack(">IB", 0, KEEPER_TO_TRAINER.words["go"].code),
        struct.pack(">IB", 1, 99),
        encode(TRAINER_TO_KEEPER, Frame("text", 1, {"line": "seven"})),
        b"\xff" * 64,
    ],
    ids=["too long an utterance", "too long a stop", "shorter than itself", "unknown", "the trainer's word", "garbage"],
)  # fmt: skip
def test_what_is_too_long_or_unknown_is_refused_before_it_is_read(
    sockets: tuple[socket.socket, socket.socket], data: bytes
) -> None:
    sockets[0].sendall(data)
    with pytest.raises(FrameError):
        Pipe(sockets[1]).receive()


def test_a_message_that_is_torn_off_is_no_message(sockets: tuple[socket.socket, socket.socket]) -> None:
    sockets[0].sendall(encode(KEEPER_TO_TRAINER, Frame("stop", 1, {"reason": "asked"}))[:-1])
    sockets[0].shutdown(socket.SHUT_WR)
    with pytest.raises(FrameError):
        Pipe(sockets[1]).receive()


def test_what_came_before_the_end_is_still_read(sockets: tuple[socket.socket, socket.socket]) -> None:
    keepers(sockets[0]).send("stop", reason="asked")
    sockets[0].close()
    pipe = Pipe(sockets[1])
    assert [f.kind for f in pipe.pending()] == ["stop"]
    with pytest.raises(FrameError):
        pipe.receive()
