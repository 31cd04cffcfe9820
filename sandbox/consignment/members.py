"""The members of a plain ustar archive, read once from pieces of any size; a member's body comes piece by piece."""

from __future__ import annotations

import tarfile
from collections.abc import Callable, Iterable, Iterator

from sandbox.errors import ConsignmentError

BLOCK = 512
PIECE = 1 << 20


class Members:
    """``next`` gives name and size; ``body`` its pieces, which must be read before the next one.

    Only plain headers are understood: an extended one could ask for any amount of memory. ``seen`` gets every byte that
    was read, in order.
    """

    def __init__(self, pieces: Iterable[bytes], seen: Callable[[bytes], object] = lambda _: None) -> None:
        self._pieces = iter(pieces)
        self._held = bytearray()
        self._seen = seen
        self._left = 0  # of the body of the member that is open

    def next(self) -> tuple[str, int] | None:
        """The next member; None at the end mark.

        Raises:
            ConsignmentError: no plain archive, or it ends early.
        """
        if self._left:
            raise RuntimeError("the member before was not read to its end")
        header = self._exactly(BLOCK)
        if header == bytes(BLOCK):
            return None
        try:
            info = tarfile.TarInfo.frombuf(header, "utf-8", "strict")
        except (tarfile.HeaderError, UnicodeError, ValueError):
            raise _no_archive() from None
        if info.type not in (tarfile.REGTYPE, tarfile.AREGTYPE) or info.size < 0:
            raise _no_archive()
        self._left = info.size
        return info.name, info.size

    def body(self) -> Iterator[bytes]:
        """The open member's bytes, at most 1 MiB at a time."""
        padding = -self._left % BLOCK
        while self._left:
            piece = self._exactly(min(self._left, PIECE))
            self._left -= len(piece)
            yield piece
        if self._exactly(padding) != bytes(padding):
            raise ConsignmentError("the archive is padded with something", code="consignment.padding")

    def end(self) -> None:
        """After the end mark comes its second block, and nothing else."""
        if self._exactly(BLOCK) != bytes(BLOCK):
            raise _no_archive()
        if self._held or any(self._pieces):
            raise ConsignmentError("something follows the archive's end", code="consignment.trailing")

    def _exactly(self, size: int) -> bytes:
        while len(self._held) < size:
            piece = next(self._pieces, None)
            if piece is None:
                raise ConsignmentError(
                    "the consignment ends early", code="consignment.truncated", mend="send it again"
                )
            self._held += piece
        found = bytes(self._held[:size])
        del self._held[:size]
        self._seen(found)
        return found


def _no_archive() -> ConsignmentError:
    return ConsignmentError(
        "this is no consignment: not a plain ustar archive", code="consignment.unreadable"
    )
