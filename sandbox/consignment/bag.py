"""Reading a consignment in one pass: nothing is believed before it is verified, nothing is skipped.

1. The letter, by Party A's key.     2. Manifest and findings, by the digests that the letter names.
3. Each file: the next one that the manifest lists, of its size, with its digest.     4. The end, and nothing after it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence

from sandbox.consignment import findings, letter, manifest
from sandbox.consignment.findings import Finding
from sandbox.consignment.letter import Letter
from sandbox.consignment.manifest import Listed
from sandbox.consignment.members import Members
from sandbox.errors import ConsignmentError
from sandbox.statements import PublicKey, sha256

MAX_LIST_BYTES = 128 << 20  # of manifest and findings each: a million files


class Bag:
    """One consignment. The constructor reads up to the first file; what it found is verified.

    ``keys``: of Party A. ``seen`` gets every byte as it is read.

    Raises:
        StatementError: not signed by one of ``keys``.
        ConsignmentError: anything else that is not as it was signed.
    """

    def __init__(
        self,
        pieces: Iterable[bytes],
        keys: Sequence[PublicKey],
        seen: Callable[[bytes], object] = lambda _: None,
    ) -> None:
        self._members = Members(pieces, seen)
        self.signed: bytes = self._named(letter.NAME, letter.MAX_BYTES)
        self.letter: Letter = letter.open_letter(self.signed, keys)
        self.listed: tuple[Listed, ...] = manifest.read_manifest(
            self._pinned(manifest.NAME, self.letter.manifest_sha256)
        )
        self.findings: tuple[Finding, ...] = findings.read_findings(
            self._pinned(findings.NAME, self.letter.findings_sha256)
        )
        if (len(self.listed), sum(file.size for file in self.listed)) != (
            self.letter.files,
            self.letter.size,
        ):
            raise ConsignmentError("letter and manifest count differently", code="consignment.count_differs")

    def check(self) -> Iterator[int]:
        """Every file against the manifest, without keeping it; yields the number of each."""
        for number, listed in enumerate(self.listed):
            for _ in self._file(listed):
                pass
            yield number
        self._end()

    def files(self) -> Iterator[bytes]:
        """Every file's ciphertext, one in memory at a time, each verified before it is given out."""
        for listed in self.listed:
            yield b"".join(self._file(listed))
        self._end()

    def _file(self, listed: Listed) -> Iterator[bytes]:
        member = self._members.next()
        name = member[0] if member else None
        if name != listed.name:
            self._stranger(name)
            raise ConsignmentError(f"{listed.name} is missing", code="consignment.file_missing")
        if member is None or member[1] != listed.size:
            raise ConsignmentError(
                f"{listed.name} has another size than was signed", code="consignment.file_altered"
            )
        digest = hashlib.sha256()
        for piece in self._members.body():
            digest.update(piece)
            yield piece
        if digest.hexdigest() != listed.sha256:
            raise ConsignmentError(
                f"{listed.name} is not the file that was signed", code="consignment.file_altered"
            )

    def _end(self) -> None:
        member = self._members.next()
        if member is not None:
            self._stranger(member[0])
            raise ConsignmentError(f"{_shown(member[0])} comes twice", code="consignment.file_unlisted")
        self._members.end()

    def _stranger(self, name: str | None) -> None:
        if name is not None and name not in {file.name for file in self.listed}:
            raise ConsignmentError(f"{_shown(name)} stands in no manifest", code="consignment.file_unlisted")

    def _pinned(self, name: str, digest: str) -> bytes:
        data = self._named(name, MAX_LIST_BYTES)
        if sha256(data) != digest:
            raise ConsignmentError(f"{name} is not the file that was signed", code="consignment.file_altered")
        return data

    def _named(self, name: str, most: int) -> bytes:
        member = self._members.next()
        if member is None or member[0] != name:
            raise ConsignmentError(f"{name} is missing, or not in its place", code="consignment.file_missing")
        if member[1] > most:
            raise ConsignmentError(f"{name} is too large", code="consignment.unreadable")
        return b"".join(self._members.body())


def _shown(name: str) -> str:
    """A stranger's file name, safe to print."""
    return "".join(mark if mark.isprintable() else "\ufffd" for mark in name[:100])
