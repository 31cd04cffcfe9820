"""Speakers and their random pseudonyms: a CSV of ``speaker,spk_…`` that Party A keeps, and nobody else sees."""

from __future__ import annotations

import csv
import io
import secrets
import stat
from pathlib import Path

from sandbox.client.packing.private import write_private
from sandbox.client.readers import read_names
from sandbox.errors import Usage
from sandbox.records import check_id

_ALPHABET = "23456789abcdefghjkmnpqrstuvwxyz"
_LENGTH = 10  # 31**10 pseudonyms: two never meet


class Pseudonyms:
    """The same speaker keeps its pseudonym from consignment to consignment."""

    def __init__(self, path: Path, known: dict[str, str]) -> None:
        self._path = path
        self._known = known
        self._read = dict(known)
        self.drawn = 0

    @classmethod
    def at(cls, path: Path) -> Pseudonyms:
        """The list at ``path``; an empty one when there is none yet.

        Raises:
            Usage: it cannot be read, others can read it, or two speakers share a pseudonym.
        """
        if not path.exists():
            return cls(path, {})
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & 0o077:
            raise Usage(
                f"{path} can be read by others (mode {mode:o})",
                code="names.exposed",
                mend=f"chmod 600 {path}",
            )
        known = read_names(path)
        for pseudonym in known.values():
            check_id("subject", pseudonym)
        if len(set(known.values())) < len(known):
            raise Usage(
                f"{path} gives two speakers one pseudonym", code="names.ambiguous", mend="a line a person"
            )
        return cls(path, known)

    def of(self, speaker: str) -> str:
        """The pseudonym; a new one for somebody new. Nobody stays nobody."""
        speaker = speaker.strip()  # as the list is read
        if speaker and speaker not in self._known:
            self._known[speaker] = "spk_" + "".join(secrets.choice(_ALPHABET) for _ in range(_LENGTH))
            self.drawn += 1
        return self._known.get(speaker, "")

    def save(self) -> None:
        """Before the consignment: a pseudonym in use whose list was lost would be nobody for ever.

        Raises:
            Usage: somebody else wrote the list meanwhile, or it cannot be written.
        """
        if (read_names(self._path) if self._path.exists() else {}) != self._read:
            raise Usage(
                f"{self._path} was changed meanwhile; nothing was packed",
                code="names.changed",
                mend="pack again",
            )
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(self._known.items())
        write_private(self._path, text.getvalue().encode(), replace=True)
        self._read = dict(self._known)
