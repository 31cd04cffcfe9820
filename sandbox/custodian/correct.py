"""Correction: a steward supplies a record's recording and transcript anew, for the custodian may open no voice.

The record keeps its id, its subject and its language, which the index says; it is judged and processed as any other
recording of its dataset, in memory. What was before is superseded: revision + 1.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from sandbox.custodian.desk import Desk
from sandbox.custodian.people import STEWARD, require
from sandbox.custodian.recording import Wishes
from sandbox.custodian.seal import SealRequest, agreed_terms, record_of, settle
from sandbox.custodian.upload import Upload, UploadReader
from sandbox.custodian.versions import renewed
from sandbox.errors import Reason, Refused, Usage
from sandbox.records import Manifest, check_id
from sandbox.sealing.corrector import Corrector
from sandbox.sealing.recording import Fault


def correct_record(
    desk: Desk, caller: str, dataset: str, pieces: Iterable[bytes]
) -> Iterator[Mapping[str, Any]]:
    """``pieces`` is an upload whose request is ``{"record": …}``, with one recording; one line: ``corrected``.

    Raises:
        NotFound: no such dataset or record.
        Refused: the agreement does not allow it now, or the recording is not fit.
    """
    require(desk, caller, STEWARD)
    reader = UploadReader(pieces)
    record = check_id("record", reader.request.get("record"))
    corrector = Corrector(dataset, record, desk.folder(dataset), desk.hands(dataset))
    manifest = corrector.manifest
    agreed_terms(
        desk,
        SealRequest(dataset=dataset, agreement=manifest.agreement, region=manifest.region, add=True),
        direct=True,
    )
    return _correct(desk, caller, corrector, _only(reader))


def _only(reader: UploadReader) -> Upload:
    uploads = reader.uploads()
    first = next(uploads, None)
    if first is None or next(uploads, None) is not None:  # a second one is not waited for
        raise Usage("a correction is of one recording", code="upload.invalid")
    return first


def _correct(desk: Desk, caller: str, corrector: Corrector, upload: Upload) -> Iterator[Mapping[str, Any]]:
    row, before = corrector.row, corrector.manifest
    facts = {**upload.facts, "subject": row.subject, "language": row.language}
    found = record_of(replace(upload, facts=facts), _wishes(before), set())
    if isinstance(found, Fault):
        mend = "mend the recording or its transcript"
        raise Refused(
            f"the correction of {row.record} is not fit for sealing; nothing was changed",
            reasons=[Reason(found.code, row.record, found.why, mend)],
            code="seal.bad_recordings",
            mend=mend,
        )
    terms = renewed(desk, before)
    terms = replace(terms, processing={**terms.processing, "direct": True})  # no consignment brought it
    done = corrector.replace(replace(found, record=row.record), terms)
    yield {
        "event": "corrected",
        "dataset": done.manifest.dataset,
        "record": row.record,
        "revision": row.revision + 1,
        "version": done.manifest.version,
        "manifest": done.digest,
        "barred": settle(desk, done.manifest.dataset, caller),
    }


def _wishes(manifest: Manifest) -> Wishes:
    """What was done to the dataset's recordings is done to this one too, so that its manifest stays true."""
    said = manifest.processing
    known = {name: said[name] for name in ("resample", "downmix", "max_seconds", "loudness") if name in said}
    return Wishes(**known)
