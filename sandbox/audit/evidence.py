"""What an auditor is handed, checked whole: the log, each signed statement, and that each knows of the other. Pure.

Nothing the pack says of itself is believed: the keys come from the installation's trust anchors or from Party A, and
an older checkpoint from whoever kept one.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sandbox.audit.checkpoint import Checkpoint
from sandbox.audit.log import LogReport, verify_log
from sandbox.audit.vault_join import TOKEN, Window, moment
from sandbox.errors import StatementError
from sandbox.runs import Kind
from sandbox.statements import PublicKey, Statement, open_statement, sha256

GRANT, RUN = "grant", "run"
#: What an entry of the log is read for, by its kind.
NEEDS = {
    "statement": ("name", "digest"),
    "state": ("run", "state"),
    "taint": ("model", "why"),
    "withdrawal": ("model", "dataset", "subject"),
    "frozen": ("incident", "models"),
    "incident-closed": ("incident",),
}


@dataclass(frozen=True)
class Evidence:
    """The pack, parsed and not yet believed."""

    origin: str
    entries: tuple[bytes, ...]
    notes: tuple[bytes, ...]
    envelopes: tuple[tuple[str, str, bytes], ...]  # (name, digest, exact bytes)
    windows: tuple[Mapping[str, Any], ...]

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Evidence:
        """Raises StatementError when it is no evidence pack."""
        try:
            return cls(
                str(value["origin"]),
                tuple(map(_bytes, value["entries"])),
                tuple(map(_bytes, value["checkpoints"])),
                tuple((str(s["name"]), str(s["digest"]), _bytes(s["envelope"])) for s in value["statements"]),
                tuple(
                    {"run": str(w["run"]), "credentials": [_credential(c) for c in w["credentials"]]}
                    for w in value["windows"]
                ),
            )
        except (KeyError, TypeError, ValueError):
            raise StatementError("not an evidence pack", code="evidence.unreadable") from None


@dataclass(frozen=True)
class Verified:
    """What holds. ``statements`` are those that verify, by digest; ``faults`` is empty when all do."""

    log: LogReport
    statements: Mapping[str, Statement]
    listed: int
    windows: tuple[Window, ...]
    taints: Mapping[str, str]  # model id -> why, as the log says
    faults: tuple[str, ...]
    withdrawn: Mapping[str, str] = field(default_factory=dict)  # model id -> whose consents
    frozen: Mapping[str, str] = field(default_factory=dict)  # model id -> the open incidents that hold it

    def named(self, name: str) -> list[Statement]:
        return [found for found in self.statements.values() if found.name == name]


def verify(pack: Evidence, keys: Sequence[PublicKey], known: Iterable[Checkpoint] = ()) -> Verified:
    """Check everything in the pack against the gate's ``keys``.

    Raises StatementError when a grant or a run's statement verifies and does not hold what its name promises.
    """
    faults: list[str] = []
    report = verify_log(pack.entries, pack.notes, pack.origin, keys, known)
    if report.intact and report.covered < report.entries:
        faults.append(f"{report.entries - report.covered} entries at the log's end stand under no checkpoint")
    entries = [_entry(data, faults) for data in pack.entries]
    statements = _statements(pack, keys, faults)
    _logged(entries, statements, faults)
    states = _states(entries)
    taints = {str(e["model"]): str(e["why"]) for e in entries if e.get("kind") == "taint"}
    try:
        _runs(states, statements, faults)
        windows = tuple(_windows(pack.windows, states, statements, faults))
    except (KeyError, TypeError):
        raise StatementError("a statement verifies, and does not say what it should") from None
    gone, held = _withdrawn(entries), _frozen(entries)
    return Verified(report, statements, len(pack.envelopes), windows, taints, tuple(faults), gone, held)


def _withdrawn(entries: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Of each marked model whose consents were withdrawn, as the log says: ``dataset/subject …`` in their order."""
    found: dict[str, set[tuple[str, str]]] = {}
    for entry in entries:
        if entry.get("kind") == "withdrawal":
            found.setdefault(str(entry["model"]), set()).add((str(entry["dataset"]), str(entry["subject"])))
    return {model: " ".join("/".join(one) for one in sorted(whose)) for model, whose in found.items()}


def _frozen(entries: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Of each frozen model the incidents that hold it and are not closed, as the log says."""
    held: dict[str, list[str]] = {}
    for entry in entries:
        if entry.get("kind") == "frozen":
            held[str(entry["incident"])] = [str(model) for model in entry["models"]]
        elif entry.get("kind") == "incident-closed":
            held.pop(str(entry["incident"]), None)
    found: dict[str, list[str]] = {}
    for incident in sorted(held):
        for model in held[incident]:
            found.setdefault(model, []).append(incident)
    return {model: " ".join(incidents) for model, incidents in found.items()}


def _statements(pack: Evidence, keys: Sequence[PublicKey], faults: list[str]) -> dict[str, Statement]:
    found: dict[str, Statement] = {}
    for name, digest, data in pack.envelopes:
        if sha256(data) != digest:
            faults.append(f"statement {name} {digest[:12]}…: its bytes are gone, or others")
            continue
        try:
            found[digest] = open_statement(data, name, keys)
        except StatementError as fault:
            faults.append(f"statement {name} {digest[:12]}…: {fault.message}")
    return found


def _logged(
    entries: Sequence[Mapping[str, Any]], statements: Mapping[str, Statement], faults: list[str]
) -> None:
    """Each statement is named in the log, and each that the log names is here."""
    named = {
        str(entry["digest"]): str(entry["name"]) for entry in entries if entry.get("kind") == "statement"
    }
    faults += [f"statement {digest[:12]}… is not in the log" for digest in statements if digest not in named]
    faults += [
        f"statement {name} {digest[:12]}… is in the log, and is not here or does not verify"
        for digest, name in named.items()
        if digest not in statements
    ]


def _states(entries: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, datetime]]:
    """For each run, when the log says that each of its states began."""
    found: dict[str, dict[str, datetime]] = {}
    for entry in entries:
        if entry.get("kind") == "state":
            found.setdefault(str(entry["run"]), {})[str(entry["state"])] = moment(str(entry["at"]))
    return found


def _runs(
    states: Mapping[str, Mapping[str, datetime]], statements: Mapping[str, Statement], faults: list[str]
) -> None:
    """Each run that was prepared has a grant; each that is settled has its statement."""
    granted = {str(s.predicate["run"]) for s in statements.values() if s.name == GRANT}
    told = {str(s.predicate["run"]) for s in statements.values() if s.name == RUN}
    for run, began in states.items():
        if "prepared" in began and run not in granted:
            faults.append(f"{run}: it was prepared, and has no signed grant")
        if "settled" in began and "prepared" in began and run not in told:
            faults.append(f"{run}: it is settled, and has no signed statement")
    faults += [f"{run}: a statement speaks of it, and the log does not" for run in told if run not in states]


def _windows(
    shown: Sequence[Mapping[str, Any]],
    states: Mapping[str, Mapping[str, datetime]],
    statements: Mapping[str, Statement],
    faults: list[str],
) -> Iterable[Window]:
    """Times from the log, voices from the signed grant, credentials from the signed statement once there is one."""
    listed = {str(one["run"]): one for one in shown}
    told = {str(s.predicate["run"]): s for s in statements.values() if s.name == RUN}
    for statement in statements.values():
        if statement.name != GRANT:
            continue
        dry = statement.predicate["kind"] == Kind.DRY.value
        run, began = str(statement.predicate["run"]), states.get(str(statement.predicate["run"]), {})
        given = _hashes(listed.get(run, {}).get("credentials", ()))
        if run in told:
            signed = _hashes(told[run].predicate["credentials"])
            if given != signed:
                faults.append(f"{run}: the credentials shown are not those of its statement")
            given = signed
        wraps = frozenset(mark for kind, mark in given if kind != TOKEN)
        if dry and not wraps:
            continue  # it has no credential, but for a drill's, which opens nothing and lives as long as its run
        yield Window(
            run=run,
            grant=str(statement.predicate["grant"]),
            subjects=frozenset(
                f"{statement.predicate['dataset']}.{s}" for s in statement.predicate["subjects"]
            ),
            began=began.get("prepared") or began.get("admitted"),
            ended=began.get("ended") if dry else began.get("unlocked") or began.get("ended"),
            wraps=wraps,
            token=next((mark for kind, mark in given if kind == TOKEN), ""),
            minted="minted" in began or bool(wraps),
            unlocked="unlocked" in began and not dry,
        )


def _hashes(credentials: Iterable[Mapping[str, Any]]) -> frozenset[tuple[str, str]]:
    """Kind and HMAC of each credential whose HMAC is known; the token inside a wrap has one of its own."""
    return frozenset((one["kind"], one["audit_hash"]) for one in credentials if one["audit_hash"])


def _entry(data: bytes, faults: list[str]) -> Mapping[str, Any]:
    """Readable, with the fields that its kind is read for; else a fault, and empty."""
    try:
        found = json.loads(data)
        for name in NEEDS.get(found.get("kind"), ()):
            found[name] = str(found[name])
        moment(str(found["at"]))
    except (AttributeError, KeyError, TypeError, ValueError):
        faults.append("an entry of the log is not readable")
        return {}
    return dict(found)


def _credential(shown: Mapping[str, Any]) -> dict[str, str]:
    return {"kind": str(shown["kind"]), "audit_hash": str(shown["audit_hash"] or "")}


def _bytes(text: str) -> bytes:
    return base64.b64decode(text, validate=True)
