"""Vault's own audit file against the grants: every answer that gave a key away belongs to one grant, in its window.

The join (CONTRACTS, "Joining Vault's audit file"), for each successful answer in the file:

1. ``subjects/decrypt/<dataset>.<subject>``: by ``auth.metadata.grant_id``, inside PREPARED..UNLOCKED of that grant,
   one of its data subjects.
2. ``subjects/decrypt/index.<dataset>``: the custodian reading its own index. 3. ``auth/token/create/run`` and
   ``derivatives/*``: wrapped, so they are found by the HMAC of ``wrap_info.accessor``, which the gate stored.
4. Whatever else could hand a key out (exports, backups, plain data keys of subjects) belongs to no grant.

And the other way round: a run that was unlocked must have been seen, or the file has lost lines. Where a gate died
between minting and writing that down, the wraps of that run are unknown to it; they are told by that run's window.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

SUBJECTS, INDEX = "subjects/decrypt/", "subjects/decrypt/index."
WRAPPED = ("auth/token/create/run", "derivatives/datakey/plaintext/", "derivatives/decrypt/")
NEVER = ("subjects/export/", "subjects/backup/", "subjects/datakey/", "derivatives/export/", "derivatives/backup/",
         "subjects/byok-export/", "derivatives/byok-export/", "sys/raw")  # fmt: skip
CUSTODIAN = "custodian"
#: The gate writes whole seconds, and writes them after Vault did.
SLACK = timedelta(seconds=2)


@dataclass(frozen=True)
class Window:
    """When one grant's credentials may be used, whose voices they open, and their wraps as the file shows them."""

    run: str
    grant: str
    subjects: frozenset[str]  # "<dataset>.<subject>"
    began: datetime | None
    ended: datetime | None  # None while the run may still unlock
    wraps: frozenset[str] = frozenset()
    minted: bool = True  # False: the gate died while it minted, so nobody knows the wraps; none was opened
    unlocked: bool = False

    def holds(self, at: datetime) -> bool:
        if self.began is None or at < self.began - SLACK:
            return False
        return self.ended is None or at <= self.ended + SLACK


@dataclass(frozen=True)
class Decrypt:
    """One voice key that Vault gave away."""

    at: datetime
    key: str
    run: str
    grant: str


@dataclass(frozen=True)
class VaultReport:
    """What the file holds. ``faults`` is empty when every decrypt belongs to a grant and nothing is missing."""

    requests: int
    decrypts: tuple[Decrypt, ...]
    inside: int
    faults: tuple[str, ...]


@dataclass
class _Join:
    windows: Mapping[str, Window]
    wraps: Mapping[str, Window]
    dying: Sequence[Window]
    requests: int = 0
    inside: int = 0
    decrypts: list[Decrypt] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)


def join(lines: Iterable[Mapping[str, Any]], windows: Sequence[Window]) -> VaultReport:
    """Hold every line of the file (parsed JSON, oldest first) against the windows of all grants."""
    state = _Join(
        {window.grant: window for window in windows},
        {wrap: window for window in windows for wrap in window.wraps},
        [window for window in windows if not window.minted],
    )
    for line in lines:
        if line.get("type") == "request":
            state.requests += 1
        elif line.get("type") == "response" and not line.get("error"):
            _answer(state, line)
    for window in windows:
        _missing(state, window)
    return VaultReport(state.requests, tuple(state.decrypts), state.inside, tuple(state.faults))


def _answer(state: _Join, line: Mapping[str, Any]) -> None:
    path = str(line.get("request", {}).get("path", ""))
    if path.startswith(INDEX):
        if CUSTODIAN not in line.get("auth", {}).get("policies", ()):
            state.faults.append(f"{_time(line)}: {path} was read by somebody who is not the custodian")
    elif path.startswith(SUBJECTS):
        _voice(state, line, path.removeprefix(SUBJECTS))
    elif path.startswith(WRAPPED):
        _wrap(state, line, path)
    elif path.startswith(NEVER):
        state.faults.append(f"{_time(line)}: {path} gave keys away, under no grant")


def _voice(state: _Join, line: Mapping[str, Any], key: str) -> None:
    at = moment(str(line.get("time", "")))
    grant = str((line.get("auth", {}).get("metadata") or {}).get("grant_id", ""))
    window = state.windows.get(grant)
    state.decrypts.append(Decrypt(at, key, window.run if window else "", grant))
    if window is None:
        state.faults.append(f"{_time(line)}: {key} was decrypted under no grant")
    elif not window.holds(at):
        state.faults.append(
            f"{_time(line)}: {key} was decrypted outside the window of {grant} ({window.run})"
        )
    elif key not in window.subjects:
        state.faults.append(f"{_time(line)}: {key} was decrypted, and {grant} does not name that voice")
    else:
        state.inside += 1
        state.seen.add(f"{grant} {key}")


def _wrap(state: _Join, line: Mapping[str, Any], path: str) -> None:
    """A wrapped answer has no request id of ours; the HMAC of its accessor is what both sides know."""
    wrap = str((line.get("response", {}).get("wrap_info") or {}).get("accessor", ""))
    window = state.wraps.get(wrap)
    if window is None and any(w.holds(moment(str(line.get("time", "")))) for w in state.dying):
        return
    if window is None:
        state.faults.append(f"{_time(line)}: {path} was answered, and no run has that credential")
    elif not window.holds(moment(str(line.get("time", "")))):
        state.faults.append(f"{_time(line)}: {path} was answered outside the window of {window.grant}")
    state.seen.add(wrap)


def _missing(state: _Join, window: Window) -> None:
    lost = [wrap for wrap in window.wraps if wrap not in state.seen]
    if lost:
        state.faults.append(f"{window.run}: {len(lost)} of its credentials are not in Vault's file")
    if window.unlocked:
        unseen = [key for key in sorted(window.subjects) if f"{window.grant} {key}" not in state.seen]
        if unseen:
            state.faults.append(
                f"{window.run}: it was unlocked, and Vault's file shows no decrypt of {unseen[0]}"
            )


def moment(text: str) -> datetime:
    """A time as Vault or the gate writes it (RFC 3339; Vault has nanoseconds)."""
    head, _, rest = text.rstrip("Z").partition(".")
    found = datetime.fromisoformat(head).replace(tzinfo=UTC)
    return found + timedelta(microseconds=int((rest + "000000")[:6]))


def _time(line: Mapping[str, Any]) -> str:
    return str(line.get("time", "an unknown time"))[:19] + "Z"
