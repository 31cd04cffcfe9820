"""What the custodian shows: registers as they stand, datasets as they are signed. Never a record, never a key."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from dataclasses import asdict
from typing import Any

from sandbox.custodian.desk import Desk
from sandbox.custodian.people import APPROVER, STEWARD, require
from sandbox.custodian.retention import due, ending
from sandbox.sealing.verify import verify_version
from sandbox.service.paging import limit_of, number_of, page
from sandbox.storage.ahead import ReadAhead

REVIEWERS = (APPROVER, STEWARD, "privacy_reviewer", "auditor", "operator")
EVERYBODY = (*REVIEWERS, "ml_engineer")
LISTED = {
    "people": REVIEWERS,
    "access": REVIEWERS,
    "consent": REVIEWERS,
    "status": EVERYBODY,
    "erasure": REVIEWERS,
    "intake": REVIEWERS,
}
PAGE = 500


def list_register(desk: Desk, caller: str, name: str, query: Mapping[str, str]) -> dict[str, Any]:
    """The entries in force, oldest first; ``dataset`` and ``subject`` narrow, ``after`` goes on behind that number."""
    require(desk, caller, *LISTED[name])
    newest = {posting.entry.key: posting for posting in desk.registers.entries(name)}
    narrowed = {
        field: query[field] for field in ("dataset", "subject", "person", "agreement") if query.get(field)
    }
    after, limit = number_of(query), limit_of(query, PAGE)
    found = []
    for posting in sorted(newest.values(), key=lambda posting: posting.seq):
        said = posting.entry.model_dump(mode="json")
        if posting.seq > after and all(said.get(field) == value for field, value in narrowed.items()):
            found.append({**said, "seq": posting.seq, "by": posting.by, "entered": posting.at.isoformat()})
    shown = found[:limit]
    return {"items": shown, "next": str(shown[-1]["seq"]) if len(found) > limit else "", "limit": limit}


def list_datasets(desk: Desk, caller: str, query: Mapping[str, str]) -> dict[str, Any]:
    require(desk, caller, *EVERYBODY)
    picture = desk.now("dataset")
    newest = [picture.dataset(name) for name in desk.datasets()]
    shown = [entry.model_dump(mode="json") for entry in newest if entry is not None]
    return page([{**one, **ending(desk, one["dataset"])} for one in shown], query, PAGE)


def list_due(desk: Desk, caller: str, query: Mapping[str, str]) -> dict[str, Any]:
    """What may not be kept any more."""
    require(desk, caller, *EVERYBODY)
    return page([asdict(one) for one in due(desk)], query, PAGE)


def show_dataset(desk: Desk, caller: str, dataset: str) -> dict[str, Any]:
    """The newest manifest, verified from the head on."""
    require(desk, caller, *EVERYBODY)
    opened = desk.manifest(dataset)
    shown = opened.manifest.to_predicate()
    shown["shards"] = [{"sha256": shard.sha256, "size": shard.size} for shard in opened.manifest.shards]
    said = {name: shown[name] for name in shown if name != "key_versions"}
    return {"manifest": opened.digest, **said, **ending(desk, dataset)}


def verify_dataset(desk: Desk, caller: str, dataset: str) -> Iterator[Mapping[str, Any]]:
    """Hash every byte of the newest version; lines of progress, then what was found.

    Raises:
        SealError, StatementError: the first thing that is not what was signed.
    """
    require(desk, caller, *REVIEWERS)
    opened = desk.manifest(dataset)
    return _verify(desk, dataset, opened)


def _verify(desk: Desk, dataset: str, opened: Any) -> Iterator[Mapping[str, Any]]:
    total = sum(shard.size for shard in opened.manifest.shards)
    yield {"event": "progress", "bytes": 0, "of": total}
    store = desk.folder(dataset)
    with nullcontext(store) if desk.elsewhere is None else ReadAhead(store) as source:
        done = verify_version(source, opened)
    yield {
        "event": "verified",
        "dataset": dataset,
        "version": opened.manifest.version,
        "manifest": opened.digest,
        "shards": done.shards,
        "bytes": done.bytes,
        "records": opened.manifest.records,
    }
