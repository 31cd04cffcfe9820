"""Sealing an upload: judged recording by recording in memory, encrypted as it comes, entered when all of it is safe.

1. Who asks, the agreement and its terms for this dataset.     2. Every recording: transcript, then audio.
3. A bad one is set aside with a reason; unless that was allowed, nothing is sealed, but all of them are named.
4. The version and its head.     5. The dataset register.     6. Run policies: whoever lacks a consent is barred.

A crash after 4 is mended at the next start: 5 and 6 are :func:`settle`, which may repeat.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import Field, ValidationError

from sandbox.custodian.agreements import load_terms, standing
from sandbox.custodian.bar import refresh_policies
from sandbox.custodian.desk import Desk
from sandbox.custodian.people import STEWARD, require
from sandbox.custodian.recording import Wishes, prepared
from sandbox.custodian.upload import Upload, UploadReader
from sandbox.errors import Conflict, Reason, Refused, Usage
from sandbox.policy.documents import Model
from sandbox.policy.fields import AgreementName, DatasetName, Flag, Number, Text, Whole
from sandbox.runs import utc
from sandbox.sealing.audio import MAX_SECONDS, encode_flac
from sandbox.sealing.recording import Fault, decode
from sandbox.sealing.records import Record
from sandbox.sealing.transcript import judge
from sandbox.sealing.version import Terms
from sandbox.sealing.writer import Sealer, Sealing
from sandbox.statements import sha256

_ALPHABET = "23456789abcdefghjkmnpqrstuvwxyz"
_LISTED = 50  # reasons in a refusal; every one was sent as a line before
_PROGRESS_S = 0.5


class SealRequest(Model):
    """``request.json``: into which dataset, under which agreement, and what may be done to bad or odd recordings."""

    dataset: DatasetName
    agreement: AgreementName
    region: Text | None = None
    add: Flag = False
    set_aside: Flag = False
    downmix: Flag = False
    resample: Annotated[Whole, Field(ge=8_000, le=96_000)] | None = None
    max_seconds: Annotated[Number, Field(gt=0, le=300)] = MAX_SECONDS


@dataclass
class _Tally:
    """What happened so far."""

    read: int = 0
    sealed: int = 0
    faults: list[Reason] = field(default_factory=list)
    aside: int = 0
    languages: set[str] = field(default_factory=set)
    seen: set[str] = field(default_factory=set)


def seal_upload(desk: Desk, caller: str, pieces: Iterable[bytes]) -> Iterator[Mapping[str, Any]]:
    """Check the request, then answer the lines of its sealing: ``progress``, ``set_aside``, at the end ``sealed``.

    Raises:
        NotPermitted, Usage, Refused: before anything is read.
    """
    require(desk, caller, STEWARD)
    reader = UploadReader(pieces)
    asked = _asked(reader.request)
    terms = _terms(desk, asked)
    if not asked.add and asked.dataset in desk.datasets():
        raise Conflict(
            f"{asked.dataset} is sealed already",
            code="dataset.exists",
            mend="--add puts these recordings to it",
        )
    sealer = Sealer(asked.dataset, desk.folder(asked.dataset), desk.hands(asked.dataset))
    return _seal(desk, caller, asked, terms, sealer, reader.uploads())


def settle(desk: Desk, dataset: str, caller: str) -> dict[str, list[str]]:
    """Enter the newest version in the register if it is not there, and write its run policies. May repeat."""
    with desk.lock:
        opened = desk.manifest(dataset)
        manifest = opened.manifest
        if (dataset, manifest.version) not in desk.now("dataset").datasets:
            entry = {
                "dataset": dataset,
                "version": manifest.version,
                "manifest": opened.digest,
                "agreement": manifest.agreement,
                "agreement_digest": manifest.agreement_digest,
                "subjects": list(manifest.subjects),
                "records": manifest.records,
                "hours": manifest.hours,
                "region": manifest.region,
                "retention_until": manifest.retention_until,
                "purposes": list(manifest.purposes),
            }
            desk.registers.append("dataset", [entry], caller)
        return refresh_policies(desk, dataset)


def _asked(request: Mapping[str, Any]) -> SealRequest:
    try:
        return SealRequest.model_validate(request)
    except ValidationError as fault:
        fields = sorted({".".join(map(str, error["loc"])) for error in fault.errors(include_url=False)})
        raise Usage(f"request.json has wrong fields: {', '.join(fields)}", code="upload.invalid") from None


def _terms(desk: Desk, asked: SealRequest) -> Terms:
    """What the manifest will say, from the agreement. Raises Refused with every reason against sealing."""
    entry = standing(desk, asked.agreement)
    if entry is None or entry.status != "active":
        why = "was never activated" if entry is None else f"is {entry.status}"
        raise Refused(
            f"agreement {asked.agreement} {why}", code="agreement.inactive", mend="activate it first"
        )
    terms, now = load_terms(desk, entry), desk.clock()
    listed = terms.dataset(asked.dataset)
    if listed is None:
        raise Refused(
            f"{asked.dataset} is no dataset of {asked.agreement}",
            code="dataset.not_agreed",
            mend="name one of the agreement's datasets",
        )
    regions = listed.storage.regions
    region = asked.region or (regions[0] if len(regions) == 1 else "")
    if region not in regions:
        raise Refused(
            "the region is none of the agreement's", code="region.not_agreed", mend=f"--region {regions[0]}"
        )
    if not terms.effective.since <= now < min(terms.effective.until, listed.retention.until):
        raise Refused(
            f"{asked.agreement} does not allow to keep {asked.dataset} now", code="agreement.period"
        )
    wishes = _wishes(asked)
    return Terms(
        agreement=asked.agreement,
        agreement_digest=entry.digest,
        purposes=tuple(listed.purposes),
        retention_until=utc(listed.retention.until),
        region=region,
        consent_digest=desk.registers.digest("consent"),
        processing={"codec": "FLAC", **wishes.to_json()},
        created_at=utc(now),
    )


def _wishes(asked: SealRequest) -> Wishes:
    return Wishes(asked.resample, asked.downmix, asked.max_seconds)


def _seal(
    desk: Desk, caller: str, asked: SealRequest, terms: Terms, sealer: Sealer, uploads: Iterator[Upload]
) -> Iterator[Mapping[str, Any]]:
    tally, told = _Tally(), time.monotonic()
    try:
        for upload in uploads:
            tally.read += 1
            found = _record(upload, _wishes(asked), tally.seen)
            if isinstance(found, Fault):
                yield _set_aside(upload, found, tally)
            elif not tally.aside or asked.set_aside:  # after a bad one the rest is judged, not sealed
                sealer.add(found)
                tally.sealed += 1
                tally.languages.add(found.language)
            if time.monotonic() - told > _PROGRESS_S:
                told = time.monotonic()
                yield {
                    "event": "progress",
                    "read": tally.read,
                    "sealed": tally.sealed,
                    "set_aside": tally.aside,
                }
        if tally.aside and not asked.set_aside:
            raise Refused(
                f"{tally.aside} of {tally.read} recordings are not fit for sealing; nothing was sealed",
                reasons=tally.faults,
                code="seal.bad_recordings",
                mend="mend them, or --set-aside to seal the others",
            )
        done = sealer.finish(terms)
    except (Exception, GeneratorExit):
        sealer.discard()
        raise
    yield _report(done, tally, settle(desk, asked.dataset, caller))


def _record(upload: Upload, wishes: Wishes, seen: set[str]) -> Record | Fault:
    said = judge(upload.facts)
    if isinstance(said, Fault):
        return said
    digest = sha256(upload.audio)
    if digest in seen:
        return Fault("audio.duplicate", "the same recording stands in this upload already")
    found = decode(upload.audio, downmix=wishes.downmix, max_seconds=wishes.max_seconds)
    if isinstance(found, Fault):
        return found
    decoded = prepared(found, wishes.resample)
    seen.add(digest)
    return Record(
        record="u" + "".join(secrets.choice(_ALPHABET) for _ in range(12)),
        subject=said.subject,
        language=said.language,
        sample_rate=decoded.audio.sample_rate,
        samples=len(decoded.audio.samples),
        text=said.text,
        flac=encode_flac(decoded.audio, decoded.subtype),
        source={"file": said.file, "sha256": digest},
    )


def _set_aside(upload: Upload, fault: Fault, tally: _Tally) -> Mapping[str, Any]:
    tally.aside += 1
    file = str(upload.facts.get("file") or upload.number)[:512]
    if len(tally.faults) < _LISTED:
        tally.faults.append(Reason(fault.code, file, fault.why, "mend the recording, or leave it out"))
    return {"event": "set_aside", "file": file, "code": fault.code, "why": fault.why}


def _report(done: Sealing, tally: _Tally, barred: Mapping[str, list[str]]) -> Mapping[str, Any]:
    manifest = done.manifest
    return {
        "event": "sealed",
        "dataset": manifest.dataset,
        "version": manifest.version,
        "manifest": done.digest,
        "added": done.added,
        "records": manifest.records,
        "hours": manifest.hours,
        "subjects": len(manifest.subjects),
        "shards": len(manifest.shards),
        "languages": sorted(tally.languages),
        "set_aside": tally.aside,
        "plain_bytes": done.plain_bytes,
        "sealed_bytes": done.sealed_bytes,
        "barred": dict(barred),
    }
