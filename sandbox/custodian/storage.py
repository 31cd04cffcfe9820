"""Where the custodian keeps sealed datasets, when the operator chose an object store (``configs/storage.yaml``)."""

from __future__ import annotations

from pathlib import Path

from sandbox.errors import Unreachable
from sandbox.service import journal
from sandbox.storage.credential import read_key
from sandbox.storage.root import BucketRoot, Root
from sandbox.storage.settings import load


def chosen_root(state: Path) -> Root | None:
    """The bucket, with the custodian's own key; None: the state directory.

    A store that does not answer stops no consent and no bar, so the custodian starts all the same; it is asked at each
    sealing. One that overwrites objects is not used.

    Raises:
        Usage, CredentialError: the setting or the key is missing or wrong.
        Unreachable: ``storage.overwrites``.
    """
    location, private = load(state / "app").location, state / "custodian" / "private"
    if location is None:
        return None
    root = BucketRoot.connected(location, read_key(private), private / "spool")
    try:
        root.check()
    except Unreachable as fault:
        if fault.code == "storage.overwrites":
            raise
        journal.trouble("storage.unreachable", fault)
    return root
