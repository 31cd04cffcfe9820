"""``backup.json``: what lies in a backup, byte for byte, when it was made and until when it may be kept.

It is written last: a folder without it is no backup, and what was cut off is made anew.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path

from sandbox.errors import EvidenceMismatch, Usage
from sandbox.runs import from_utc, utc

NAME, FORMAT = "backup.json", "voice-sandbox-backup/1"
_PIECE = 4 << 20


@dataclass(frozen=True)
class Entry:
    """One file: its digest, size and permission bits."""

    sha256: str
    size: int
    mode: int


@dataclass(frozen=True)
class Book:
    """``key`` is the digest of the seal key that the snapshot needs; ``lacks`` what lies elsewhere, in words."""

    made_at: datetime
    expires_at: datetime
    key: str
    state: str
    files: Mapping[str, Entry]
    lacks: tuple[str, ...] = ()

    @classmethod
    def begin(
        cls, now: datetime, days: int, key: str, state: str, files: Mapping[str, Entry], lacks: list[str]
    ) -> Book:
        return cls(now, now + timedelta(days=days), key, state, files, tuple(lacks))

    @property
    def size(self) -> int:
        return sum(entry.size for entry in self.files.values())

    def to_bytes(self) -> bytes:
        said = {
            "format": FORMAT,
            "made_at": utc(self.made_at),
            "expires_at": utc(self.expires_at),
            "key": self.key,
            "state": self.state,
            "lacks": list(self.lacks),
            "files": {name: asdict(entry) for name, entry in self.files.items()},
        }
        return json.dumps(said, indent=1, sort_keys=True).encode() + b"\n"

    @classmethod
    def read(cls, folder: Path) -> Book:
        """Raises Usage when ``folder`` holds no backup, or one of another format."""
        try:
            said = json.loads((folder / NAME).read_bytes())
            if said["format"] != FORMAT:
                raise ValueError
            files = {str(name): Entry(**entry) for name, entry in said["files"].items()}
            times = from_utc(said["made_at"]), from_utc(said["expires_at"])
            found = cls(*times, str(said["key"]), str(said["state"]), files, tuple(said["lacks"]))
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            mend = "name a folder of sandbox backup make"
            raise Usage(f"{folder} holds no backup", code="backup.none", mend=mend) from None
        for name in files:
            if name.startswith("/") or ".." in Path(name).parts:
                raise EvidenceMismatch(
                    f"the backup names a file outside of itself: {name!r}", code="backup.foreign"
                )
        return found

    def check(self, folder: Path) -> None:
        """Every file, every byte. Raises EvidenceMismatch naming the first that is missing, another's, or too many."""
        here = {
            str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file() or path.is_symlink()
        }
        if extra := sorted(here - set(self.files) - {NAME}):
            raise EvidenceMismatch(f"the backup holds a file too many: {extra[0]}", code="backup.extra")
        for name, entry in self.files.items():
            path = folder / name
            if path.is_symlink() or not path.is_file() or digest(path) != entry.sha256:
                raise EvidenceMismatch(
                    f"the backup's {name} is missing or is not what was backed up",
                    code="backup.changed",
                    mend="use another backup",
                )


def digest(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
