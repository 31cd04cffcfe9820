"""Signed registers: verify a chain of entries against its head, then fold it to what holds now.

An entry is an in-toto statement named after its register, with ``seq`` from 1 and its predecessor's digest; the head
(sequence number and digest of the last entry) lives in Vault, where neither storage nor the gate can rewrite it
(CONTRACTS, "Registers").
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sandbox.errors import RollbackDetected, StatementError
from sandbox.policy.entries import (
    AccessEntry,
    ApprovalEntry,
    ConsentEntry,
    DatasetEntry,
    Entry,
    ErasureEntry,
    IntakeEntry,
    PersonEntry,
    StatusEntry,
    check_entry,
)
from sandbox.policy.fields import moment
from sandbox.policy.review_entries import AccessReviewEntry, ImageEntry, RequestEntry
from sandbox.statements import PublicKey, canonical_json, open_statement, sha256

REQUESTS, REVIEWS = "access-request", "access-review"
NAMES = ("people", "access", "consent", "dataset", "status", "erasure", "intake", REQUESTS, REVIEWS)
APPROVALS, IMAGES = "recipe-approval", "image-approval"
REVIEWED = (APPROVALS, IMAGES)  # written by the gate, for reviewers


@dataclass(frozen=True)
class RegisterHead:
    """What Vault says of a register: its last entry. ``seq`` 0 and an empty digest: nothing was written yet."""

    seq: int = 0
    digest: str = ""

    @classmethod
    def of(cls, heads: Mapping[str, Any], name: str) -> RegisterHead:
        """The head of register ``name`` in the value that Vault keeps: ``{name: {"seq", "digest"}, …}``."""
        kept = heads.get(name)
        return cls() if kept is None else cls(int(kept["seq"]), str(kept["digest"]))

    def to_json(self) -> dict[str, Any]:
        return {"seq": self.seq, "digest": self.digest}


@dataclass(frozen=True)
class Posting:
    """One verified entry, with who wrote it, when, and the statement's digest."""

    register: str
    seq: int
    at: datetime
    by: str
    entry: Entry
    digest: str


def read_chain(
    register: str,
    files: Iterable[tuple[int, bytes]],
    head: RegisterHead,
    keys: Sequence[PublicKey],
) -> tuple[Posting, ...]:
    """All entries up to the head, each verified and each naming the one before it.

    An entry after the head is not in force and is left out: a writer stores the file first and moves the head then.

    Raises:
        RollbackDetected: entries that the head counts are missing.
        StatementError: a signature, number, predecessor, field or the head's digest does not fit.
    """
    by_seq = dict(files)
    found: list[Posting] = []
    for seq in range(1, head.seq + 1):
        if seq not in by_seq:
            raise RollbackDetected(
                f"register {register} lacks entry {seq} of {head.seq}", code="register.rollback"
            )
        previous = found[-1].digest if found else None
        found.append(open_posting(register, seq, by_seq[seq], previous, keys))
    last = found[-1].digest if found else ""
    if last != head.digest:
        raise StatementError(
            f"register {register} does not end in the entry that its head names", code="register.head"
        )
    return tuple(found)


def open_posting(
    register: str, seq: int, data: bytes, previous: str | None, keys: Sequence[PublicKey]
) -> Posting:
    """One entry. ``previous`` is the digest that it must name. Raises StatementError."""
    statement = open_statement(data, register, keys)
    predicate = statement.predicate
    if set(predicate) != {"seq", "previous", "at", "by", "entry"} or not isinstance(predicate["entry"], dict):
        raise StatementError(f"{register}/{seq} is signed, but is no register entry")
    if predicate["seq"] != seq or predicate["previous"] != previous:
        raise StatementError(
            f"{register}/{seq} stands in another place than it was signed for", code="register.chain"
        )
    named = ((f"{register}/{seq}", sha256(canonical_json(predicate["entry"]))),)
    if statement.subjects != named:
        raise StatementError(f"{register}/{seq} does not name the digest of its own entry")
    try:
        at = moment(predicate["at"])
    except ValueError:
        raise StatementError(f"{register}/{seq} has no time") from None
    entry = check_entry(register, predicate["entry"])
    return Posting(register, seq, at, str(predicate["by"]), entry, statement.digest)


@dataclass(frozen=True)
class Registers:
    """What holds now: of each key the latest entry. ``heads`` are the digests it was read at, for replay."""

    people: Mapping[str, PersonEntry] = field(default_factory=dict)
    access: Mapping[str, AccessEntry] = field(default_factory=dict)
    consents: Mapping[tuple[str, str], ConsentEntry] = field(default_factory=dict)
    datasets: Mapping[tuple[str, int], DatasetEntry] = field(default_factory=dict)
    statuses: Mapping[str, StatusEntry] = field(default_factory=dict)
    erasures: Mapping[tuple[str, str], ErasureEntry] = field(default_factory=dict)
    approvals: Mapping[tuple[str, str], ApprovalEntry] = field(default_factory=dict)
    intake: Mapping[str, IntakeEntry] = field(default_factory=dict)
    granted_at: Mapping[str, datetime] = field(default_factory=dict)  # access id -> first written
    heads: Mapping[str, str] = field(default_factory=dict)
    withdrawn_at: Mapping[tuple[str, str], datetime] = field(
        default_factory=dict
    )  # the last time, though given anew
    requests: Mapping[str, RequestEntry] = field(default_factory=dict)
    reviewed_at: Mapping[str, datetime] = field(default_factory=dict)  # access id -> kept the last time
    images: Mapping[tuple[str, str], ImageEntry] = field(default_factory=dict)

    def dataset(self, name: str, version: int | None = None) -> DatasetEntry | None:
        """That version, or the newest."""
        if version is not None:
            return self.datasets.get((name, version))
        versions = [number for dataset, number in self.datasets if dataset == name]
        return self.datasets[name, max(versions)] if versions else None

    def approved_by(self, recipe_digest: str, purpose: str = "") -> tuple[str, ...]:
        """Reviewers whose approval of these bytes (for ``purpose``) stands, and who may still review."""
        return tuple(
            sorted(
                entry.reviewer
                for entry in self.approvals.values()
                if entry.digest == recipe_digest
                and entry.status == "approved"
                and (not purpose or purpose in entry.purposes)
                and self.may_review(entry.reviewer)
            )
        )

    def revoked_by(self, recipe_digest: str) -> tuple[str, ...]:
        """Who said that these bytes may not run any more; that stands until they say otherwise, also when they left."""
        return tuple(
            sorted(
                entry.reviewer
                for entry in self.approvals.values()
                if entry.digest == recipe_digest and entry.status == "revoked"
            )
        )

    def image_approved_by(self, image: str) -> tuple[str, ...]:
        """Reviewers whose approval of this image stands, and who may still give it."""
        return tuple(
            sorted(
                entry.reviewer
                for entry in self.images.values()
                if entry.image == image
                and entry.status == "approved"
                and self.may_review_image(entry.reviewer)
            )
        )

    def image_revoked_by(self, image: str) -> tuple[str, ...]:
        """Who said that this image may not run any more."""
        return tuple(
            sorted(e.reviewer for e in self.images.values() if e.image == image and e.status == "revoked")
        )

    def may_review_image(self, name: str) -> bool:
        """Whether this person reviews, and installs nothing: operators install images."""
        person = self.people.get(name)
        return person is not None and self.may_review(name) and "operator" not in person.roles

    def may_review(self, name: str) -> bool:
        """Whether this person is there and holds a role that reviews recipes."""
        person = self.people.get(name)
        return (
            person is not None
            and person.status == "active"
            and bool({"privacy_reviewer", "party_a_approver"} & set(person.roles))
        )


def fold(chains: Mapping[str, Sequence[Posting]]) -> Registers:
    """Every verified chain to one picture; a register that is not given is empty."""
    latest: dict[str, dict[object, Entry]] = {}
    granted_at: dict[str, datetime] = {}
    withdrawn_at: dict[tuple[str, str], datetime] = {}
    reviewed_at: dict[str, datetime] = {}
    for name, chain in chains.items():
        kept = latest.setdefault(name, {})
        for posting in chain:
            kept[posting.entry.key] = posting.entry
            if isinstance(posting.entry, AccessEntry):
                granted_at.setdefault(posting.entry.id, posting.at)
            if isinstance(posting.entry, ConsentEntry) and posting.entry.status == "ConsentWithdrawn":
                withdrawn_at[posting.entry.key] = posting.at
            if isinstance(posting.entry, AccessReviewEntry) and posting.entry.verdict == "kept":
                reviewed_at[posting.entry.access] = posting.at
    return Registers(
        people=latest.get("people", {}),  # type: ignore[arg-type]  # the chain's register fixes the entry's class
        access=latest.get("access", {}),  # type: ignore[arg-type]
        consents=latest.get("consent", {}),  # type: ignore[arg-type]
        datasets=latest.get("dataset", {}),  # type: ignore[arg-type]
        statuses=latest.get("status", {}),  # type: ignore[arg-type]
        erasures=latest.get("erasure", {}),  # type: ignore[arg-type]
        approvals=latest.get(APPROVALS, {}),  # type: ignore[arg-type]
        intake=latest.get("intake", {}),  # type: ignore[arg-type]
        granted_at=granted_at,
        heads={name: chain[-1].digest if chain else "" for name, chain in chains.items()},
        withdrawn_at=withdrawn_at,
        requests=latest.get(REQUESTS, {}),  # type: ignore[arg-type]
        reviewed_at=reviewed_at,
        images=latest.get(IMAGES, {}),  # type: ignore[arg-type]
    )
