"""A large index: a million generated rows of ten thousand people, opened with every check in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from sandbox.bench import memory
from sandbox.bench.figures import median, spread
from sandbox.bench.rows import Row, at_most
from sandbox.errors import EngineError
from sandbox.records import INDEX_KEY, Shard
from sandbox.sealing.manifest import open_at_head
from sandbox.sealing.previous import Previous
from sandbox.sealing.reader import decrypt_index, read_pinned, read_rows
from sandbox.sealing.records import cipher
from sandbox.sealing.rows import Rows, smallest
from sandbox.sealing.storage import Folder
from sandbox.sealing.version import Content, Hands, VersionWriter
from sandbox.statements import PublicKey

ROWS, PEOPLE = 1_000_000, 10_000
SECONDS_GOAL, MB_GOAL = 1.0, 100.0
_LETTERS = np.frombuffer(b"23456789abcdefghjkmnpqrstuvwxyz", np.uint8)
_PER_SHARD = 1280


def measure(work: Path, rounds: int, rows: int = ROWS) -> list[Row]:
    from sandbox.bench.sealed import emptied

    with emptied(work / "million") as folder:
        custodian = memory.Custodian()
        size = write(folder, custodian.hands, rows, {subject: ["vault:v1:none"] for subject in people()})
        found = [alone(folder, custodian) for _ in range(rounds)]
    seconds, grown = ([one[name] for one in found] for name in ("seconds", "mb"))
    name = f"open an index of {rows:,} rows".replace(",", " ")
    return [
        at_most(name, median(seconds), "s", SECONDS_GOAL, spread(seconds)),
        at_most("its peak memory", median(grown), "MB", MB_GOAL, f"{size / 1e6:.0f} MB on the disk"),
    ]


def people(count: int = PEOPLE) -> list[str]:
    return [f"spk_{number:05d}" for number in range(count)]


def generated(rows: int) -> tuple[Rows, tuple[Shard, ...]]:
    """Records as a sealing would place them, each of somebody; the shards are told of and do not exist."""
    random = np.random.default_rng(1)
    records = np.full((rows, 13), ord("u"), np.uint8)
    records[:, 1:] = _LETTERS[random.integers(0, len(_LETTERS), (rows, 12))]
    length = random.integers(100_000, 300_000, rows)
    shard = np.arange(rows) // _PER_SHARD
    ends = np.cumsum(512 + -(-length // 512) * 512)
    begin = np.concatenate([[0], ends[:-1]])
    first = begin[::_PER_SHARD]
    columns = {
        "subject": np.arange(rows) % PEOPLE,
        "language": np.zeros(rows, int),
        "revision": np.ones(rows, int),
        "shard": shard,
        "offset": begin - first[shard] + 512,
        "length": length,
        "samples": length,
        "sample_rate": np.full(rows, 24_000),
        "characters": random.integers(5, 200, rows),
        "key": np.zeros(rows, int),
    }
    packed = {name: smallest(column) for name, column in columns.items()}
    packed["record"] = records.view("S13").ravel()
    packed["tag"] = np.frombuffer(random.bytes(16 * rows), np.uint8).reshape(rows, 16)
    last = np.concatenate([first[1:], ends[-1:]])
    sizes = (last - first + 1024).tolist()
    shards = tuple(Shard(f"{number:064x}", size) for number, size in enumerate(sizes, 1))
    return Rows(packed, {"subject": tuple(people()), "language": ("en",)}), shards


def write(folder: Path, hands: Hands, rows: int, wraps: dict[str, list[str]]) -> int:
    """A version of ``rows`` rows; the bytes of its index."""
    made, shards = generated(rows)
    before = Previous(hands.head.read().cas)
    content = Content(shards, made, wraps, ())
    VersionWriter(memory.DATASET, Folder(folder), hands, before).enter(content, memory.TERMS)
    return (folder / "index/1.sealed").stat().st_size


def alone(folder: Path, custodian: memory.Custodian) -> dict[str, float]:
    """Seconds and megabytes, as a fresh process has them. Raises EngineError when it fails."""
    keys = {name: key.hex() for name, key in custodian.keys.held.items()}
    told = {"head": custodian.newest().to_json(), "key": custodian.signer.public.text, "keys": keys}
    command = [sys.executable, "-m", "sandbox.bench.million", str(folder)]
    done = subprocess.run(command, input=json.dumps(told), capture_output=True, text=True, check=False)
    if done.returncode:
        raise EngineError(f"the index did not open: {done.stderr.strip().splitlines()[-1:]}")
    return dict(json.loads(done.stdout))


def main() -> None:
    """In that process: the manifest is open already, for it grows with people and not with rows."""
    from sandbox.sealing.head import DatasetHead

    told = json.load(sys.stdin)
    source = Folder(sys.argv[1])
    manifest = open_at_head(
        source, memory.DATASET, DatasetHead.from_json(told["head"]), [PublicKey.from_text(told["key"])]
    ).manifest
    before, started = peak_kb(reset=True), time.perf_counter()
    wraps, sealed = read_pinned(source, manifest)
    key = cipher(bytes.fromhex(told["keys"][wraps[INDEX_KEY][-1]]))
    plain = decrypt_index(sealed, manifest, key)
    del sealed  # as the reader does
    rows = read_rows(plain, manifest, wraps)
    seconds = time.perf_counter() - started
    json.dump({"seconds": seconds, "mb": (peak_kb() - before) / 1000, "rows": len(rows)}, sys.stdout)


def peak_kb(*, reset: bool = False) -> int:
    """The most memory that this process ever had at once, since the last reset (proc(5), clear_refs)."""
    if reset:
        Path("/proc/self/clear_refs").write_text("5")
    found = next(
        line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")
    )
    return int(found.split()[1])


if __name__ == "__main__":
    main()
