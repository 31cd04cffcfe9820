"""Rotating data subjects' keys: every stored wrap goes to the key's newest version; shards and data keys stay.

1. Each key is rotated in Vault and its wraps rewrapped there; no data key is seen.
2. The next version with the new wraps; the head moves.   3. Only now the old wraps are retired: they never open again.

Until 2 the old wraps are good, and who asks again after a crash begins anew: a key rotated twice harms nothing.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass

from sandbox.errors import EvidenceMismatch, NotFound, SealError
from sandbox.records import INDEX_KEY, Manifest
from sandbox.sealing.keyring import KeyMaker
from sandbox.sealing.previous import open_standing
from sandbox.sealing.progress import Step
from sandbox.sealing.storage import Store
from sandbox.sealing.version import Content, Hands, Renewed, VersionWriter, key_version


@dataclass(frozen=True)
class Rewrapped:
    """The new version, its digest, whose keys were rotated and how many wraps went along."""

    manifest: Manifest
    digest: str
    subjects: tuple[str, ...]
    wraps: int


def rewrap(
    folder: Store, dataset: str, terms: Renewed, hands: Hands, subject: str | None = None
) -> Generator[Step, None, Rewrapped]:
    """Rotate every subject's key and the index's, or one ``subject``'s alone. Yields people done, of twice as many.

    A run that was granted the version before and has not opened it yet finds its wraps dead: it is to be asked anew.

    Raises:
        NotFound: no such dataset, or nothing of that subject in it.
        SealError: a key is gone, though its subject was not erased.
        Conflict: another writer was first; no wrap was retired.
    """
    before, standing = open_standing(folder, dataset, hands.head, hands.keys, hands.trusted)
    wraps = dict(before.wraps)
    chosen = tuple(wraps) if subject is None else (subject,)
    if not wraps.keys() >= set(chosen):
        raise NotFound(f"{dataset} holds nothing of {subject}", code="subject.unknown")
    for number, name in enumerate(chosen):
        yield Step(number, 2 * len(chosen))
        wraps[name] = _rotated(hands.keys, dataset, name, wraps[name])
    if subject is None:
        hands.keys.rotate_key(dataset, INDEX_KEY)  # the next index is sealed anew anyway
    content = Content(before.shards, before.rows, wraps, before.tombstones)
    manifest, digest = VersionWriter(dataset, folder, hands, before).enter(content, terms(standing))
    for number, name in enumerate(chosen):
        yield Step(len(chosen) + number, 2 * len(chosen))
        hands.keys.retire_wraps(dataset, name, min(map(key_version, wraps[name])))
    if subject is None:
        hands.keys.retire_wraps(dataset, INDEX_KEY, manifest.key_versions[INDEX_KEY])
    return Rewrapped(manifest, digest, chosen, sum(len(wraps[name]) for name in chosen))


def _rotated(keys: KeyMaker, dataset: str, subject: str, wraps: Sequence[str]) -> tuple[str, ...]:
    try:
        keys.rotate_key(dataset, subject)
        found = tuple(keys.rewrap_data_key(dataset, subject, wrapped) for wrapped in wraps)
    except NotFound:
        raise SealError(
            f"the key of {subject} is gone, but {dataset} has no tombstone for it",
            code="seal.key_missing",
            mend=f"if they asked to be forgotten, finish it: sandbox erase {subject} --dataset {dataset}",
        ) from None
    if min(map(key_version, found)) <= max(map(key_version, wraps)):
        raise EvidenceMismatch(f"Vault did not rotate the key of {subject}", code="key.not_rotated")
    return found
