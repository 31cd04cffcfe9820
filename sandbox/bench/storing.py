"""Reading a sealed dataset from an object store that is 20 ms away, against plain GETs of the same objects.

The store is a process of its own on this machine (:mod:`sandbox.bench.far`), so neither disk nor network is in it.
"""

from __future__ import annotations

import http.client
import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from sandbox.bench import memory
from sandbox.bench.beside import HOST, running
from sandbox.bench.figures import median, spread
from sandbox.bench.rounds import in_turns
from sandbox.bench.rows import Row, at_least
from sandbox.bench.sealed import emptied
from sandbox.deployment.settings import free_port
from sandbox.errors import EngineError
from sandbox.sealing.manifest import open_at_head, shard_name
from sandbox.sealing.reader import SealedDataset, open_version
from sandbox.sealing.records import Record
from sandbox.sealing.storage import Folder, Store
from sandbox.sealing.writer import seal
from sandbox.storage.ahead import ReadAhead
from sandbox.storage.credential import StorageKey
from sandbox.storage.root import BucketRoot
from sandbox.storage.settings import Location

LATENCY_MS = 20
BUCKET, PREFIX = "sealed", "voices"
RECORD_BYTES = 200_000
FEW, AT_ONCE = 60, 32
GOAL = 0.8
KEY = StorageKey("bench", "bench-bench")  # this server asks for none
BUDGET_S = 240.0


@dataclass(frozen=True)
class Distant:
    """A sealed dataset in a store far away."""

    store: Store
    dataset: SealedDataset
    root: BucketRoot

    def links(self) -> list[tuple[str, int]]:
        """A signed address of every shard, for a client that knows no S3, and its size."""
        below = f"{BUCKET}/{self.root.location.prefix}/{memory.DATASET}"
        shards = self.dataset.manifest.shards
        return [(str(self.root.system.url(f"{below}/{shard_name(one.sha256)}")), one.size) for one in shards]


def measure(work: Path, records: int = 2_000, rounds: int = 3) -> list[Row]:
    with distant(work / "store", records) as there:
        found = in_turns(
            {
                "whole": lambda: whole(there),
                "sequence": lambda: in_sequence(there),
                "bare": lambda: bare(there),
                "single": lambda: ranges(there, 1),
                "many": lambda: ranges(there, AT_ONCE),
            },
            rounds,
            BUDGET_S,
        )
    far, middle = f"{LATENCY_MS} ms away", {name: median(figures) for name, figures in found.items()}
    speed, plain = middle["sequence"], middle["bare"]
    return [
        at_least(f"read in sequence, {far}", speed, "MB/s", "whole objects by GET", middle["whole"], GOAL),
        Row(
            "the same",
            speed,
            "MB/s",
            f"a bare HTTP client that checks nothing: {plain:.0f} MB/s",
            speed / plain,
        ),
        Row(f"records one by one, {far}", middle["single"], "MB/s", spread(found["single"])),
        Row(f"records, {AT_ONCE} at once, {far}", middle["many"], "MB/s", spread(found["many"])),
    ]


@contextmanager
def distant(folder: Path, records: int) -> Iterator[Distant]:
    """Seal ``records`` of random bytes into a folder; they are read from afar."""
    custodian, port = memory.Custodian(), free_port()
    with emptied(folder), running("sandbox.bench.far", port, LATENCY_MS, folder, port=port):
        here = Folder(folder / BUCKET / PREFIX / memory.DATASET)
        here.root.parent.mkdir(parents=True)
        seal(recordings(records), memory.DATASET, memory.TERMS, here, custodian.hands)
        root = BucketRoot.connected(Location(BUCKET, PREFIX, "us-east-1", f"http://{HOST}:{port}"), KEY)
        store = root.store(memory.DATASET)
        opened = open_at_head(store, memory.DATASET, custodian.newest(), custodian.hands.trusted)
        yield Distant(store, open_version(store, opened, custodian.keys), root)


def recordings(count: int) -> Iterator[Record]:
    for number in range(count):
        yield Record(
            f"u{number:06d}", f"spk_p{number % 10}", "en", 24_000, 168_000, "text", os.urandom(RECORD_BYTES)
        )


def whole(there: Distant) -> float:
    """MB/s of raw GETs, an object after the other, by the client that the product reads with."""
    started, total = time.monotonic(), 0
    for shard in there.dataset.manifest.shards:
        total += len(there.store.read(shard_name(shard.sha256), 0, shard.size))
    return total / (time.monotonic() - started) / 1e6


def bare(there: Distant) -> float:
    """MB/s of the same GETs by Python's own HTTP client into one buffer."""
    links, buffer = there.links(), memoryview(bytearray(1 << 20))
    total, started = 0, time.monotonic()
    for link, size in links:
        place = urlsplit(link)
        connection = http.client.HTTPConnection(HOST, place.port, timeout=60)
        connection.request("GET", f"{place.path}?{place.query}")
        answer = connection.getresponse()
        came = 0
        while got := answer.readinto(buffer):
            came += got
        connection.close()
        if came != size:
            raise EngineError(f"the S3 server sent {came} bytes of {size}")
        total += came
    return total / (time.monotonic() - started) / 1e6


def in_sequence(there: Distant) -> float:
    """MB/s of every record, read ahead, checked and decrypted."""
    started, total = time.monotonic(), 0
    with ReadAhead(there.store) as ahead:
        for record in there.dataset.over(ahead).stream():
            total += len(record.flac)
    return total / (time.monotonic() - started) / 1e6


def ranges(there: Distant, at_once: int) -> float:
    """MB/s of records in no order that reading ahead could guess: one range each, ``at_once`` under way."""
    names = list(there.dataset.rows.records())
    chosen = names[:: max(1, len(names) // (FEW if at_once == 1 else len(names)))]
    started = time.monotonic()
    with ThreadPoolExecutor(at_once) as pool:
        total = sum(len(record.flac) for record in pool.map(there.dataset.read, chosen))
    return total / (time.monotonic() - started) / 1e6
