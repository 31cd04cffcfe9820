"""``manifest-sha256.txt``: every file of a consignment by digest, as BagIt has it (RFC 8493), and by size.

Line: ``SHA256  SIZE  data/NNNNNN.sealed``. Files are numbered from 0 without a gap, in order.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from sandbox.consignment.chunks import MAX_FILE_BYTES
from sandbox.errors import ConsignmentError

NAME = "manifest-sha256.txt"
MAX_FILES = 1_000_000
_LINE = re.compile(r"([0-9a-f]{64})  ([1-9][0-9]{0,11})  (data/[0-9]{6,7}\.sealed)")


class Listed(NamedTuple):
    """One file as the manifest lists it; ``size`` in bytes of ciphertext."""

    name: str
    size: int
    sha256: str


def file_name(number: int) -> str:
    return f"data/{number:06d}.sealed"


def write_manifest(files: Iterable[Listed]) -> bytes:
    return "".join(f"{file.sha256}  {file.size}  {file.name}\n" for file in files).encode()


def read_manifest(data: bytes) -> tuple[Listed, ...]:
    """Raises ConsignmentError: a line is none, a number is missing or comes twice, nothing is listed."""
    found: list[Listed] = []
    for number, line in enumerate(data.decode("ascii", "replace").splitlines()):
        match = _LINE.fullmatch(line)
        if match is None or match[3] != file_name(number) or int(match[2]) > MAX_FILE_BYTES:
            raise ConsignmentError(
                f"{NAME}, line {number + 1}, is not what a manifest says", code="consignment.manifest_invalid"
            )
        found.append(Listed(match[3], int(match[2]), match[1]))
    if not 0 < len(found) <= MAX_FILES:
        raise ConsignmentError(f"{NAME} lists no file, or too many", code="consignment.manifest_invalid")
    return tuple(found)
