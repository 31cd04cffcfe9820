"""The consignment's file: letter, manifest and findings first, so that its reader knows what must follow."""

from __future__ import annotations

import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from sandbox.client.packing.private import private_file
from sandbox.consignment import findings, letter, manifest
from sandbox.consignment.findings import Finding, write_findings
from sandbox.consignment.manifest import Listed, write_manifest
from sandbox.consignment.members import BLOCK, PIECE


def write_archive(
    target: Path, signed: bytes, listed: Sequence[Listed], found: Sequence[Finding], spool: BinaryIO
) -> None:
    """``spool`` holds the files' ciphertext one behind the other. Raises Usage where it cannot be written."""
    lists = (
        (letter.NAME, signed),
        (manifest.NAME, write_manifest(listed)),
        (findings.NAME, write_findings(found)),
    )
    with private_file(target) as file:
        for name, data in lists:
            _header(file, name, len(data))
            file.write(data + bytes(-len(data) % BLOCK))
        spool.seek(0)
        for entry in listed:
            _header(file, entry.name, entry.size)
            left = entry.size
            while left:
                piece = spool.read(min(left, PIECE))
                left -= file.write(piece)
            file.write(bytes(-entry.size % BLOCK))
        file.write(bytes(2 * BLOCK))


def _header(file: BinaryIO, name: str, size: int) -> None:
    info = tarfile.TarInfo(name)
    info.size, info.mode = size, 0o600
    file.write(info.tobuf(tarfile.USTAR_FORMAT))
