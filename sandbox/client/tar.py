"""A tar stream made on the fly: nothing of it touches a disk, so a studio's folder of any size fits."""

from __future__ import annotations

import tarfile
from collections.abc import Iterable, Iterator

_BLOCK = 512
_PIECE = 1 << 20


def tar_stream(members: Iterable[tuple[str, bytes]]) -> Iterator[bytes]:
    """Pieces (at most 1 MiB) of a ustar archive holding ``members`` in order, each a (name, bytes)."""
    for name, body in members:
        info = tarfile.TarInfo(name)
        info.size = len(body)
        info.mode = 0o600
        yield info.tobuf(tarfile.USTAR_FORMAT)
        for start in range(0, len(body), _PIECE):
            yield body[start : start + _PIECE]
        if padding := -len(body) % _BLOCK:
            yield bytes(padding)
    yield bytes(2 * _BLOCK)
