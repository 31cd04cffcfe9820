"""A shard as a file: its size, its bytes, whether it is there and is what it seems."""

from __future__ import annotations

import shutil
from collections.abc import Callable

from tests.fakes.corpus import World
from tests.mutations.case import Case
from tests.mutations.checks import PLAIN_FILE, SHARD_DIGEST, SHARD_SIZE, TAG_PIN
from tests.mutations.corpora import Corpus, Damage, link, opened, prepared, read, read_on, start, verify
from tests.mutations.removal import check

BEFORE_STEP_0 = check(
    "every shard is looked at before step 0",
    "sealing.reader:open_version",
    "check_shards(source, manifest)",
    "pass",
)
NO_LINK = check("a read follows no link", "sealing.storage:Folder.read", " | os.O_NOFOLLOW", "")
READ_MISSING = check(
    "a shard that vanished is named",
    "sealing.storage:Folder.read",
    'raise SealBroken(f"object {name} is missing", code="seal.object_missing") from None',
    "raise",
)
WHOLE_READ = check("a read is as long as asked", "sealing.storage:Folder.read", "if len(data) != length:")


def content(change: Callable[[bytes], bytes]) -> Damage:
    return lambda corpus: corpus.shard(0).write_bytes(change(corpus.shard(0).read_bytes()))


def deleted(corpus: Corpus) -> None:
    corpus.shard(0).unlink()


def linked(corpus: Corpus) -> None:
    link(corpus.shard(0))


def a_folder(corpus: Corpus) -> None:
    path = corpus.shard(0)
    path.unlink()
    path.mkdir()


def byte(offset: int) -> Damage:
    """Counted from the end when negative."""
    return lambda corpus: corpus.flip(corpus.shard(0), offset % corpus.shard(0).stat().st_size)


def exchanged(corpus: Corpus) -> None:
    """Two shards of one size under each other's name."""
    one, other = corpus.shard(0), corpus.shard(1)
    assert one.stat().st_size == other.stat().st_size
    first, second = one.read_bytes(), other.read_bytes()
    one.write_bytes(second)
    other.write_bytes(first)


def of_another_dataset(corpus: Corpus) -> None:
    other = World(corpus.root.parent / "other", keys=corpus.keys, signer=corpus.signer, dataset="other")
    other.seal()
    assert other.shard(0).stat().st_size == corpus.shard(0).stat().st_size
    shutil.copy(other.shard(0), corpus.shard(0))


def less(data: bytes) -> bytes:
    return data[:-1]


def more(data: bytes) -> bytes:
    return data + b"x"


def nothing(data: bytes) -> bytes:
    return b""


START = {
    "minus one byte": (content(less), "seal.shard_differs", SHARD_SIZE),
    "empty": (content(nothing), "seal.shard_differs", SHARD_SIZE),
    "garbage appended": (content(more), "seal.shard_differs", SHARD_SIZE),
    "deleted": (deleted, "seal.object_missing", BEFORE_STEP_0),
    "a link": (linked, "seal.object_foreign", PLAIN_FILE),
    "a folder": (a_folder, "seal.object_foreign", PLAIN_FILE),
}
READ = {
    "exchanged with another": (exchanged, "seal.tag_differs", TAG_PIN),
    "of another dataset": (of_another_dataset, "seal.tag_differs", TAG_PIN),
}
READ_ON = {
    "shrinks after opening": (content(lambda data: data[:600]), "seal.object_truncated", WHOLE_READ),
    "vanishes after opening": (deleted, "seal.object_missing", READ_MISSING),
    "becomes a link after opening": (linked, "seal.object_missing", NO_LINK),
    "becomes another shard after opening": (of_another_dataset, "seal.tag_differs", TAG_PIN),
}
VERIFIED = {
    "minus one byte": (content(less), "seal.shard_differs", SHARD_SIZE),
    "garbage appended": (content(more), "seal.shard_differs", SHARD_SIZE),
    "tar header altered": (byte(0), "seal.shard_differs", SHARD_DIGEST),
    "padding behind the last record altered": (byte(-1), "seal.shard_differs", SHARD_DIGEST),
    "exchanged with another": (exchanged, "seal.shard_differs", SHARD_DIGEST),
    "of another dataset": (of_another_dataset, "seal.shard_differs", SHARD_DIGEST),
}

CASES = [
    Case("shard", name + suffix, prepare, damage, way, code, gone)
    for table, prepare, way, suffix in (
        (START, prepared, start, ""),
        (READ, prepared, read, ""),
        (READ_ON, opened, read_on, ""),
        (VERIFIED, prepared, verify, ", verified"),
    )
    for name, (damage, code, gone) in table.items()
]
