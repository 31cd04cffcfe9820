"""The first start after a restore: no voice opens until everybody who was forgotten since is forgotten again.

A snapshot of Vault holds the keys destroyed after it. Party A's witness keeps the erasure register's signed entries.

1. No run policy, whatever the snapshot held.   2. Every entry of the list is verified by its signature; the register
goes on with the very bytes where they follow on, else the people in them are entered anew.   3. Whoever's key was
destroyed loses it again, proved, with a tombstone; whoever was only asked for is barred.   4. The note of the restore
goes. Only then are run policies written. Cut off anywhere, the next start begins again.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sandbox.audit.erasure import Speaker
from sandbox.custodian.desk import Desk
from sandbox.custodian.erase import destroy_in
from sandbox.custodian.warrants import GONE, Warrant
from sandbox.errors import StatementError
from sandbox.policy.entries import ErasureEntry
from sandbox.policy.registers import open_posting
from sandbox.runs import PURPOSES
from sandbox.service import journal
from sandbox.statements import INTOTO, open_envelope

BY = "custodian"
WHY = "restored from a backup; the witness's list says that the key was destroyed"


def bring_up_to_date(desk: Desk, note: Path) -> int:
    """Honour the list in ``note``, if there is one; how many people lost their key again.

    Raises:
        StatementError: an entry of the list was not signed by this custodian: nothing starts.
        EvidenceMismatch: a key is not provably gone.
    """
    try:
        said = json.loads(note.read_bytes())
        envelopes = [str(one).encode() for one in said["erasures"]]
    except FileNotFoundError:
        return 0
    except (ValueError, KeyError, TypeError):
        mend = "sandbox backup restore once more"
        raise StatementError(f"{note} is unreadable", code="restore.note", mend=mend) from None
    with desk.lock:
        for dataset in sorted({*desk.datasets(), *desk.root.datasets()}):  # 1.
            for purpose in PURPOSES:
                desk.vault.delete_run_policy(dataset, purpose)
        wanted = dict[Speaker, str]()
        for entry in (_entry(desk, data) for data in envelopes):
            if wanted.get(entry.key) not in GONE:  # whatever the order of the list: destroyed stays destroyed
                wanted[entry.key] = entry.status
        _enter(desk, envelopes, wanted)  # 2.
        found = {key: entry.status for key, entry in desk.now("erasure").erasures.items()}
        gone = [s for s, status in found.items() if status in GONE or wanted.get(s) in GONE]
        for dataset in dict.fromkeys(name for name, _ in gone):  # 3.
            people = {subject: Warrant(None, None, WHY) for name, subject in gone if name == dataset}
            if dataset in desk.datasets():
                destroy_in(desk, BY, dataset, people)
            else:
                journal.say("erasure.elsewhere", dataset=dataset)
    note.unlink()  # 4.
    journal.say("restore.honoured", erased=len(gone), backup=str(said.get("backup", "")))
    return len(gone)


def _entry(desk: Desk, data: bytes) -> ErasureEntry:
    """One signed entry, wherever in the chain it stood: each only ever takes something away."""
    payload = open_envelope(data, INTOTO, desk.trusted())
    try:
        said: dict[str, Any] = json.loads(payload)["predicate"]
        seq, previous = int(said["seq"]), said["previous"]
    except (ValueError, KeyError, TypeError):
        raise _something_else() from None
    posting = open_posting("erasure", seq, data, previous, desk.trusted())
    if not isinstance(posting.entry, ErasureEntry):
        raise _something_else()
    return posting.entry


def _something_else() -> StatementError:
    mend = "sandbox backup restore once more, with the list of sandbox erase --list"
    return StatementError("the list holds something else than erasures", code="restore.list", mend=mend)


def _enter(desk: Desk, envelopes: Sequence[bytes], wanted: dict[Speaker, str]) -> None:
    own = desk.registers.envelopes("erasure")
    if list(envelopes[: len(own)]) == own:
        desk.registers.reinstate("erasure", envelopes[len(own) :])
        return
    known = desk.now("erasure").erasures
    fresh = [{"dataset": d, "subject": s, "status": "barred"} for d, s in wanted if (d, s) not in known]
    desk.registers.append("erasure", fresh, BY)
