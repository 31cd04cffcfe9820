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
from dataclasses import dataclass, field, replace
from typing import Annotated, Any

from pydantic import Field, ValidationError

from sandbox.custodian.agreements import load_terms, require_own, standing
from sandbox.custodian.bar import refresh_policies
from sandbox.custodian.desk import Desk
from sandbox.custodian.people import STEWARD, require
from sandbox.custodian.recording import Wishes, prepared
from sandbox.custodian.upload import Upload, UploadReader
from sandbox.errors import Conflict, NotFound, Reason, Refused, Usage
from sandbox.policy.documents import Model
from sandbox.policy.entries import IntakeEntry
from sandbox.policy.fields import AgreementName, DatasetName, Flag, Number, Text, Whole
from sandbox.records import Manifest
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
_NAMED = 1000  # records a line


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
    loudness: Annotated[Number, Field(ge=-40, le=-10)] | None = None


@dataclass
class _Tally:
    """What happened so far."""

    read: int = 0
    sealed: int = 0
    faults: list[Reason] = field(default_factory=list)
    aside: int = 0
    languages: set[str] = field(default_factory=set)
    seen: set[str] = field(default_factory=set)
    placed: list[list[str]] = field(default_factory=list)  # [file, record]


def seal_upload(desk: Desk, caller: str, pieces: Iterable[bytes]) -> Iterator[Mapping[str, Any]]:
    """Check the request, then answer the lines of its sealing: ``progress``, ``set_aside``, at the end ``sealed``.

    Raises:
        NotPermitted, Usage, Refused: before anything is read.
    """
    require(desk, caller, STEWARD)
    reader = UploadReader(pieces)
    asked = _asked(reader.request)
    terms = agreed_terms(desk, asked, direct=True)
    if not asked.add and asked.dataset in desk.datasets():
        raise Conflict(
            f"{asked.dataset} is sealed already",
            code="dataset.exists",
            mend="--add puts these recordings to it",
        )
    sealer = Sealer(asked.dataset, desk.folder(asked.dataset), desk.hands(asked.dataset))
    return _seal(desk, caller, asked, terms, sealer, reader.uploads())


def seal_consignment(
    desk: Desk, caller: str, asked: SealRequest, uploads: Iterator[Upload], consignment: str
) -> Iterator[Mapping[str, Any]]:
    """Likewise for the recordings of an accepted consignment, which the manifest names."""
    terms = agreed_terms(desk, asked, direct=False)
    sealer = Sealer(asked.dataset, desk.folder(asked.dataset), desk.hands(asked.dataset))
    return _seal(desk, caller, asked, terms, sealer, uploads, consignment)


def origins(manifest: Manifest) -> tuple[tuple[str, ...], bool]:
    """The consignments that a version's records came from, and whether some came without one (V11)."""
    named = manifest.processing.get("consignments", ())
    return tuple(map(str, named)), manifest.processing.get("direct") is not False


def is_sealed(desk: Desk, entry: IntakeEntry) -> bool:
    """Whether the dataset's newest version names the consignment: it was opened and sealed."""
    if entry.state != "accepted":
        return False
    try:
        return entry.consignment in origins(desk.manifest(entry.dataset).manifest)[0]
    except NotFound:
        return False


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
                "consignments": list(origins(manifest)[0]),
                "direct": origins(manifest)[1],
            }
            desk.registers.append("dataset", [entry], caller)
        return refresh_policies(desk, dataset)


def _asked(request: Mapping[str, Any]) -> SealRequest:
    try:
        return SealRequest.model_validate(request)
    except ValidationError as fault:
        fields = sorted({".".join(map(str, error["loc"])) for error in fault.errors(include_url=False)})
        raise Usage(f"request.json has wrong fields: {', '.join(fields)}", code="upload.invalid") from None


def agreed_terms(desk: Desk, asked: SealRequest, *, direct: bool) -> Terms:
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
    require_own(desk, asked.agreement, asked.dataset)
    if direct and listed.intake != "direct":
        raise Refused(
            f"{asked.agreement} takes {asked.dataset} by reviewed consignments",
            code="dataset.intake_required",
            mend="sandbox data pack, then sandbox data receive; or agree on intake: direct",
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
    return Wishes(asked.resample, asked.downmix, asked.max_seconds, asked.loudness)


def _seal(
    desk: Desk,
    caller: str,
    asked: SealRequest,
    terms: Terms,
    sealer: Sealer,
    uploads: Iterator[Upload],
    consignment: str | None = None,
) -> Iterator[Mapping[str, Any]]:
    tally, told = _Tally(), time.monotonic()
    try:
        for upload in uploads:
            tally.read += 1
            found = record_of(upload, _wishes(asked), tally.seen)
            if isinstance(found, Fault):
                yield _set_aside(upload, found, tally)
            elif not tally.aside or asked.set_aside:  # after a bad one the rest is judged, not sealed
                sealer.add(found)
                tally.sealed += 1
                tally.languages.add(found.language)
                tally.placed.append([found.source["file"], found.record])
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
        done = sealer.finish(_with_origins(desk, asked.dataset, terms, consignment))
    except (Exception, GeneratorExit):
        sealer.discard()
        raise
    barred = settle(desk, asked.dataset, caller)
    if consignment is None:  # what names mean stays with whoever sent them
        for start in range(0, len(tally.placed), _NAMED):
            yield {"event": "records", "records": tally.placed[start : start + _NAMED]}
    yield _report(done, tally, barred)


def _with_origins(desk: Desk, dataset: str, terms: Terms, consignment: str | None) -> Terms:
    """What the version before says of its origins, and this one's. Whoever seals meanwhile makes the head refuse."""
    try:
        named, direct = origins(desk.manifest(dataset).manifest)
    except NotFound:
        named, direct = (), False
    told = {
        "consignments": [*named, *([consignment] if consignment else [])],
        "direct": direct or consignment is None,
    }
    return replace(terms, processing={**terms.processing, **told})


def record_of(upload: Upload, wishes: Wishes, seen: set[str]) -> Record | Fault:
    said = judge(upload.facts)
    if isinstance(said, Fault):
        return said
    digest = sha256(upload.audio)
    if digest in seen:
        return Fault("audio.duplicate", "the same recording stands in this upload already")
    found = decode(upload.audio, downmix=wishes.downmix, max_seconds=wishes.max_seconds)
    if isinstance(found, Fault):
        return found
    decoded = prepared(found, wishes.resample, wishes.loudness)
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
