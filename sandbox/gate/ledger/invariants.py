"""What must hold whatever happened, asked of the world as it is (GATE.md, "Invariants"): ``broken`` names the rest.

Tests call it after every fault that they inject, and ``sandbox doctor`` on demand. The world is read between two
snapshots of the database, so that what a live gate does meanwhile is no finding. Nothing here changes anything.

 1. credentials   2. containers   3. doors   4. decrypts in Vault's audit file   5. the log   6. the ledger
 7. sealed bytes   8. what is settled   9. models   10. erased data subjects

Of 10 the gate sees the descendants; that the key is gone the custodian's certificate proves.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from sandbox import audit
from sandbox.audit.vault_join import moment
from sandbox.errors import EvidenceMismatch, SealBroken, StatementError
from sandbox.gate.house import House
from sandbox.gate.incidents.stopped import DRILL
from sandbox.gate.ledger import accord, evidence, high_water, log, mark
from sandbox.gate.ledger.accord import Seen, look
from sandbox.gate.routes import report
from sandbox.gate.runs.states import CONTAINER, DOOR_DIRECTORY, UNLOCKED_ON
from sandbox.runs import RunState, utc
from sandbox.sealing.artifacts import MAX_HEADER_BYTES, parse_header
from sandbox.statements import Statement, open_statement

RUNNING = CONTAINER - {RunState.MINTED}


@dataclass(frozen=True)
class World:
    """Outside of the database: whose containers and door directories there are, and which sealed files."""

    containers: frozenset[str]
    doors: frozenset[str]
    kept: tuple[Path, ...]
    quarantined: tuple[Path, ...]


def broken(house: House) -> list[str]:
    """Every violated invariant, in words; empty when all hold. Raises Unreachable when a service cannot be asked."""
    before, world = house.store.read(look), _world(house)
    now, after, lost = house.clock(), house.store.read(look), list[str]()
    statements = _statements(house, after, lost)
    return [
        *(f"1. {fault}" for fault in _credentials(house, after, now)),
        *(f"2. {fault}" for fault in _containers(world, before, after)),
        *(f"3. {fault}" for fault in _doors(world, before, after)),
        *(f"4. {fault}" for fault in _decrypts(house)),
        *(f"5. {fault}" for fault in (*lost, *_checkpoints(house, after), *accord.log(after))),
        *(f"6. {fault}" for fault in (*accord.ledger(after), *_marks(house))),
        *(f"7. {fault}" for fault in _sealed_bytes(world, after, statements)),
        *(f"8. {fault}" for fault in accord.settled(after, statements)),
        *(f"9. {fault}" for fault in accord.models(after)),
        *(f"10. {fault}" for fault in _erased(house, after)),
    ]


def _world(house: House) -> World:
    places = house.places
    return World(
        frozenset(found.run for found in house.launcher.list()),
        frozenset(path.name for path in places.doors.iterdir()),
        _files(places.artifact("")),
        _files(places.quarantined("")),
    )


def _files(folder: Path) -> tuple[Path, ...]:
    return tuple(sorted(path for path in folder.iterdir() if not path.name.startswith(".")))


def _credentials(house: House, seen: Seen, now: datetime) -> Iterator[str]:
    """No credential lives from UNLOCKED on, nor after its longest life; of a settled run each is proved dead."""
    drilled = {row.run for row in seen.rows["credentials"] if row.kind == DRILL}
    for row in seen.rows["credentials"]:
        state = seen.state(row.run)
        if row.run in drilled and state is RunState.TRAINING and row.expires_at > utc(now):
            continue  # a drill's own, which opens nothing: it lives until the drill kills it
        if (state in UNLOCKED_ON or row.expires_at <= utc(now)) and not house.vault.is_dead(row.accessor):
            yield f"{row.run}: its {row.kind} credential is alive while it is {state}"
        elif state is RunState.SETTLED and row.dead_at is None:
            yield f"{row.run}: it is settled, and its {row.kind} credential was never proved dead"


def _containers(world: World, before: Seen, after: Seen) -> Iterator[str]:
    """A container has a run that may have one; a run that must have one has it, or a supervisor who will notice."""
    for run in sorted(world.containers):
        if not {before.state(run), after.state(run)} & CONTAINER:
            yield f"{run}: a container runs, and the run is {after.state(run) or 'unknown'}"
    for run in sorted(before.runs):
        running = {before.state(run), after.state(run)} <= RUNNING and run not in world.containers
        if running and after.leases.get(run, 0.0) < time.time():
            yield f"{run}: it is {after.state(run)} without a container, and nobody supervises it"


def _doors(world: World, before: Seen, after: Seen) -> Iterator[str]:
    for run in sorted(world.doors):
        if not {before.state(run), after.state(run)} & DOOR_DIRECTORY:
            yield f"{run}: a door directory is left, and the run is {after.state(run) or 'unknown'}"


def _decrypts(house: House) -> Iterable[str]:
    """Where Vault's audit file can be read here; ``sandbox audit verify`` does it with Party A's own copy."""
    newest = house.places.vault_audit
    if not newest.exists():
        return ()
    rotated = sorted(newest.parent.glob(f"{newest.name}.*"), key=lambda path: path.stat().st_mtime)
    now, pack = house.clock(), audit.Evidence.from_json(report.evidence(house))
    try:
        data = b"".join(path.read_bytes() for path in (*rotated, newest))
    except OSError:
        return ()
    lines = [json.loads(line) for line in data.splitlines() if line.endswith(b"}")]
    # later lines belong to what was not there yet when the grants were read
    seen = [line for line in lines if moment(str(line.get("time", ""))) <= now]
    return audit.join(seen, audit.verify_evidence(pack, house.trust("gate")).windows).faults


def _statements(house: House, seen: Seen, faults: list[str]) -> Mapping[str, Statement]:
    """Every statement that stands in the database and verifies, by digest."""
    found = {}
    for row in seen.rows["statements"]:
        try:
            statement = open_statement(evidence.read(house, row.name, row.id), row.name, house.trust("gate"))
        except StatementError:
            statement = None
        if statement is None or statement.digest != row.digest:
            faults.append(f"the {row.name} statement {row.id} is gone, or is another")
        else:
            found[row.digest] = statement
    return found


def _checkpoints(house: House, seen: Seen) -> Iterator[str]:
    """Every checkpoint fits, and the mark in Vault. A log without any checkpoint yet is young, not broken."""
    notes = [row.note for row in seen.rows["checkpoints"]]
    if notes:
        entries = [row.entry for row in seen.rows["log"]]
        yield from audit.verify_log(entries, notes, log.ORIGIN, house.trust("gate")).faults
    try:
        mark.check_log(house)
    except EvidenceMismatch as fault:
        yield fault.message


def _marks(house: House) -> Iterator[str]:
    """No dataset's ledger is older than its mark in Vault."""
    try:
        high_water.check_marks(house)
    except EvidenceMismatch as fault:
        yield fault.message


def _sealed_bytes(world: World, seen: Seen, statements: Mapping[str, Statement]) -> Iterator[str]:
    """Every byte kept is sealed and is what its name says; it is signed for, in quarantine, or its run goes on."""
    rows = seen.rows["artifacts"]
    for path in (*world.kept, *world.quarantined):
        fault = _unsealed(path)
        if fault:
            yield f"{path.name[:12]}…: {fault}"
    for path in world.kept:
        owners = [row for row in rows if row.sha256 == path.name]
        settled = [row for row in owners if seen.state(row.run) is RunState.SETTLED]
        signed = any(row.state == "signed" and _names(statements, row) for row in owners)
        if (not owners or settled) and not signed and path.exists():
            whose = owners[0].run if owners else "no run"
            yield f"{path.name[:12]}… of {whose} is kept, and neither signed for nor in quarantine"
    for path in world.quarantined:
        if not any(row.sha256 == path.name for row in rows):
            yield f"{path.name[:12]}… lies in quarantine, and no run sent it"
    here = {path.name for path in world.kept}
    for row in rows:
        if row.state == "signed" and seen.state(row.run) is RunState.SETTLED and row.sha256 not in here:
            yield f"{row.sha256[:12]}… of {row.run} is signed for, and is gone"


def _unsealed(path: Path) -> str:
    """Why these are not the sealed bytes of their name; empty when they are, or went elsewhere meanwhile."""
    try:
        with open(path, "rb") as file:
            first, size = file.read(MAX_HEADER_BYTES + 64), path.stat().st_size
            file.seek(0)
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        parsed = parse_header(first)
    except FileNotFoundError:
        return ""
    except SealBroken:
        return "it is not sealed"
    if parsed is None or parsed.header.sealed_bytes != size:
        return "it is not as long as its header says"
    return "" if digest == path.name else "its bytes are others than its name says"


def _names(statements: Mapping[str, Statement], row: Any) -> bool:
    statement = statements.get(str(row.statement))
    return statement is not None and (row.path, row.sha256) in statement.subjects


def _erased(house: House, seen: Seen) -> Iterator[str]:
    try:
        known = house.registers.read()
    except EvidenceMismatch as fault:
        yield f"who was erased cannot be told: {fault.message}"
    else:
        yield from accord.tainted(seen, known)
