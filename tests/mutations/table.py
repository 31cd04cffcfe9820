"""The whole table: SEALED.md, "Cases it must survive", as far as bytes and heads go."""

from __future__ import annotations

from tests.mutations import artifacts, audio, heads, indexes, keys, manifests, records, shards
from tests.mutations.case import Case

GROUPS = ("record", "shard", "index", "keys", "manifest", "head", "artifact")
CASES: list[Case] = [
    case
    for part in (records, audio, shards, indexes, keys, manifests, heads, artifacts)
    for case in part.CASES
]
