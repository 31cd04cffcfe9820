"""The auditor's pack: all that is compared, fetched once, kept in one file, and checked with keys of one's own."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandbox.audit import Checkpoint, Evidence, VaultReport, Verified, join, open_checkpoint, verify_evidence
from sandbox.client import Address, Service
from sandbox.errors import StatementError, Unreachable, Usage
from sandbox.runs import Trust
from sandbox.statements import PublicKey
from sandbox.tracking.reconcile import Actual, Difference, compare
from sandbox.tracking.signed import signed_runs


@dataclass(frozen=True)
class Pack:
    """Evidence, what MLflow shows, and Vault's audit file, as the gate handed them out."""

    evidence: Mapping[str, Any]
    tracking: Mapping[str, Any]
    vault: bytes

    @classmethod
    def fetch(cls, gate: Service, vault_audit: Path | None) -> Pack:
        """Raises Unreachable, NotPermitted; Usage when ``vault_audit`` cannot be read."""
        own = _read(vault_audit) if vault_audit is not None else None
        evidence, tracking = gate.get("/v1/evidence"), gate.get("/v1/tracking")
        return cls(evidence, tracking, gate.get_bytes("/v1/vault-audit") if own is None else own)

    @classmethod
    def load(cls, path: Path, vault_audit: Path | None) -> Pack:
        """Raises Usage when the file is no pack."""
        try:
            found = json.loads(_read(path))
            vault = _read(vault_audit) if vault_audit is not None else str(found["vault"]).encode()
            return cls(dict(found["evidence"]), dict(found["tracking"]), vault)
        except (KeyError, TypeError, ValueError):
            raise Usage(
                f"{path} is no evidence pack", code="evidence.unreadable", mend="sandbox audit pack FILE"
            ) from None

    def to_bytes(self) -> bytes:
        kept = {"evidence": self.evidence, "tracking": self.tracking, "vault": self.vault.decode()}
        return json.dumps(kept, ensure_ascii=False, sort_keys=True).encode()


@dataclass(frozen=True)
class Findings:
    """What was found, part by part."""

    verified: Verified
    vault: VaultReport
    runs: int
    models: int
    differences: tuple[Difference, ...]

    @property
    def holds(self) -> bool:
        return not (self.verified.faults or self.verified.log.faults or self.vault.faults or self.differences)


def check(pack: Pack, keys: Sequence[PublicKey], known: Sequence[Checkpoint] = ()) -> Findings:
    """Everything against everything; nothing is taken from the network, and no key from the pack."""
    verified = verify_evidence(Evidence.from_json(pack.evidence), keys, known)
    expected = signed_runs(verified.statements.values(), verified.taints, verified.withdrawn, verified.frozen)
    return Findings(
        verified,
        join(_lines(pack.vault), verified.windows),
        len(expected),
        sum(one.model is not None for one in expected),
        compare(expected, Actual.from_json(pack.tracking)),
    )


def differences(gate: Service, keys: Sequence[PublicKey]) -> tuple[Difference, ...]:
    """What MLflow says otherwise than the signed statements. Raises StatementError when those do not verify."""
    verified = verify_evidence(Evidence.from_json(gate.get("/v1/evidence")), keys)
    if verified.faults:
        raise StatementError(verified.faults[0], mend="sandbox audit verify")
    expected = signed_runs(verified.statements.values(), verified.taints, verified.withdrawn, verified.frozen)
    return compare(expected, Actual.from_json(gate.get("/v1/tracking")))


def anchors(state: Path, given: Path | None) -> tuple[PublicKey, ...]:
    """The gate's keys by the installation's ``trust.json``, or by a copy that the auditor keeps."""
    path = given or Address.of(state).trust
    try:
        return Trust.from_bytes(path.read_bytes()).gate
    except OSError:
        mend = "sandbox up; or by a copy that you keep: sandbox audit verify --trust FILE"
        raise Unreachable(f"no trust anchors at {path}", mend=mend) from None


class Witness:
    """The newest checkpoint that this auditor saw; a log that was cut and signed anew does not fit it."""

    def __init__(self, path: Path, origin: str, keys: Sequence[PublicKey]) -> None:
        self._path, self._origin, self._keys = path, origin, keys

    def known(self) -> list[Checkpoint]:
        """Raises StatementError when the kept file is no checkpoint of this log, or of a log that was begun anew."""
        if not self._path.exists():
            return []
        try:
            return [open_checkpoint(self._path.read_bytes(), self._origin, self._keys)]
        except StatementError:
            raise StatementError(
                f"the checkpoint that you kept at {self._path} is of another log",
                code="checkpoint.foreign",
                mend="find out who began a new log here; --witness FILE keeps another checkpoint",
            ) from None

    def keep(self, notes: Sequence[bytes]) -> None:
        """Remember the longest of ``notes``, which were verified."""
        sizes = {open_checkpoint(note, self._origin, self._keys).size: note for note in notes}
        newest = max(sizes, default=-1)
        if newest <= max((point.size for point in self.known()), default=-1):
            return  # never back to an older one
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        partial = self._path.with_name(f".{self._path.name}.new")
        partial.write_bytes(sizes[newest])
        partial.replace(self._path)


def _lines(data: bytes) -> list[dict[str, Any]]:
    """Raises StatementError when a line of Vault's file is torn; its last line may still be being written."""
    rows = data.splitlines()
    found = []
    for number, row in enumerate(rows, 1):
        try:
            found.append(dict(json.loads(row)))
        except (ValueError, TypeError):
            if number < len(rows):
                raise StatementError(
                    f"line {number} of Vault's audit file is not readable", code="audit.torn"
                ) from None
    return found


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as fault:
        raise Usage(f"{path} cannot be read: {type(fault).__name__}", code="file.unreadable") from None
