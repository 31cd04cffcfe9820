"""The manifest: its bytes, its envelope, its signer, then what a properly signed one must not say."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from sandbox.errors import RollbackDetected, StatementError
from sandbox.records import INDEX_KEY, Shard
from sandbox.sealing.manifest import MAX_MANIFEST_BYTES, manifest_name, objects
from sandbox.statements import INTOTO, make_statement, sign_envelope, sign_statement
from tests.fakes.corpus import ANNA, BEN, record
from tests.mutations.case import Case
from tests.mutations.checks import MANIFEST_DIGEST, PLAIN_FILE, SIGNATURE
from tests.mutations.corpora import (
    Corpus,
    Damage,
    by_grant,
    drop,
    file_bit,
    file_bytes,
    link,
    manifest,
    manifest_by,
    older,
    prepared,
    read,
    stranger,
    twice,
    verify,
)
from tests.mutations.removal import Check, check


def identity(name: str, held: str, instead: str = "if False:") -> Check:
    return check(name, "sealing.manifest:_check_identity", held, instead)


def names(name: str, held: str, instead: str) -> Check:
    return check(name, "sealing.manifest:_check_names", held, instead)


def statement(name: str, held: str, place: str = "open_statement") -> Check:
    return check(name, f"statements:{place}", held)


NEWEST = check(
    "the head's version is there",
    "sealing.manifest:open_at_head",
    'if name.rpartition("/")[2] not in source.names("manifests"):',
)
LOWEST = check(
    "the lowest version", "sealing.manifest:open_at_head", "if opened.manifest.version < head.min_version:"
)
GRANTED = check(
    "the digest of the grant",
    "sealing.manifest:open_with_digest",
    "if sha256(read_whole(source, name, MAX_MANIFEST_BYTES)) != digest:",
)
LIMIT = check("the size of a manifest", "sealing.storage:read_whole", "if size > limit:")
PAYLOAD_TYPE = statement("payload type", "if envelope.payload_type != payload_type:", "open_envelope")
IN_TOTO = statement("in-toto Statement v1", 'if parsed["_type"] != STATEMENT_V1:')
PREDICATE = statement("predicate type", 'if parsed["predicateType"] != predicate_type(name):')
LISTED = check(
    "the statement lists the objects",
    "sealing.manifest:_open",
    "if list(statement.subjects) != objects(manifest):",
)
FIELDS = check(
    "exactly these fields",
    "records:Manifest.from_predicate",
    "except (KeyError, TypeError, ValueError, AttributeError):",
    "except ZeroDivisionError:",
)
FORMAT = identity("format", "if manifest.format != FORMAT:")
READER = identity("oldest reader", "int(manifest.min_reader) > READER", "False")
READER_NUMBER = identity("the reader is a number", "not manifest.min_reader.isdecimal() or ", "")
DATASET = identity("dataset", "if manifest.dataset != dataset:")
VERSION = identity("version", "if manifest_name(manifest.version) != name:")
DIGEST_NAME = names("a digest is a digest", 'check_id("sha256", digest)', "pass")
SUBJECT_NAME = names("a person is a pseudonym", 'check_id("subject", subject)', "pass")
SHARD_TWICE = names("no shard twice", "len(set(shards)) != len(shards) or ", "")
SHARD_EMPTY = names("no shard empty", " or any(shard.size <= 0 for shard in manifest.shards)", "")
PERSON_TWICE = names("nobody twice", "len(set(manifest.subjects)) != len(manifest.subjects) or ", "")
DEAD_AND_ALIVE = names("nobody is a tombstone too", "or set(manifest.subjects) & set(", "or set() & set(")
KEY_NAMES = names(
    "keys of exactly these people",
    "if set(manifest.key_versions) != {*manifest.subjects, INDEX_KEY}:",
    "if False:",
)


def snapshot_put_back(corpus: Corpus) -> None:
    """All of the storage as it was, while the head has moved on."""
    old = corpus.root.with_name("old")
    shutil.copytree(corpus.root, old)
    corpus.seal([record("u9", ANNA)])
    shutil.rmtree(corpus.root)
    shutil.copytree(old, corpus.root)


def larger_than_allowed(corpus: Corpus) -> None:
    os.truncate(corpus.root / NAME, MAX_MANIFEST_BYTES + 1)


def a_pipe(corpus: Corpus) -> None:
    """A reader that opens it would wait for a writer for ever."""
    (corpus.root / NAME).unlink()
    os.mkfifo(corpus.root / NAME)


def linked(corpus: Corpus) -> None:
    link(corpus.root / NAME)


def signed_by_a_stranger(corpus: Corpus) -> None:
    corpus.sign(corpus.manifest(), stranger())


def signer_rotated_out(corpus: Corpus) -> None:
    corpus.trusted = [stranger().public]


def another_statement(corpus: Corpus) -> None:
    corpus.sign(corpus.manifest(), name="dataset")


def enveloped(
    payload_type: str = INTOTO, signed: bool = True, change: Callable[[bytes], bytes] = bytes
) -> Damage:
    """The right statement in another envelope."""

    def damage(corpus: Corpus) -> None:
        held = corpus.manifest()
        payload = change(make_statement("manifest", objects(held), held.to_predicate()))
        corpus.replace_envelope(sign_envelope(payload_type, payload, [corpus.signer] if signed else []))

    return damage


def statement_v0(payload: bytes) -> bytes:
    return payload.replace(b"in-toto.io/Statement/v1", b"in-toto.io/Statement/v0")


def signature_moved(corpus: Corpus) -> None:
    """The trusted key's signature over another manifest."""
    path = corpus.root / NAME
    own = path.read_bytes()
    corpus.sign(replace(corpus.manifest(), records=3))
    other = path.read_bytes()
    cut = own.index(b'"signatures"')
    corpus.replace_envelope(own[:cut] + other[other.index(b'"signatures"') :])


def other_objects(corpus: Corpus) -> None:
    predicate = corpus.manifest().to_predicate()
    corpus.replace_envelope(sign_statement("manifest", [("x", "b" * 64)], predicate, [corpus.signer]))


def fields(change: Callable[[dict[str, Any]], object]) -> Damage:
    def damage(corpus: Corpus) -> None:
        held = corpus.manifest()
        predicate = held.to_predicate()
        change(predicate)
        corpus.replace_envelope(sign_statement("manifest", objects(held), predicate, [corpus.signer]))

    return damage


def renamed(held: Any) -> dict[str, Any]:
    """Ben with a capital letter, in every place of the manifest that names him."""
    return {"subjects": (ANNA, BEN.upper()), "key_versions": {ANNA: 1, BEN.upper(): 1, INDEX_KEY: 1}}


def granted_otherwise(corpus: Corpus) -> None:
    corpus.granted = "0" * 64


NAME = manifest_name(1)
DIFFERS, INVALID, STATEMENT = "seal.manifest_differs", "seal.manifest_invalid", "statement.invalid"
DISK = {
    "bit": (prepared, file_bit(NAME), read, DIFFERS, MANIFEST_DIGEST),
    "bit, verified": (prepared, file_bit(NAME), verify, DIFFERS, MANIFEST_DIGEST),
    "empty": (prepared, file_bytes(NAME, lambda _: b""), read, DIFFERS, MANIFEST_DIGEST),
    "missing": (prepared, drop(NAME), read, "seal.rollback", NEWEST, RollbackDetected),
    "larger than allowed": (prepared, larger_than_allowed, read, "seal.broken", LIMIT),
    "a pipe": (prepared, a_pipe, read, "seal.object_foreign", PLAIN_FILE),
    "a link": (prepared, linked, read, "seal.object_foreign", PLAIN_FILE),
    "a valid old one under a new name": (twice, older(manifest_name), read, DIFFERS, MANIFEST_DIGEST),
    "a whole old snapshot": (prepared, snapshot_put_back, read, "seal.rollback", NEWEST, RollbackDetected),
    "a whole old snapshot, verified": (
        prepared,
        snapshot_put_back,
        verify,
        "seal.rollback",
        NEWEST,
        RollbackDetected,
    ),
    "not the one that was granted": (prepared, granted_otherwise, by_grant, "seal.manifest_missing", GRANTED),
}
ENVELOPE = {
    "signed by a stranger": (signed_by_a_stranger, SIGNATURE),
    "signer rotated out": (signer_rotated_out, SIGNATURE),
    "no signature": (enveloped(signed=False), SIGNATURE),
    "signature of another manifest": (signature_moved, SIGNATURE),
    "other payload type": (enveloped("application/json"), PAYLOAD_TYPE),
    "another statement of the custodian": (another_statement, PREDICATE),
    "no in-toto Statement v1": (enveloped(change=statement_v0), IN_TOTO),
}
SIGNED = {
    "another dataset's": (manifest(dataset="other"), DIFFERS, DATASET),
    "unknown format": (manifest(format="sealed/0"), "seal.format_unknown", FORMAT),
    "newer format than the reader": (manifest(min_reader="2"), "seal.format_newer", READER),
    "newer format, as a number": (manifest(min_reader=2), "seal.format_newer", READER),
    "the reader is no number": (manifest(min_reader="x"), "seal.format_newer", READER_NUMBER),
    "version differs from head": (manifest(version=2), "seal.rollback", VERSION, RollbackDetected),
    "a field missing": (fields(lambda held: held.pop("region")), "seal.broken", FIELDS),
    "a field more": (fields(lambda held: held.update(name="Anna")), "seal.broken", FIELDS),
    "other objects signed than listed": (other_objects, INVALID, LISTED),
    "path traversal": (manifest(shards=(Shard("../" * 21 + "x", 1),)), INVALID, DIGEST_NAME),
    "a shard twice": (manifest_by(lambda held: {"shards": held.shards[:1] * 2}), INVALID, SHARD_TWICE),
    "a shard empty": (manifest(shards=(Shard("a" * 64, 0),)), INVALID, SHARD_EMPTY),
    "a person twice": (manifest(subjects=(ANNA, ANNA, BEN)), INVALID, PERSON_TWICE),
    "a person by another case": (manifest_by(renamed), INVALID, SUBJECT_NAME),
    "a tombstone that is a name": (manifest(tombstones=("Carla",)), INVALID, SUBJECT_NAME),
    "a person who is a tombstone": (manifest(tombstones=(ANNA,)), INVALID, DEAD_AND_ALIVE),
    "keys of other people": (manifest(key_versions={INDEX_KEY: 1}), INVALID, KEY_NAMES),
}

CASES = [
    *(Case("manifest", name, *rest) for name, rest in DISK.items()),
    *(
        Case("manifest", name, prepared, damage, read, STATEMENT, gone, StatementError)
        for name, (damage, gone) in ENVELOPE.items()
    ),
    *(
        Case("manifest", f"signed: {name}", prepared, damage, read, *rest)
        for name, (damage, *rest) in SIGNED.items()
    ),
]
