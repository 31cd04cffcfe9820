"""Who holds keys, as two small protocols: one opens, one makes. Vault's hands fit them as they are.

The key of the index is asked for under the name :data:`sandbox.records.INDEX_KEY` in place of a subject.
"""

from __future__ import annotations

from typing import Protocol

KEY_BYTES = 32


class Keyring(Protocol):
    """Opens wrapped data keys, for whom it is allowed to."""

    def unwrap_data_key(self, dataset: str, subject: str, wrapped: str) -> bytes:
        """The 32 bytes of a data key.

        Raises:
            SubjectErased: the subject's key does not exist.
            KeyBarred: it exists, but not for this caller.
        """
        ...


class KeyMaker(Protocol):
    """Makes subjects' keys and wraps data keys that were drawn here. The custodian's hand alone.

    1. ``create_subject_key`` may repeat; it refuses a key whose settings are not those of a subject's key.
    2. ``wrap_data_key`` never makes a key.
    3. ``unwrap_index_key`` opens the index's key and no voice's.
    4. ``rotate_key`` adds a version to a key; ``rewrap_data_key`` brings a wrap to the newest one, unseen; after
       ``retire_wraps`` nothing wrapped under a version lower than ``below`` opens any more. All of them may repeat.
    """

    def create_subject_key(self, dataset: str, subject: str) -> None: ...

    def wrap_data_key(self, dataset: str, subject: str, key: bytes) -> str: ...

    def unwrap_index_key(self, dataset: str, wrapped: str) -> bytes: ...

    def rotate_key(self, dataset: str, subject: str) -> None:
        """Raises NotFound when there is no such key; so do the two below."""
        ...

    def rewrap_data_key(self, dataset: str, subject: str, wrapped: str) -> str: ...

    def retire_wraps(self, dataset: str, subject: str, below: int) -> None: ...
