"""The seal key, kept apart: without it a backup opens nothing, and where the machine is lost there is no other.

The file also holds the supervisor's login at Vault, which a restored Vault still knows. Whoever holds this file **and**
a backup holds all of it: they belong in different hands. Where copies lie is noted, with the key's digest alone.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandbox.deployment.files import read_json, write_json
from sandbox.deployment.places import Places
from sandbox.deployment.vault_server import replace_file
from sandbox.errors import EvidenceMismatch, Unreachable, Usage
from sandbox.statements import sha256

FORMAT = "voice-sandbox-seal-key/1"


@dataclass(frozen=True)
class SealKey:
    """32 bytes, and the login; ``repr`` shows neither."""

    key: bytes
    supervisor: dict[str, Any]

    def __repr__(self) -> str:
        return "SealKey(…)"

    @property
    def digest(self) -> str:
        return sha256(self.key)

    def to_bytes(self) -> bytes:
        said = {"format": FORMAT, "key": base64.b64encode(self.key).decode(), "supervisor": self.supervisor}
        return json.dumps(said).encode() + b"\n"

    @classmethod
    def read(cls, path: Path) -> SealKey:
        """Raises Usage when the file is no copy of a seal key; quotes nothing of it."""
        try:
            said = json.loads(path.read_bytes())
            key = base64.b64decode(said["key"], validate=True)
            if said["format"] != FORMAT or len(key) != 32:
                raise ValueError
            return cls(key, dict(said["supervisor"]))
        except (OSError, ValueError, KeyError, TypeError):
            raise Usage(
                f"{path} is no copy of a seal key",
                code="backup.key_unreadable",
                mend="sandbox backup key FILE",
            ) from None


def present(places: Places) -> SealKey:
    """The key in use. Raises Unreachable when it is gone."""
    try:
        key = (places.vault / "seal" / "1.key").read_bytes()
        supervisor = json.loads((places.vault / "supervisor.json").read_bytes())
    except (OSError, ValueError):
        raise Unreachable(
            "the seal key or the supervisor's login cannot be read",
            code="vault.seal_key_lost",
            mend="as the operator, where sandbox up was run",
        ) from None
    return SealKey(key, supervisor)


def keep(places: Places, target: Path) -> SealKey:
    """Write a copy (0600) and note where. Raises Usage inside the state or a backup, or over another file."""
    if target.exists():
        raise Usage(f"{target} is already there", code="file.exists", mend="name another file")
    require_apart(places, target)
    found = present(places)
    replace_file(target, found.to_bytes(), 0o600)
    note(places, "keys", {"path": str(target.absolute()), "digest": found.digest})
    return found


def require_apart(places: Places, target: Path) -> None:
    """A copy beside what it opens protects nothing."""
    parents = [parent.resolve() for parent in target.absolute().parents]
    if places.state.resolve() in parents:
        raise Usage(
            f"{target} lies in the state itself", code="backup.key_not_apart", mend="keep it elsewhere"
        )
    if any((parent / "backup.json").exists() for parent in parents):
        raise Usage(
            f"{target} lies in a backup", code="backup.key_not_apart", mend="keep it where no backup is"
        )


def require_without(folder: Path, copies: list[dict[str, Any]]) -> None:
    """Raises Usage when a noted copy of the key lies in ``folder``, or it was copied there by hand."""
    held = {Path(str(copy["path"])).resolve() for copy in copies}
    if any(folder.resolve() in path.parents for path in held):
        raise Usage(
            f"a copy of the seal key lies in {folder}", code="backup.key_not_apart", mend="keep them apart"
        )


def fit(found: SealKey, digest: str) -> None:
    """Raises EvidenceMismatch when this key does not unseal that backup."""
    if found.digest != digest:
        raise EvidenceMismatch(
            "this seal key is another than the backup's",
            code="backup.key_differs",
            mend="find the copy made with it",
        )


# What was made, and where: ``run/backups.json``


def noted(places: Places, kind: str) -> list[dict[str, Any]]:
    """``keys``: copies of the seal key; ``backups``: backups made."""
    found = read_json(places.run / "backups.json").get(kind, [])
    return [dict(one) for one in found] if isinstance(found, list) else []


def note(places: Places, kind: str, what: dict[str, Any]) -> None:
    book = read_json(places.run / "backups.json")
    kept = [one for one in noted(places, kind) if one.get("path") != what["path"]]
    write_json(places.run / "backups.json", {**book, kind: [*kept, what]}, 0o600)
