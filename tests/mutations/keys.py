"""Wrapped keys: the file, what a signed one must not say, and what a key server may answer."""

from __future__ import annotations

from dataclasses import replace

from sandbox.errors import KeyBarred, SealError, StatementError, SubjectErased
from sandbox.records import INDEX_KEY
from sandbox.sealing.manifest import keys_name
from tests.fakes.corpus import ANNA, BEN, DATASET
from tests.mutations.case import Case
from tests.mutations.checks import KEYS_DIGEST, MISSING, SIGNATURE
from tests.mutations.corpora import (
    Corpus,
    drop,
    file_bit,
    older,
    prepared,
    read,
    seal_more,
    start,
    stranger,
    swap_unsigned,
    twice,
    verify,
    wraps_swapped,
)
from tests.mutations.removal import Check, Edit, check

PEOPLE = check(
    "the keys file names the manifest's people",
    "sealing.reader:_wraps",
    "if set(wraps) != {*manifest.subjects, INDEX_KEY}:",
)
NO_WRAP = check("everybody has a wrap", "sealing.reader:_wraps", "not listed or ", "")
WRAP_TEXT = check(
    "a wrap is text", "sealing.reader:_wraps", " or any(type(item) is not str for item in listed)", ""
)
KEY_LENGTH = check("a data key has 32 bytes", "sealing.records:cipher", "if len(key) != KEY_BYTES:")
KEY_LOST = check(
    "a key lost is no erasure",
    "sealing.reader:_Opener.cipher",
    "except SubjectErased:",
    "except ZeroDivisionError:",
)
TOMBSTONE = check("tombstones", "sealing.reader:_chosen", "if subject in manifest.tombstones:")
KNOWN = check("only people of the manifest", "sealing.reader:_chosen", "if subject not in manifest.subjects:")
SOMEBODY = check("opened for somebody", "sealing.reader:_chosen", "if not chosen:")
ALL_BEFORE = check(
    "everybody's keys open before step 0",
    "sealing.reader:open_version",
    "for subject in chosen}",
    "for subject in chosen[:1]}",
)
CONTEXT = check("the context of a dataset's keys", "records:key_context", ", dataset", "")
WRAP_FORM = check(
    "a new wrap is one of transit's", "sealing.version:key_version", 'scheme != "vault" or ', ""
)
REUSED = check(
    "an erased id is never used again",
    "sealing.writer:Sealer._cipher",
    "if subject in self._before.tombstones:",
)
OWN_KEY = Check(
    "a transit key for each person (in the key server)",
    (
        Edit(
            "tests.fakes.keys:Keys._master", "self.masters[dataset, subject]", 'self.masters[dataset, "all"]'
        ),
        Edit(
            "tests.fakes.keys:Keys.create_subject_key",
            "self.masters.setdefault((dataset, subject),",
            'self.masters.setdefault((dataset, "all"),',
        ),
    ),
)


def swapped(corpus: Corpus) -> None:
    corpus.sign_keys(wraps_swapped(corpus.pinned_wraps()))


def swapped_by_a_stranger(corpus: Corpus) -> None:
    corpus.sign_keys(wraps_swapped(corpus.pinned_wraps()), stranger())


def signed(**changes):
    """Another keys file, properly signed; None takes a person out."""

    def damage(corpus: Corpus) -> None:
        wraps = {**corpus.pinned_wraps(), **changes}
        corpus.sign_keys({name: listed for name, listed in wraps.items() if listed is not None})

    return damage


def of_another_dataset(corpus: Corpus) -> None:
    """The very same transit key, asked to wrap in the context of another dataset."""
    corpus.keys.masters["other", ANNA] = corpus.keys.masters[DATASET, ANNA]
    corpus.sign_keys({**corpus.pinned_wraps(), ANNA: [corpus.keys.wrap_data_key("other", ANNA, bytes(32))]})


def short_key(corpus: Corpus) -> None:
    corpus.sign_keys({**corpus.pinned_wraps(), ANNA: [corpus.keys.wrap_data_key(DATASET, ANNA, bytes(16))]})


def lost(subject: str):
    return lambda corpus: corpus.keys.destroy(DATASET, subject)


def asked_for(*subjects: str):
    def damage(corpus: Corpus) -> None:
        corpus.subjects = list(subjects)

    return damage


def erased(corpus: Corpus) -> None:
    corpus.sign(replace(corpus.manifest(), tombstones=("spk_gone",)))
    corpus.subjects = ["spk_gone"]


def barred(corpus: Corpus) -> None:
    corpus.keys.barred.add(BEN)


def no_wrap(corpus: Corpus) -> None:
    corpus.keys.wrap_data_key = lambda *_: "plain:v1:AAAA"


NAME = keys_name(1)
DIFFER, INVALID = "seal.keys_differ", "seal.keys_invalid"
DISK = {
    "bit": (prepared, file_bit(NAME), read, DIFFER, KEYS_DIGEST),
    "bit, verified": (prepared, file_bit(NAME), verify, DIFFER, KEYS_DIGEST),
    "missing": (prepared, drop(NAME), read, "seal.object_missing", MISSING),
    "old ones under a new name": (twice, older(keys_name), read, DIFFER, KEYS_DIGEST),
    "two people's swapped, unsigned": (prepared, swap_unsigned(NAME), read, DIFFER, KEYS_DIGEST),
    "two people's swapped, signed by a stranger": (
        prepared,
        swapped_by_a_stranger,
        read,
        "statement.invalid",
        SIGNATURE,
        StatementError,
    ),
}
SIGNED = {
    "two people's swapped": (swapped, "seal.broken", OWN_KEY),
    "wrapped in another dataset's context": (of_another_dataset, "seal.broken", CONTEXT),
    "a person without wrap": (signed(**{ANNA: []}), INVALID, NO_WRAP),
    "a person left out": (signed(**{ANNA: None}), INVALID, PEOPLE),
    "a stranger's wrap": (signed(spk_x0=["vault:v1:"]), INVALID, PEOPLE),
    "a wrap is no text": (signed(**{ANNA: [1]}), INVALID, WRAP_TEXT),
    "a data key of 16 bytes": (short_key, "seal.key_invalid", KEY_LENGTH),
}
ANSWERS = {
    "a person's key lost": (lost(ANNA), start, "seal.key_missing", KEY_LOST, SealError),
    "the index's key lost": (lost(INDEX_KEY), start, "seal.key_missing", KEY_LOST, SealError),
    "a person barred": (barred, start, "subject.barred", ALL_BEFORE, KeyBarred),
    "asked for one who was erased": (erased, start, "subject.erased", TOMBSTONE, SubjectErased),
    "asked for a stranger": (asked_for("spk_nobody"), start, "seal.subject_unknown", KNOWN),
    "asked for the index as a person": (asked_for(INDEX_KEY), start, "seal.subject_unknown", KNOWN),
    "asked for nobody": (asked_for(), start, "seal.no_subjects", SOMEBODY),
    "sealing for one who was erased": (erased, seal_more, "subject.erased", REUSED, SubjectErased),
    "sealing with a wrap that is none": (no_wrap, seal_more, "seal.key_invalid", WRAP_FORM),
}

CASES = [
    *(Case("keys", name, *rest) for name, rest in DISK.items()),
    *(
        Case("keys", f"signed: {name}", prepared, damage, read, *rest)
        for name, (damage, *rest) in SIGNED.items()
    ),
    *(Case("keys", name, prepared, *rest) for name, rest in ANSWERS.items()),
]
