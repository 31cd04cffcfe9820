"""The gate's word in an erasure, for which the custodian waits (ARCHITECTURE). They never speak to each other.

``settled``: every run that held these voices is settled; it comes before a key is destroyed. ``tainted``: the keys are
gone, and every model made of these voices is marked. Each names the erasure register's head and shows where that entry
stands in the log. While a run is still ending there is no receipt, only the runs that are waited for: ask again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from sandbox import audit, lineage
from sandbox.audit.erasure import RECEIPT, SETTLED, TAINTED, Speaker, speaker_id
from sandbox.errors import Refused, Unreachable, Usage
from sandbox.gate.database.tables import models, postings
from sandbox.gate.ledger import evidence, log
from sandbox.gate.runs import chronicle
from sandbox.gate.subjects import heritage, rights
from sandbox.lineage import Kind, Lineage
from sandbox.policy.registers import Registers
from sandbox.runs import utc
from sandbox.statements import canonical_json, sha256

if TYPE_CHECKING:
    from sandbox.gate.gate import Gate

WHY = "a voice was withdrawn"
MOST = 200  # speakers of one receipt: it stands whole in the certificate of each


def receipt(gate: Gate, stage: str, speakers: Sequence[Speaker]) -> dict[str, Any]:
    """``{"receipt": …}``, or ``{"waiting": [run, …]}`` while runs end that hold one of them.

    Raises:
        Refused: the register does not say of somebody what this stage needs.
    """
    if stage not in (SETTLED, TAINTED) or not 0 < len(speakers) <= MOST:
        raise Usage(f"a receipt is {SETTLED} or {TAINTED}, of at most {MOST} speakers")
    house = gate.house
    known = house.registers.read()
    _require_entered(known, stage, speakers)
    if waiting := _end(gate, speakers):
        return {"waiting": waiting}
    if stage == TAINTED:
        rights.taint(house, speakers)
        house.sealed.tidy()  # its cache of ciphertext lets go of versions below the tombstone
    return {"receipt": _sign(gate, known, stage, speakers).decode()}


def _require_entered(known: Registers, stage: str, speakers: Sequence[Speaker]) -> None:
    for speaker in speakers:
        entry = known.erasures.get(speaker)
        if entry is None:
            raise Refused(f"nobody asked to erase {speaker_id(speaker)}", code="erasure.not_asked")
        if stage == TAINTED and entry.status not in ("destroyed", "certified"):
            raise Refused(f"the key of {speaker_id(speaker)} is not destroyed", code="erasure.not_destroyed")


def _end(gate: Gate, speakers: Sequence[Speaker]) -> list[str]:
    """Have every run end that holds one of these voices, at once; those that are not settled yet."""
    house, now = gate.house, gate.house.clock()

    def stop(connection: Connection) -> tuple[list[str], list[str]]:
        going = _holding(connection, speakers)
        return going, [
            run for run in going if chronicle.ask_kill(connection, run, chronicle.BY_GATE, WHY, now)
        ]

    if not house.store.read(lambda c: _holding(c, speakers)):
        return []
    going, fresh = house.store.transact(stop)
    for run in fresh:
        gate.supervision.strike(run)
    return going


def _holding(connection: Connection, speakers: Sequence[Speaker]) -> list[str]:
    """Runs that are not final and hold one of these voices, by their dataset or their inputs."""
    going = chronicle.live(connection)
    graph, wanted = heritage.graph(connection), set(speakers)
    return [run for run in going if set(graph.speakers(lineage.run(run))) & wanted]


def _sign(gate: Gate, known: Registers, stage: str, speakers: Sequence[Speaker]) -> bytes:
    """The one that stands for these speakers at this head of the register, or a new one."""
    house, listed = gate.house, sorted(speakers)
    head = {
        "seq": house.store.read(lambda c: _seq(c, known.heads["erasure"])),
        "digest": known.heads["erasure"],
    }
    name = "e-" + sha256(canonical_json([stage, listed, head]))[:24]
    if standing := evidence.read(house, RECEIPT, name):
        return standing
    said = {
        "stage": stage,
        "speakers": [list(speaker) for speaker in listed],
        "register": head,
        **house.store.read(lambda c: _made(c, listed, stage)),
        "log": _anchor(gate, head),
        "at": utc(house.clock()),
    }
    named = [(f"{dataset}.{subject}", sha256(f"{dataset}.{subject}".encode())) for dataset, subject in listed]
    return evidence.sign(house, None, RECEIPT, name, named, said).data


def _made(connection: Connection, speakers: Sequence[Speaker], stage: str) -> dict[str, Any]:
    """The runs that ever held each voice, and the models made of it with their marks."""
    graph = heritage.graph(connection)
    runs = {speaker_id(s): _runs(graph, s) for s in speakers}
    marks = {f"{row.name}@{row.version}": row.taint for row in connection.execute(sa.select(models))}
    made = {
        speaker_id(s): [
            {"model": name, "status": f"tainted: {marks[name]}" if marks.get(name) else "not tainted"}
            for name in sorted(rights.descendants(graph, s))
        ]
        for s in speakers
    }
    return {"runs": runs, "models": made if stage == TAINTED else {}}


def _runs(graph: Lineage, speaker: Speaker) -> list[str]:
    start = lineage.subject(*speaker)
    return sorted(n.id for n in graph.descendants(start) if n.kind is Kind.RUN) if start in graph else []


def _seq(connection: Connection, digest: str) -> int:
    asked = sa.select(postings.c.seq).where(postings.c.register == "erasure", postings.c.digest == digest)
    found = connection.execute(asked).scalar()
    if found is None:
        raise Unreachable("the register's newest entry is not in the log yet", code="registers.unread")
    return int(found)


def _anchor(gate: Gate, head: Mapping[str, Any]) -> dict[str, Any]:
    """Where the log names the register's head, under a signed checkpoint."""
    house = gate.house
    note = log.checkpoint(house.store, house.vault.signer, house.clock())
    size = audit.open_checkpoint(note, log.ORIGIN, house.trust("gate")).size

    def read(connection: Connection) -> dict[str, Any]:
        leaves, entries = log.leaves(connection)[:size], log.entries(connection)[:size]
        mark = str(head["digest"]).encode()
        index = max(n for n, entry in enumerate(entries) if mark in entry and b'"kind":"posting"' in entry)
        proof = [one.hex() for one in audit.inclusion_proof(leaves, index)]
        return {"entry": entries[index].decode(), "index": index, "proof": proof, "checkpoint": note.decode()}

    return house.store.read(read)
