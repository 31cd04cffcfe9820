"""Checks that stand behind cases of several groups; the others stand beside their cases."""

from __future__ import annotations

from tests.mutations.removal import check

AEAD = check(
    "authenticated decryption",
    "sealing.records:cipher",
    "return AESGCM(key)",
    "from tests.mutations.unauthenticated import Unauthenticated; return Unauthenticated(key)",
)
TAG_PIN = check(
    "tag pinned by the index", "sealing.records:open_record", "if sealed[-TAG_BYTES:] != row.tag:"
)
SHARD_SIZE = check(
    "size of every shard",
    "sealing.reader:check_shards",
    "if source.size(shard_name(shard.sha256)) != shard.size:",
)
SHARD_DIGEST = check(
    "digest of every shard", "sealing.verify:hashed", "if digest.hexdigest() != shard.sha256:"
)
INDEX_DIGEST = check(
    "digest of the index", "sealing.reader:read_pinned", "if sha256(sealed_index) != manifest.index_sha256:"
)
KEYS_DIGEST = check(
    "digest of the keys file", "sealing.reader:read_wraps", "if sha256(keys) != manifest.keys_sha256:"
)
MANIFEST_DIGEST = check("digest of the manifest", "sealing.manifest:_open", "if sha256(data) != digest:")
SIGNATURE = check("signature of the manifest", "statements:open_envelope", "if signed < threshold:")
MISSING = check(
    "an object that is missing is named",
    "sealing.storage:Folder.size",
    'raise SealBroken(f"object {name} is missing", code="seal.object_missing") from None',
    "raise",
)
PLAIN_FILE = check(
    "an object is a plain file", "sealing.storage:Folder.size", "if not stat.S_ISREG(found.st_mode):"
)
