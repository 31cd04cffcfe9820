"""The object store's keys, from the operator's file into each hand's private directory (``sandbox up --storage-keys``).

Each service gets its own key and cannot read the other's; neither stands in an argument, an environment or a setting.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from sandbox.deployment.places import Places
from sandbox.deployment.users import Accounts
from sandbox.deployment.vault_server import replace_file
from sandbox.errors import SandboxError, Unreachable
from sandbox.storage import settings
from sandbox.storage.credential import HANDS, NAME, StorageKey, read_key
from sandbox.storage.root import BucketRoot


def hand_over(places: Places, accounts: Accounts, keys: dict[str, StorageKey]) -> None:
    """Write both, 0600 of the service's user; the next start of each reads it. May run twice."""
    for hand in HANDS:
        account = accounts.gate if hand == "gate" else accounts.custodian
        uid = account.uid if accounts.separate else None
        replace_file(places.private(hand) / NAME, keys[hand].to_bytes(), 0o600, uid)


def require(places: Places, source: Path) -> None:
    """Refuse to start services that would find no key. ``source`` holds the settings that are to be installed.

    Raises:
        Usage: ``configs/storage.yaml`` is missing or wrong.
        Unreachable: it names a bucket, and nobody brought its keys.
    """
    location = settings.load(source).location
    if location is None or all((places.private(hand) / NAME).exists() for hand in HANDS):
        return
    raise Unreachable(
        f"{settings.FILE} keeps sealed datasets in s3://{location.bucket}/{location.prefix}, but its keys are not here",
        code="storage.no_key",
        mend="sandbox up --storage-keys FILE",
    )


def look(places: Places) -> Iterator[tuple[str, str, str]]:
    """For ``sandbox doctor``: level, what is so, what mends it. Asks the store once with each hand's key."""
    if not (places.app / settings.FILE).exists():
        return
    location = settings.load(places.app).location
    if location is None:
        yield "ok", "sealed datasets lie in the state directory", ""
        return
    brief = replace(location, attempts=1, timeout_s=min(location.timeout_s, 5))
    for hand in HANDS:
        private = places.private(hand)
        try:
            found = BucketRoot.connected(brief, read_key(private, private.stat().st_uid)).datasets()
            yield "ok", f"the {hand}'s key reaches s3://{location.bucket}: {len(found)} datasets", ""
        except SandboxError as fault:
            yield "bad", f"the {hand}: {fault.message}", fault.mend
