"""Frames: what is not in the alphabet does not pass a door."""

import struct

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox import frames
from sandbox.errors import FrameError
from sandbox.frames import EVENT_LIMIT, Decoder, Frame, encode

DOOR = frames.KEEPER_TO_GATE
METRIC = Frame("metric", 3, {"name": "loss", "step": 10, "value": 0.25})


def raw(code: int, payload: object) -> bytes:
    data = msgpack.packb(payload)
    return struct.pack(">IB", len(data) + 1, code) + data


@given(st.integers(1, 40))
def test_frames_survive_any_cut_of_the_stream(size: int) -> None:
    stream = encode(DOOR, METRIC) + encode(DOOR, Frame("done", 4))
    decoder = Decoder(DOOR)
    seen = [f for i in range(0, len(stream), size) for f in decoder.feed(stream[i : i + size])]
    assert seen == [METRIC, Frame("done", 4)]
    assert decoder.idle


def test_a_torn_frame_is_seen() -> None:
    decoder = Decoder(DOOR)
    assert decoder.feed(encode(DOOR, METRIC)[:-1]) == []
    assert not decoder.idle


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(raw(99, [1, {}]), id="unknown kind"),
        pytest.param(raw(9, [1, {"more": 1}]), id="unknown field"),
        pytest.param(raw(3, [1, {"name": "loss", "step": 1}]), id="missing field"),
        pytest.param(raw(3, [1, {"name": "loss", "step": 1, "value": float("inf")}]), id="not finite"),
        pytest.param(raw(3, [1, {"name": "loss", "step": -1, "value": 1.0}]), id="negative count"),
        pytest.param(raw(3, [1, {"name": "loss", "step": True, "value": 1.0}]), id="a boolean is no count"),
        pytest.param(raw(3, [1, {"name": b"loss", "step": 1, "value": 1.0}]), id="bytes are no text"),
        pytest.param(raw(9, [-1, {}]), id="negative number"),
        pytest.param(raw(9, {}), id="not a pair"),
        pytest.param(struct.pack(">IB", 5, 9) + b"\xc1\xc1\xc1\xc1", id="not msgpack"),
        pytest.param(struct.pack(">IB", 0, 9), id="no length"),
    ],
)
def test_what_is_not_in_the_alphabet_is_refused(data: bytes) -> None:
    with pytest.raises(FrameError):
        Decoder(DOOR).feed(data)


def test_a_length_over_the_limit_is_refused_before_its_bytes_arrive() -> None:
    with pytest.raises(FrameError, match="announced"):
        Decoder(DOOR).feed(struct.pack(">IB", EVENT_LIMIT + 1, 3))


def test_a_sender_refuses_what_the_receiver_would() -> None:
    with pytest.raises(FrameError):
        encode(DOOR, Frame("metric", 1, {"name": "x" * EVENT_LIMIT, "step": 1, "value": 1.0}))
    with pytest.raises(FrameError):
        encode(DOOR, Frame("go", 1))


def test_every_alphabet_numbers_its_words_once() -> None:
    for alphabet in (
        frames.KEEPER_TO_GATE,
        frames.GATE_TO_KEEPER,
        frames.KEEPER_TO_TRAINER,
        frames.TRAINER_TO_KEEPER,
    ):
        codes = [word.code for word in alphabet.words.values()]
        assert len(codes) == len(set(codes))
