"""Forgetting people: asked, barred, keys destroyed and proved, tombstones. The certificate is :mod:`~.certificates`.

1. ``asked``: from here the gate admits no run with them.   2. ``barred``: live credentials feel it.
3. The gate's receipt: every run that held them is settled. Without it nothing is destroyed, unless a person says why.
4. Keys destroyed; each stored wrap must fail.   5. ``destroyed``.   6. One version of each dataset with all tombstones.
7. Keys destroyed once more: a sealing at the same moment may have made one again.

Every step is entered before the next begins, and every step may repeat: asking again goes on where it stopped.
Gate and custodian never speak to each other; whoever asks carries the receipt.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from sandbox.audit.erasure import Speaker
from sandbox.custodian import cases
from sandbox.custodian.bar import refresh_policies
from sandbox.custodian.cases import Case
from sandbox.custodian.desk import Desk
from sandbox.custodian.people import APPROVER, STEWARD, require
from sandbox.custodian.seal import settle
from sandbox.custodian.warrants import GONE, Warrant, warrants_for
from sandbox.errors import NotFound, Usage
from sandbox.policy.entries import ErasureEntry
from sandbox.records import Manifest, check_id
from sandbox.runs import utc
from sandbox.sealing.eraser import erase_subjects
from sandbox.sealing.version import Terms

AT_ONCE = 16  # conversations with Vault


def ask(desk: Desk, caller: str, subjects: Sequence[str], dataset: str | None = None) -> dict[str, Any]:
    """Steps 1 and 2 for ``subjects`` in ``dataset``, or in every dataset that holds them.

    Raises:
        NotFound: nothing here is of one of them; nobody is entered.
    """
    require(desk, caller, STEWARD, APPROVER)
    if not subjects:
        raise Usage("nobody is named", mend="sandbox erase SUBJECT")
    for subject in subjects:
        check_id("subject", subject)
    with desk.lock:
        speakers = _speakers(desk, dict.fromkeys(subjects), dataset)
        status = {s: _status(entry) for s, entry in desk.now("erasure").erasures.items()}
        fresh = [s for s in speakers if s not in status]
        _enter(desk, caller, fresh, "asked")  # 1.
        unbarred = [s for s in speakers if status.get(s, "asked") == "asked"]
        for name in dict.fromkeys(name for name, _ in unbarred):
            refresh_policies(desk, name)  # 2.
        _enter(desk, caller, unbarred, "barred")
        now = desk.now("erasure").erasures
        found = [{"dataset": d, "subject": s, "status": now[d, s].status} for d, s in speakers]
        return {"erasures": found, "seq": len(desk.registers.entries("erasure"))}


def destroy(
    desk: Desk, caller: str, speakers: Sequence[Speaker], receipts: Sequence[bytes], without: str = ""
) -> Iterator[Mapping[str, Any]]:
    """Steps 3 to 7; lines of progress. ``without`` is the reason for going on without receipts; it is recorded.

    Raises:
        Refused: ``erasure.not_asked``, or ``receipt.missing`` for somebody; StatementError: it is no such receipt.
        EvidenceMismatch: a key is not provably gone.
    """
    require(desk, caller, STEWARD, APPROVER)
    return _destroy(desk, caller, speakers, warrants_for(desk, speakers, receipts, without))


def _destroy(
    desk: Desk, caller: str, speakers: Sequence[Speaker], warrants: Mapping[Speaker, Warrant]
) -> Iterator[Mapping[str, Any]]:
    for dataset in dict.fromkeys(name for name, _ in speakers):
        subjects = [subject for name, subject in speakers if name == dataset]
        yield {"event": "destroying", "dataset": dataset, "subjects": len(subjects)}
        with desk.lock:
            destroy_in(desk, caller, dataset, {s: warrants[dataset, s] for s in subjects})
        yield {"event": "destroyed", "dataset": dataset, "subjects": len(subjects)}


def destroy_in(desk: Desk, caller: str, dataset: str, subjects: Mapping[str, Warrant]) -> None:
    """Steps 4 to 7 in one dataset, under the desk's lock. Who has a tombstone is only destroyed once more."""
    opened = desk.manifest(dataset)
    living = sorted(set(subjects) & set(opened.manifest.subjects))
    with ThreadPoolExecutor(AT_ONCE, "erase") as pool:
        if living:
            held = cases.objects(desk, dataset, opened.manifest, living)

            def work(subject: str) -> None:
                desk.vault.destroy_key(dataset, subject)
                for wrapped in held[subject].wraps:
                    desk.vault.prove_destroyed(dataset, subject, wrapped)
                case = _proved(desk, held[subject], opened.digest, subjects[subject])
                cases.write(desk, dataset, subject, case)

            list(pool.map(work, living))  # 4.
        now = desk.now("erasure").erasures
        told = [s for s in subjects if _status(now.get((dataset, s))) not in GONE]
        said = [{"subject": s, "dataset": dataset, **subjects[s].said()} for s in told]
        desk.registers.append("erasure", [{**entry, "status": "destroyed"} for entry in said], caller)  # 5.
        if living:
            hands = desk.hands(dataset)
            erase_subjects(desk.folder(dataset), dataset, living, _terms(desk, opened.manifest), hands)  # 6.
        settle(desk, dataset, caller)
        list(pool.map(lambda subject: desk.vault.destroy_key(dataset, subject), subjects))  # 7.


def _proved(desk: Desk, held: cases.Held, manifest: str, warrant: Warrant) -> Case:
    return Case(held.objects, held.digests, manifest, utc(desk.clock()), warrant.data, warrant.without)


def _speakers(desk: Desk, subjects: Iterable[str], dataset: str | None) -> list[Speaker]:
    """Where each is held, or an erasure of theirs is not certified yet."""
    known = desk.now("erasure").erasures
    manifests = {name: desk.manifest(name).manifest for name in ([dataset] if dataset else desk.datasets())}
    people = {name: frozenset(manifest.subjects) for name, manifest in manifests.items()}
    found, strangers = [], []
    for subject in subjects:
        places = [n for n, held in people.items() if subject in held or _open(known.get((n, subject)))]
        found += [(name, subject) for name in places]
        strangers += [] if places else [subject]
    if strangers:
        more = f" and {len(strangers) - 5} more" if len(strangers) > 5 else ""
        waiting = _consignments(desk, strangers)
        raise NotFound(
            f"nothing sealed here is of {', '.join(strangers[:5])}{more}",
            code="subject.unknown",
            mend=f"reject {', '.join(waiting[:5])}, which is not sealed and names them"
            if waiting
            else "nobody was entered: leave them out and ask again",
        )
    return found


def _consignments(desk: Desk, strangers: Sequence[str]) -> list[str]:
    """Those with a voice of ``strangers`` in them that is not sealed; whoever was erased is none any more."""
    known = desk.now("erasure", "intake")
    return sorted(
        entry.consignment
        for entry in known.intake.values()
        if entry.state != "rejected"
        and any(s in entry.subjects and (entry.dataset, s) not in known.erasures for s in strangers)
    )


def _open(entry: ErasureEntry | None) -> bool:
    return entry is not None and entry.status != "certified"


def _status(entry: ErasureEntry | None) -> str:
    return "" if entry is None else entry.status


def _enter(desk: Desk, caller: str, speakers: Iterable[Speaker], status: str) -> None:
    said = [{"subject": s, "dataset": d, "status": status} for d, s in speakers]
    desk.registers.append("erasure", said, caller)


def _terms(desk: Desk, before: Manifest) -> Terms:
    """The terms of the version before: an erasure changes no purpose, only who is left."""
    return Terms(
        agreement=before.agreement,
        agreement_digest=before.agreement_digest,
        purposes=before.purposes,
        retention_until=before.retention_until,
        region=before.region,
        consent_digest=desk.registers.digest("consent"),
        processing=before.processing,
        created_at=utc(desk.clock()),
    )
