"""The object store's keys: written by the operator into one file, handed over by ``sandbox up``, one for each hand.

The file has the form of Amazon's shared credentials file, with a section for each hand::

    [custodian]
    aws_access_key_id = ...
    aws_secret_access_key = ...
    [gate]
    ...

A key opens ciphertext, never a voice; still it stands in no setting, argument, environment or log. The custodian's may
read, write and remove below the prefix; the gate's reads and lists (docs/guide.md has both policies).
"""

from __future__ import annotations

import configparser
import json
import os
import re
import stat
from dataclasses import dataclass, field
from pathlib import Path

from sandbox.errors import CredentialError, Usage

HANDS = ("custodian", "gate")
NAME = "storage.json"  # in a hand's private directory, 0600
_FIELDS = {"aws_access_key_id", "aws_secret_access_key"}
_ID, _SECRET = re.compile(r"[A-Za-z0-9_.-]{3,128}"), re.compile(r"[!-~]{8,256}")
_MAX_BYTES = 4096


@dataclass(frozen=True)
class StorageKey:
    """One hand's key of the object store."""

    id: str
    secret: str = field(repr=False)

    def to_bytes(self) -> bytes:
        return json.dumps({"id": self.id, "secret": self.secret}).encode()


def read_key(private: Path, owner: int | None = None) -> StorageKey:
    """A service's own key, out of its private directory; ``owner`` is its user, the caller's own when None.

    Raises CredentialError when it has none that can be used.
    """
    try:
        found = json.loads(_bytes(private / NAME, owner))
        return _key(found["id"], found["secret"])
    except (OSError, ValueError, KeyError, TypeError):
        raise CredentialError(
            "there is no key for the object store of sealed datasets here",
            code="storage.no_key",
            mend="sandbox up --storage-keys FILE",
        ) from None


def read_keys(path: Path) -> dict[str, StorageKey]:
    """Every hand's key, out of the operator's file.

    Raises:
        Usage: others may read the file, it is no plain file of the caller's, or it does not say exactly two keys.
    """
    try:
        data = _bytes(path)
    except OSError as fault:
        raise Usage(f"{path} cannot be read: {os.strerror(fault.errno or 0)}") from None
    except ValueError as fault:
        raise Usage(f"{path} {fault}", code="storage.keys_exposed", mend=f"chmod 600 {path}") from None
    parser = configparser.RawConfigParser(default_section="", interpolation=None)
    try:
        parser.read_string(data.decode("ascii"))
        if set(parser.sections()) != set(HANDS) or any(set(parser[hand]) != _FIELDS for hand in HANDS):
            raise ValueError
        keys = {
            hand: _key(parser[hand]["aws_access_key_id"], parser[hand]["aws_secret_access_key"])
            for hand in HANDS
        }
    except (configparser.Error, ValueError):  # their messages quote the line
        raise Usage(
            f"{path} does not hold the two keys",
            code="storage.keys_invalid",
            mend="sections [custodian] and [gate], each with aws_access_key_id and aws_secret_access_key",
        ) from None
    if keys["custodian"].id == keys["gate"].id:
        raise Usage(
            f"{path} gives both hands one key",
            code="storage.keys_shared",
            mend="the gate gets a key of its own, which reads and lists and nothing else",
        )
    return keys


def _key(name: object, secret: object) -> StorageKey:
    if (
        isinstance(name, str)
        and isinstance(secret, str)
        and _ID.fullmatch(name)
        and _SECRET.fullmatch(secret)
    ):
        return StorageKey(name, secret)
    raise ValueError("no key")


def _bytes(path: Path, owner: int | None = None) -> bytes:
    """What a small file of the caller's alone says. Raises OSError, or ValueError when somebody else may read it."""
    with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode):
            raise ValueError("is no plain file")
        if found.st_uid != (os.geteuid() if owner is None else owner) or stat.S_IMODE(found.st_mode) & 0o077:
            raise ValueError("can be read by others than its owner, or is not yours")
        return file.read(_MAX_BYTES)
