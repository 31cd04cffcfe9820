"""Writing and loading sealed recordings on this machine alone: no installation, keys in memory."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import soundfile

from sandbox.bench import memory
from sandbox.bench.figures import median, spread
from sandbox.bench.rounds import in_turns
from sandbox.bench.rows import Row, at_most
from sandbox.sealing.audio import Audio, decode_flac, encode_flac
from sandbox.sealing.manifest import open_at_head
from sandbox.sealing.reader import SealedDataset, open_version
from sandbox.sealing.records import Record
from sandbox.sealing.storage import Folder
from sandbox.sealing.writer import Sealing, seal

RATE, SECONDS = 24_000, 7.0  # some 200 kB of FLAC
PEOPLE = 10
TEXT = "what somebody says in seven seconds, written down as it was said"
WRITER_GOAL, LOADER_GOAL, OVERHEAD_GOAL = 100.0, 1.05, 1.0


@contextmanager
def emptied(folder: Path) -> Iterator[Path]:
    """A folder of its own, removed in the end."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def measure(work: Path, records: int, rounds: int) -> list[Row]:
    with emptied(work / "seal") as folder:
        made = recordings(records)
        return [*writing(made, folder, rounds), *loading(made, folder, rounds)]


def writing(made: list[Record], folder: Path, rounds: int) -> list[Row]:
    """Processor time of sealing the recordings: encryption, digests, tar, fsync, index, manifest."""
    done, speeds = [], []
    for number in range(rounds):
        hands, started = memory.Custodian().hands, time.process_time()
        done.append(seal(made, memory.DATASET, memory.TERMS, Folder(folder / f"w{number}"), hands))
        speeds.append(done[-1].plain_bytes / (time.process_time() - started) / 1e6)
    speed = median(speeds)
    goal, told = f">= {WRITER_GOAL:g} MB/s", f"{len(made)} records of {size(made)} kB"
    return [
        Row("seal recordings, a core", speed, "MB/s", spread(speeds), None, goal, speed >= WRITER_GOAL),
        at_most("size, sealed", median(list(map(grown, done))), "% more", OVERHEAD_GOAL, told),
    ]


def grown(done: Sealing) -> float:
    return 100 * (done.sealed_bytes / done.plain_bytes - 1)


def size(made: list[Record]) -> int:
    return round(sum(len(record.flac) for record in made) / len(made) / 1000)


def loading(made: list[Record], folder: Path, rounds: int) -> list[Row]:
    """Processor time of reading every recording and its transcript once, decoded in memory; all from the page cache."""
    plain = folder / "plain"
    plain.mkdir()
    for record in made:
        (plain / f"{record.record}.flac").write_bytes(record.flac)
        (plain / f"{record.record}.txt").write_text(record.text)
    custodian = memory.Custodian()
    seal(made, memory.DATASET, memory.TERMS, Folder(folder / "sealed"), custodian.hands)
    ways = {
        "sealed": lambda: sealed_s(folder / "sealed", custodian),
        "plain": lambda: plain_s(plain, made),
        "path": lambda: path_s(plain, made),
    }
    each = {name: 1000 * median(took) / len(made) for name, took in in_turns(ways, rounds, 180.0).items()}
    ratio = each["sealed"] / each["plain"]
    return [
        Row(
            "load a recording",
            each["sealed"],
            "ms",
            f"plain FLAC files, by the same loader: {each['plain']:.2f} ms",
            ratio,
            f"<= {LOADER_GOAL:g}",
            ratio <= LOADER_GOAL,
        ),
        Row(
            "load a recording",
            each["sealed"],
            "ms",
            f"plain FLAC files, opened by libsndfile: {each['path']:.2f} ms",
            each["sealed"] / each["path"],
        ),
    ]


def sealed_s(folder: Path, custodian: memory.Custodian) -> float:
    dataset = opened(folder, custodian)
    started = time.process_time()
    for name in dataset.rows.records():  # read and decoded on one thread, as the keeper's are
        record = dataset.read(name)
        decode_flac(record.flac, record.samples, record.sample_rate)
    return time.process_time() - started


def opened(folder: Path, custodian: memory.Custodian) -> SealedDataset:
    source, trusted = Folder(folder), custodian.hands.trusted
    return open_version(
        source, open_at_head(source, memory.DATASET, custodian.newest(), trusted), custodian.keys
    )


def plain_s(folder: Path, made: list[Record]) -> float:
    started = time.process_time()
    for record in made:
        flac = (folder / f"{record.record}.flac").read_bytes()
        (folder / f"{record.record}.txt").read_text()
        decode_flac(flac, record.samples, record.sample_rate)
    return time.process_time() - started


def path_s(folder: Path, made: list[Record]) -> float:
    """libsndfile reads the file itself: nothing passes through Python but the samples."""
    started = time.process_time()
    for record in made:
        soundfile.read(folder / f"{record.record}.flac", dtype="float32")
        (folder / f"{record.record}.txt").read_text()
    return time.process_time() - started


def recordings(count: int) -> list[Record]:
    """Noise with the slope and the ups and downs of speech, so that FLAC has as much to do."""
    made, samples = [], int(RATE * SECONDS)
    for number in range(count):
        random = np.random.default_rng(number)
        noise = np.convolve(random.standard_normal(samples + 7), np.ones(8) / 8, "valid")
        loud = 0.5 + 0.5 * np.sin(2 * np.pi * 3 * np.arange(samples) / RATE + number)
        audio = Audio((0.2 * noise * loud**2).clip(-1, 1).astype(np.float32), RATE)
        made.append(
            Record(
                f"u{number:06d}", f"spk_{number % PEOPLE:04d}", "en", RATE, samples, TEXT, encode_flac(audio)
            )
        )
    return made
