"""Packing: every recording judged, pseudonymised, scanned and encrypted, one in memory at a time; then signed.

1. Judge as the custodian will; a bad recording stops it, unless they may be set aside.
2. Speaker -> pseudonym, file name -> number, transcript -> scanned and treated.
3. Encrypt, into a spool of ciphertext.     4. Untreated findings stop it.
5. Names and files, for Party A alone.     6. Letter, manifest, findings, then the spool (``archive``).
"""

from __future__ import annotations

import csv
import hashlib
import io
import secrets
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from sandbox.client.packing.archive import write_archive
from sandbox.client.packing.private import write_private
from sandbox.client.packing.pseudonyms import Pseudonyms
from sandbox.client.packing.treatment import Treatment
from sandbox.client.readers import Recording
from sandbox.client.rehearsal import PROBLEMS, examine
from sandbox.client.screening import VERSION, known_names
from sandbox.consignment.chunks import encrypt_file
from sandbox.consignment.envelope import KEY_BYTES, IntakeKey, wrap_key
from sandbox.consignment.findings import Finding, treated, write_findings
from sandbox.consignment.letter import Letter
from sandbox.consignment.manifest import Listed, file_name, write_manifest
from sandbox.consignment.payload import pack_recording
from sandbox.errors import Reason, Refused, Usage
from sandbox.runs import new_id, utc
from sandbox.sealing.audio import MAX_SECONDS
from sandbox.statements import Signer, sha256

_LISTED = 50


@dataclass(frozen=True)
class Order:
    """What is to be sent to whom. ``number`` rises with every consignment of the agreement."""

    number: int
    agreement: str
    dataset: str
    categories: tuple[str, ...]
    to: IntakeKey
    downmix: bool = False
    max_seconds: float = MAX_SECONDS
    set_aside: bool = False


@dataclass(frozen=True)
class Packed:
    """What was made, for showing. ``findings``: (kind, treatment) -> count."""

    letter: Letter
    seconds: float
    drawn: int
    aside: int
    findings: Counter[tuple[str, str]]


@dataclass
class _Load:
    """What is in the spool so far."""

    listed: list[Listed] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    subjects: set[str] = field(default_factory=set)
    findings: list[Finding] = field(default_factory=list)
    faults: list[Reason] = field(default_factory=list)
    aside: int = 0
    seconds: float = 0.0


def pack(
    recordings: Sequence[Recording],
    order: Order,
    pseudonyms: Pseudonyms,
    treatment: Treatment,
    signer: Signer,
    target: Path,
    now: Callable[[], datetime],
) -> Packed:
    """Write ``target``, and beside it ``target.files.csv``: which file became which number.

    Raises:
        Refused: bad recordings, or findings that nobody treated; nothing was written.
        Usage: a file cannot be written, or is there already.
    """
    beside = target.with_name(f"{target.name}.files.csv")
    for path in (target, beside):  # an older list may be all that says what a consignment's numbers mean
        if path.exists():
            raise Usage(f"{path} is already there", code="file.exists", mend="name another file")
    consignment, key = new_id("cs-"), secrets.token_bytes(KEY_BYTES)
    try:
        spool = tempfile.TemporaryFile(dir=target.parent)  # noqa: SIM115 - closed below; holds ciphertext alone
    except OSError as fault:
        raise Usage(f"{target.parent} cannot be written: {fault.strerror}", code="file.unwritable") from None
    with spool:
        load = _load(recordings, order, pseudonyms, treatment, spool, consignment, key)
        _require_sound(load, order)
        said = Letter(
            consignment=consignment,
            number=order.number,
            agreement=order.agreement,
            dataset=order.dataset,
            categories=order.categories,
            subjects=tuple(sorted(load.subjects)),
            files=len(load.listed),
            size=sum(listed.size for listed in load.listed),
            recipient=order.to.keyid,
            sealed_key=wrap_key(key, order.to, (consignment, order.agreement, order.dataset)),
            manifest_sha256=sha256(write_manifest(load.listed)),
            findings_sha256=sha256(write_findings(load.findings)),
            screening=VERSION,
            packed_at=utc(now()),
        )
        pseudonyms.save()
        signed = said.sign(signer)
        write_private(beside, _files(load.names))
        try:
            write_archive(target, signed, load.listed, load.findings, spool)
        except BaseException:
            beside.unlink(missing_ok=True)
            raise
    counts = Counter((finding.kind, finding.treatment) for finding in load.findings)
    return Packed(said, load.seconds, pseudonyms.drawn, load.aside, counts)


def _load(
    recordings: Sequence[Recording],
    order: Order,
    pseudonyms: Pseudonyms,
    treatment: Treatment,
    spool: BinaryIO,
    consignment: str,
    key: bytes,
) -> _Load:
    load, seen = _Load(), set[str]()
    names = known_names(recording.subject for recording in recordings)
    for recording in recordings:
        facts, audio = recording.sent()
        facts["subject"] = pseudonyms.of(recording.subject)
        judged = examine(facts, audio, seen, downmix=order.downmix, max_seconds=order.max_seconds)
        if isinstance(judged, str):
            load.aside += 1
            if len(load.faults) < _LISTED:
                load.faults.append(Reason(judged, recording.file, *PROBLEMS[judged]))
            continue
        number, (said, decoded) = len(load.listed), judged
        text, found = treatment.treat(number, said.text, names)
        load.findings += found
        if load.aside and not order.set_aside:
            continue  # it will be refused: the rest is judged, not encrypted
        sent = {**facts, "text": text, "file": f"{number:06d}{_ending(recording.file)}"}
        load.listed.append(_encrypt(spool, key, consignment, number, pack_recording(sent, audio)))
        load.names.append(recording.file)
        load.subjects.add(said.subject)
        load.seconds += decoded.audio.seconds
    return load


def _encrypt(spool: BinaryIO, key: bytes, consignment: str, number: int, plain: bytes) -> Listed:
    digest, size = hashlib.sha256(), 0
    for chunk in encrypt_file(key, consignment, number, plain):
        digest.update(chunk)
        size += len(chunk)
        spool.write(chunk)
    return Listed(file_name(number), size, digest.hexdigest())


def _require_sound(load: _Load, order: Order) -> None:
    if load.aside and not order.set_aside:
        raise Refused(
            f"{load.aside} recordings are not fit for sealing; nothing was packed",
            reasons=load.faults,
            code="seal.bad_recordings",
            mend="mend them, or --set-aside to pack the others",
        )
    open_ = [finding for finding in load.findings if not treated(finding)]
    if open_:
        kinds = Counter(finding.kind for finding in open_)
        mend = "--redact takes them out of the transcript; --accept KIND=REASON leaves them"
        raise Refused(
            f"{len(open_)} findings are untreated; nothing was packed",
            reasons=[
                Reason(
                    "consignment.findings_untreated",
                    kind,
                    f"{count} found, first in {load.names[_number(open_, kind)]}",
                    mend,
                    "3.2 c",
                )
                for kind, count in kinds.most_common()
            ],
            code="consignment.findings_untreated",
            mend=mend,
        )
    if not load.listed:
        raise Usage("there is nothing to pack", code="consignment.empty")


def _number(found: list[Finding], kind: str) -> int:
    return int(next(finding.id for finding in found if finding.kind == kind).partition(".")[0])


def _files(names: list[str]) -> bytes:
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerows((f"{number:06d}", name) for number, name in enumerate(names))
    return text.getvalue().encode()


def _ending(file: str) -> str:
    """The ending alone: a file's name is often its speaker's."""
    found = PurePosixPath(file).suffix.lower()
    return found if found[1:].isalnum() and len(found) <= 6 else ""
