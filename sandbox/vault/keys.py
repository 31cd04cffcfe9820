"""Names, contexts and shape of the keys that the keeper unwraps and the custodian wraps (CONTRACTS, Vault)."""

from __future__ import annotations

import base64
import binascii
from typing import Any

from sandbox.errors import SealBroken
from sandbox.records import INDEX_KEY, check_id, key_context
from sandbox.vault.answers import text

KEY_BYTES = 32


def key_name(dataset: str, subject: str) -> str:
    """Name of the transit key in mount ``subjects``: ``<dataset>.<subject>``, or ``index.<dataset>``."""
    if subject == INDEX_KEY:
        return f"index.{check_id('dataset', dataset)}"
    return f"{check_id('dataset', dataset)}.{check_id('subject', subject)}"


def context(dataset: str) -> str:
    """The derivation context of every key of a dataset, as Vault wants it."""
    return base64.b64encode(key_context(check_id("dataset", dataset))).decode()


def data_key_of(answer: dict[str, Any]) -> bytes:
    """The data key in a decrypt's answer. Raises SealBroken when it has not KEY_BYTES bytes."""
    try:
        key = base64.b64decode(text(answer, "data", "plaintext"), validate=True)
    except binascii.Error:
        key = b""
    if len(key) != KEY_BYTES:
        raise SealBroken(f"Vault unwrapped something that is no {KEY_BYTES}-byte data key")
    return key
