"""Decryption of records against ``openssl speed`` on the same core."""

from __future__ import annotations

import re
import subprocess
import time

from sandbox.bench.rows import Row
from sandbox.errors import EngineError
from sandbox.records import IndexRow
from sandbox.sealing.records import Record, cipher, draw_key, open_record, seal_record

RECORD_BYTES = 200_000
SECONDS = 2.0


def measure() -> Row:
    """MB/s of opening one 200 kB record again and again, checks included."""
    key = cipher(draw_key())
    record = Record("r1", "spk_a1", "en", 16_000, 16_000, "text", bytes(RECORD_BYTES))
    sealed = seal_record(record, "bench", 1, key)
    row = IndexRow("r1", "spk_a1", 1, 0, 0, len(sealed), sealed[-16:], 16_000, 16_000, 4, "en", 0)
    done, started = 0, time.process_time()
    while time.process_time() - started < SECONDS:
        open_record(sealed, row, "bench", key)
        done += len(sealed)
    ours = done / (time.process_time() - started) / 1e6
    theirs = openssl_speed()
    return Row("decrypt a record", ours, "MB/s", f"openssl speed: {theirs:.0f} MB/s", ours / theirs)


def openssl_speed() -> float:
    """MB/s of aes-256-gcm in blocks of the same size, one core.

    Raises:
        EngineError: openssl is missing or prints something else.
    """
    command = [
        "openssl",
        "speed",
        "-seconds",
        "2",
        "-bytes",
        str(RECORD_BYTES),
        "-evp",
        "aes-256-gcm",
        "-decrypt",
    ]
    try:
        printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        raise EngineError("openssl speed did not run", mend="install openssl") from None
    figures = re.findall(r"([0-9.]+)k\s*$", printed, re.MULTILINE)
    if not figures:
        raise EngineError("openssl speed printed no figure")
    return float(figures[-1]) / 1000
