"""Other ways to keep the same recordings encrypted, read in the same order: Parquet's encryption, and gocryptfs.

Wall time on one thread, from the page cache, without decoding. gocryptfs is measured where it is installed and may
mount; what it and Parquet do not notice (a swapped or an old file) stands in SEALED's list of cases.
"""

from __future__ import annotations

import secrets
import shutil
import subprocess
import time
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow.parquet import encryption as pe

from sandbox.bench import memory
from sandbox.bench.figures import median
from sandbox.bench.rounds import in_turns
from sandbox.bench.rows import Row
from sandbox.bench.sealed import emptied, opened, recordings
from sandbox.sealing.records import Record
from sandbox.sealing.storage import Folder
from sandbox.sealing.writer import seal

GROUP = 16  # recordings of a Parquet row group: the least that can be read alone
MOUNT_S = 20


class _Wraps(pe.KmsClient):  # type: ignore[misc]  # pyarrow has no types
    """Stands for a key service: hands keys back as they came, so that only the format is measured."""

    def wrap_key(self, key_bytes: bytes, master_key_identifier: str) -> bytes:  # noqa: ARG002
        return b64encode(key_bytes)

    def unwrap_key(self, wrapped_key: bytes, master_key_identifier: str) -> bytes:  # noqa: ARG002
        return b64decode(wrapped_key)


def measure(work: Path, records: int, rounds: int) -> list[Row]:
    """A row for each other way: MB/s of reading every recording and transcript once, ours against theirs."""
    with emptied(work / "rivals") as folder, ExitStack() as stack:
        made = recordings(records)
        custodian = memory.Custodian()
        seal(made, memory.DATASET, memory.TERMS, Folder(folder / "sealed"), custodian.hands)
        ways: dict[str, Callable[[], float]] = {
            "sealed": lambda: _timed(lambda: _sealed(folder / "sealed", custodian)),
            "Parquet's encryption": lambda: _timed(_parquet(folder / "made.parquet", made)),
        }
        if (mounted := stack.enter_context(gocryptfs(folder, made))) is not None:
            ways["gocryptfs"] = lambda: _timed(lambda: _files(mounted, made))
        took = {name: median(found) for name, found in in_turns(ways, rounds, 120.0).items()}
    megabytes = sum(len(record.flac) for record in made) / 1e6
    speeds = {name: megabytes / seconds for name, seconds in took.items()}
    ours = speeds.pop("sealed")
    return [
        Row("read a recording, sealed", ours, "MB/s", f"{name}: {theirs:.0f} MB/s", ours / theirs)
        for name, theirs in speeds.items()
    ]


def _timed(read: Callable[[], None]) -> float:
    started = time.perf_counter()
    read()
    return time.perf_counter() - started


def _sealed(folder: Path, custodian: memory.Custodian) -> None:
    dataset = opened(folder, custodian)
    for name in dataset.rows.records():
        dataset.read(name)


def _parquet(path: Path, made: list[Record]) -> Callable[[], None]:
    """Written once, then read group by group; keys for the footer and for each column."""
    factory, connection = pe.CryptoFactory(lambda _: _Wraps()), pe.KmsConnectionConfig()
    if not path.exists():
        config = pe.EncryptionConfiguration(
            footer_key="footer", column_keys={"columns": ["text", "flac"]}, encryption_algorithm="AES_GCM_V1"
        )
        table = pa.table({"text": [r.text for r in made], "flac": [r.flac for r in made]})
        properties = factory.file_encryption_properties(connection, config)
        with pq.ParquetWriter(
            path, table.schema, encryption_properties=properties, compression="none", use_dictionary=False
        ) as writer:
            writer.write_table(table, row_group_size=GROUP)

    def read() -> None:
        properties = factory.file_decryption_properties(connection)
        with pq.ParquetFile(path, decryption_properties=properties) as file:
            for group in range(file.num_row_groups):
                table = file.read_row_group(group, use_threads=False)
                for flac, text in zip(table["flac"], table["text"], strict=True):
                    flac.as_py(), text.as_py()

    return read


def _files(folder: Path, made: list[Record]) -> None:
    for record in made:
        (folder / f"{record.record}.flac").read_bytes()
        (folder / f"{record.record}.txt").read_bytes()


@contextmanager
def gocryptfs(folder: Path, made: list[Record]) -> Iterator[Path | None]:
    """The recordings as files of a mounted gocryptfs; None where it is missing or may not mount."""
    program, unmount = shutil.which("gocryptfs"), shutil.which("fusermount3") or shutil.which("fusermount")
    if program is None or unmount is None:
        yield None
        return
    cipher, plain, word = folder / "cipher", folder / "mounted", folder / "word"
    cipher.mkdir()
    plain.mkdir()
    word.touch(0o600)
    word.write_text(secrets.token_urlsafe())
    quiet = [program, "-q", "-passfile", str(word)]
    ready = _ran([*quiet, "-init", "-scryptn", "10", str(cipher)]) and _ran([*quiet, str(cipher), str(plain)])
    try:
        if ready:
            for record in made:
                (plain / f"{record.record}.flac").write_bytes(record.flac)
                (plain / f"{record.record}.txt").write_text(record.text)
        yield plain if ready else None
    finally:
        if ready:
            _ran([unmount, "-u", str(plain)])


def _ran(command: list[str]) -> bool:
    try:
        return subprocess.run(command, capture_output=True, timeout=MOUNT_S, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False
