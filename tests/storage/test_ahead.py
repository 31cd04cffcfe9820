"""Reading ahead: the same bytes, fewer waits, bounded memory, and no harm to who reads here and there."""

from __future__ import annotations

import random
import threading
import time
from pathlib import Path

import pytest

from sandbox.errors import SealBroken, Unreachable
from sandbox.sealing.reader import SealedDataset
from sandbox.storage.ahead import ReadAhead
from tests.fakes.corpus import ANNA, RECORDS, World, record

BLOCK = 1000
NAME = "shards/x.tar"
DATA = random.Random(1).randbytes(25 * BLOCK + 17)


class Slow:
    """One object; every read takes a while, and is counted."""

    def __init__(self, data: bytes = DATA, delay_s: float = 0.0) -> None:
        self.data, self.delay_s = data, delay_s
        self.reads: list[tuple[int, int]] = []
        self.under_way = self.most = 0
        self.broken: set[int] = set()
        self._lock = threading.Lock()

    def names(self, folder: str) -> list[str]:
        return ["x.tar"]

    def size(self, name: str) -> int:
        return len(self.data)

    def read(self, name: str, offset: int, length: int) -> bytes:
        with self._lock:
            self.reads.append((offset, length))
            self.under_way += 1
            self.most = max(self.most, self.under_way)
        time.sleep(self.delay_s)
        with self._lock:
            self.under_way -= 1
        if offset in self.broken:
            self.broken.remove(offset)
            raise Unreachable("gone")
        return self.data[offset : offset + length]


def in_sequence(ahead: ReadAhead, step: int) -> bytes:
    return b"".join(ahead.read(NAME, at, min(step, len(DATA) - at)) for at in range(0, len(DATA), step))


@pytest.mark.parametrize("step", [1, 7, 999, 1000, 1001, 2500, 26_000])
def test_what_is_read_in_sequence_is_what_lies_there(step: int) -> None:
    source = Slow()
    with ReadAhead(source, block=BLOCK, ahead=3) as ahead:
        assert in_sequence(ahead, step) == DATA
    assert sum(length for _, length in source.reads) == len(DATA), "nothing is read twice"


class Patient(Slow):
    """A block comes only once the fourth beyond it, or the last one, is under way too: five waits are one."""

    def __init__(self) -> None:
        super().__init__()
        self._begun = threading.Condition()

    def read(self, name: str, offset: int, length: int) -> bytes:
        beyond = min(offset + 4 * BLOCK, len(self.data) // BLOCK * BLOCK)
        with self._begun:
            self.reads.append((offset, length))
            self._begun.notify_all()
            if not self._begun.wait_for(lambda: any(at == beyond for at, _ in self.reads), 30):
                raise Unreachable("nobody reads ahead")
        return self.data[offset : offset + length]


def test_a_reader_waits_for_the_first_block_and_hardly_again() -> None:
    source = Patient()
    with ReadAhead(source, block=BLOCK, ahead=4) as ahead:
        assert in_sequence(ahead, 100) == DATA
    assert len(source.reads) == 26


def test_no_more_than_so_many_blocks_are_held() -> None:
    source = Slow()
    with ReadAhead(source, block=BLOCK, ahead=4) as ahead:
        for at in range(0, len(DATA) - 100, 100):
            ahead.read(NAME, at, 100)
            assert len(ahead._blocks) <= 4 + 2
            reached = max(offset for offset, _ in source.reads) if source.reads else 0
            assert reached <= at + (4 + 1) * BLOCK


def test_reading_here_and_there_reads_that_and_nothing_else() -> None:
    big = Slow(random.Random(2).randbytes(40 << 20))
    with ReadAhead(big, block=1 << 20, ahead=4) as ahead:
        places = [30 << 20, 7 << 20, 21 << 20, 14 << 20, 37 << 20]
        for at in places:
            assert ahead.read(NAME, at, 50) == big.data[at : at + 50]
    assert big.reads == [(at, 50) for at in places]


def test_a_block_that_failed_is_asked_for_again() -> None:
    source = Slow()
    source.broken.add(2 * BLOCK)
    with ReadAhead(source, block=BLOCK, ahead=2) as ahead:
        assert ahead.read(NAME, 0, 1500) == DATA[:1500]
        with pytest.raises(Unreachable):
            ahead.read(NAME, 1500, 1000)
        assert ahead.read(NAME, 1500, 1000) == DATA[1500:2500]


def test_beyond_the_end_is_refused() -> None:
    with ReadAhead(Slow(), block=BLOCK) as ahead, pytest.raises(SealBroken) as caught:
        ahead.read(NAME, 0, len(DATA) + 1)
    assert caught.value.code == "seal.object_truncated"


def test_many_threads_read_alike() -> None:
    source, wrong = Slow(delay_s=0.001), []

    def read(ahead: ReadAhead, seed: int) -> None:
        order = random.Random(seed)
        at = 0
        while at < len(DATA) - 2000:
            length = order.randint(1, 1500)
            if ahead.read(NAME, at, length) != DATA[at : at + length]:
                wrong.append(at)
            at += length if order.random() < 0.9 else order.randint(0, 5000)

    with ReadAhead(source, block=BLOCK, ahead=3) as ahead:
        threads = [threading.Thread(target=read, args=(ahead, seed)) for seed in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    assert wrong == []


def test_a_dataset_is_read_in_sequence_by_few_requests(tmp_path: Path) -> None:
    world = World(tmp_path / "digits")
    world.seal()
    dataset: SealedDataset = world.open()
    with ReadAhead(world.folder) as ahead:
        found = list(dataset.over(ahead).stream())
    assert [one.flac for one in found] == [one.flac for one in RECORDS]


def test_a_stream_holds_no_more_than_so_many_bytes(tmp_path: Path) -> None:
    world = World(tmp_path / "digits")
    world.seal([record(f"u{number}", ANNA, b"x" * 10_000) for number in range(20)])
    source = Counting(world)
    stream = world.open().over(source).stream(ahead=16, ahead_bytes=35_000)
    next(stream)
    time.sleep(0.2)
    assert source.records <= 4, "three wait, one is handed out"
    assert len(list(stream)) == 19 and source.records == 20
    tight = world.open().stream(ahead_bytes=1)
    assert len(list(tight)) == 20, "one that is larger than the bound is read alone"


class Counting:
    def __init__(self, world: World) -> None:
        self._folder, self.records = world.folder, 0

    def names(self, folder: str) -> list[str]:
        return self._folder.names(folder)

    def size(self, name: str) -> int:
        return self._folder.size(name)

    def read(self, name: str, offset: int, length: int) -> bytes:
        self.records += name.startswith("shards/")
        return self._folder.read(name, offset, length)
