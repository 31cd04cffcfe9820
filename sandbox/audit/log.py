"""The log as a whole: every entry under every checkpoint, nothing changed, nothing cut off."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sandbox.audit.checkpoint import Checkpoint, open_checkpoint
from sandbox.audit.tree import Tree, leaf_hash
from sandbox.errors import StatementError
from sandbox.statements import PublicKey


@dataclass(frozen=True)
class LogReport:
    """What was found. ``faults`` is empty when the log is intact."""

    entries: int
    checkpoints: int
    covered: int  # entries under the newest checkpoint that fits
    keys: tuple[str, ...]  # ids of the keys that signed
    faults: tuple[str, ...]

    @property
    def intact(self) -> bool:
        return not self.faults


def verify_log(
    entries: Sequence[bytes],
    notes: Iterable[bytes],
    origin: str,
    keys: Sequence[PublicKey],
    known: Iterable[Checkpoint] = (),
) -> LogReport:
    """Hold the exact bytes of all entries, in order, against all checkpoints.

    ``known`` are checkpoints that somebody else kept (an auditor, Party A): a log that was cut and signed anew fits
    its own checkpoints, never these.
    """
    faults: list[str] = []
    wanted: dict[int, list[tuple[Checkpoint, str]]] = {}
    count, signers = 0, set()
    for note in notes:
        count += 1
        try:
            point = open_checkpoint(note, origin, keys)
        except StatementError as fault:
            faults.append(f"checkpoint {count}: {fault.message}")
            continue
        signers.add(point.keyid)
        wanted.setdefault(point.size, []).append((point, f"checkpoint over {point.size} entries"))
    for point in known:
        wanted.setdefault(point.size, []).append((point, f"kept checkpoint over {point.size} entries"))
    covered = _walk(entries, wanted, faults)
    if not signers and entries:
        faults.append("no checkpoint says what the log is")
    return LogReport(len(entries), count, covered, tuple(sorted(signers)), tuple(faults))


def _walk(
    entries: Sequence[bytes], wanted: dict[int, list[tuple[Checkpoint, str]]], faults: list[str]
) -> int:
    """Grow the tree once and compare at every size that a checkpoint names; the largest that fits."""
    tree, covered, last_good = Tree(), 0, 0
    for size in range(len(entries) + 1):
        for point, name in wanted.get(size, ()):
            if point.root == tree.root():
                covered = last_good = size
            else:
                faults.append(
                    f"{name}: an entry between {last_good + 1} and {size} was changed, added or removed"
                )
        if size < len(entries):
            tree.append(leaf_hash(entries[size]))
    for size in sorted(size for size in wanted if size > len(entries)):
        for _, name in wanted[size]:
            faults.append(f"{name}: the log holds only {len(entries)}")
    return covered
