"""What takes the training its cores: transactions for each metric, and looks for what has not changed."""

from __future__ import annotations

import threading
import time

import pytest

from sandbox.frames import PIECE_BYTES, Frame
from sandbox.gate.runs import conversation
from tests.gate.world import World

METRIC = Frame("metric", 1, {})
PIECE = Frame("piece", 2, {"data": bytes(PIECE_BYTES)})
LAST = Frame("piece", 2, {"data": bytes(PIECE_BYTES - 1)})


@pytest.mark.parametrize(
    ("waiting", "since_s", "stored"),
    [
        ([], 60.0, False),
        ([METRIC], 0.2, False),
        ([METRIC, METRIC], 0.99, False),
        ([METRIC], 1.0, True),
        ([METRIC, PIECE], 0.2, False),
        ([PIECE], 1.0, True),
        ([METRIC, *[PIECE] * 7], 0.2, False),
        ([METRIC, *[PIECE] * 8], 0.0, True),
        ([PIECE, LAST], 0.0, True),
        ([PIECE, Frame("artifact", 3, {})], 0.0, True),
        ([Frame("done", 3, {})], 0.0, True),
    ],
    ids=[
        "nothing",
        "told",
        "told twice",
        "a second later",
        "a piece",
        "a piece later",
        "seven MiB",
        "eight",
        "the last piece",
        "a name",
        "the end",
    ],
)
def test_what_is_only_told_is_stored_once_a_second_and_pieces_by_the_8_mib(
    waiting: list[Frame], since_s: float, stored: bool
) -> None:
    assert conversation._due(waiting, since_s) is stored


@pytest.mark.parametrize(
    ("waiting", "size", "lull"),
    [([METRIC, METRIC], 80, True), ([METRIC], 4096, False), ([METRIC, PIECE], 80, False), ([PIECE], 0, False)],
    ids=["a few numbers", "many at once", "a piece among them", "pieces that wait"],
)
def test_only_a_few_numbers_are_left_to_gather(waiting: list[Frame], size: int, lull: bool) -> None:
    assert conversation._lull(waiting, bytes(size)) is lull


def test_a_follower_sees_at_once_what_this_gate_wrote(world: World) -> None:
    store = world.gate().house.store
    seen = store.changes
    writing = threading.Timer(0.2, lambda: store.transact(lambda connection: None))
    began = time.monotonic()
    writing.start()
    store.await_change(seen, 30.0)
    assert 0.15 < time.monotonic() - began < 10.0
    assert store.changes > seen
    began = time.monotonic()
    store.await_change(store.changes, 0.1)
    assert 0.1 <= time.monotonic() - began < 10.0
