"""Vault's own audit file against the grants: every answer that gave a key away belongs to one grant, in its window.

The join (CONTRACTS, "Joining Vault's audit file"), for each successful answer in the file:

1. ``subjects/decrypt/<dataset>.<subject>``: by ``auth.metadata.grant_id``, inside PREPARED..UNLOCKED of that grant,
   one of its data subjects, with the very token that was minted for it (metadata alone could be copied).
2. ``subjects/decrypt/index.<dataset>``: the custodian reading its own index, or a run reading that of its dataset.
3. ``auth/token/create/run`` and ``derivatives/*``: wrapped, so they are found by the HMAC of ``wrap_info.accessor``,
   which the gate stored.
4. Whatever else could hand a key out (exports, backups, plain data keys of subjects) belongs to no grant; and under a
   mount that was moved nothing is seen here any more.

And the other way round: a run that was unlocked must have been seen, or the file has lost lines. Where a gate died
between minting and writing that down, the wraps of that run are unknown to it; they are told by that run's window.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

SUBJECTS, INDEX = "subjects/decrypt/", "index."
WRAPPED = ("auth/token/create/run", "derivatives/datakey/plaintext/", "derivatives/decrypt/")
NEVER = ("subjects/export/", "subjects/backup/", "subjects/datakey/", "derivatives/export/", "derivatives/backup/",
         "subjects/byok-export/", "derivatives/byok-export/", "sys/raw")  # fmt: skip
MOVED = "sys/remount"
#: A credential taken out of its wrap and put into another: no program of ours does.
AGAIN = ("sys/wrapping/rewrap", "sys/wrapping/wrap")
CUSTODIAN = "custodian"
#: The kind of a run's token among its credentials; every other kind is a wrap.
TOKEN = "token"  # noqa: S105 - a word, not one
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
    token: str = ""  # the accessor of the run's token, as the file shows it; empty: not known (yet)
    minted: bool = True  # False: the gate died while it minted, so nobody knows the wraps; none was opened
    unlocked: bool = False
    ordered: bool = True  # False: no keeper was ever given a wrap of it (yet)

    @property
    def opens(self) -> frozenset[str]:
        """The keys that the grant's token may have unwrapped: its voices', and the index of their dataset."""
        return self.subjects | {INDEX + key.partition(".")[0] for key in self.subjects}

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
        elif line.get("type") == "response":
            try:
                _answer(state, line)
            except (AttributeError, TypeError, ValueError):
                state.faults.append(f"{_time(line)}: a line is not what Vault writes")
    for window in windows:
        _missing(state, window)
    return VaultReport(state.requests, tuple(state.decrypts), state.inside, tuple(state.faults))


def _answer(state: _Join, line: Mapping[str, Any]) -> None:
    path = str(line["request"]["path"]) if "request" in line else ""
    if failed(line):
        return
    if path.startswith(SUBJECTS):
        _decrypt(state, line, path.removeprefix(SUBJECTS))
    elif path.startswith(WRAPPED):
        _wrap(state, line, path)
    elif path.startswith(AGAIN):
        state.faults.append(f"{_time(line)}: a credential was put into another wrap")
    elif path.startswith(NEVER):
        state.faults.append(f"{_time(line)}: {path} gave keys away, under no grant")
    elif path == MOVED:
        state.faults.append(f"{_time(line)}: a mount was moved, so what it opened is not seen under its name")


def failed(line: Mapping[str, Any]) -> bool:
    """Nothing was given away. A refusal by the policy has ``error``; one by the mount may have it in its data only."""
    return bool(line.get("error")) or set(line.get("response", {}).get("data") or ()) == {"error"}


def _decrypt(state: _Join, line: Mapping[str, Any], key: str) -> None:
    auth, index = line["auth"], key.startswith(INDEX)
    if index and CUSTODIAN in auth.get("policies", ()):
        return
    at = moment(str(line.get("time", "")))
    grant = str((auth.get("metadata") or {}).get("grant_id", ""))
    window = state.windows.get(grant)
    wrong = misuse(window, at, key, str(auth.get("accessor", "")))
    if wrong:
        state.faults.append(f"{_time(line)}: {key} was decrypted {wrong}")
    if index:
        return
    state.decrypts.append(Decrypt(at, key, window.run if window else "", grant))
    if not wrong:
        state.inside += 1
        state.seen.add(f"{grant} {key}")


def misuse(window: Window | None, at: datetime, key: str, accessor: str) -> str:
    """Why a decrypt belongs to no grant; empty when it does."""
    if window is None:
        return "under no grant"
    if not window.holds(at):
        return f"outside the window of {window.grant} ({window.run})"
    if key not in window.opens:
        return f"and {window.grant} does not name it"
    if window.token and accessor != window.token:
        return f"with a credential that {window.grant} was never given"
    return ""


def _wrap(state: _Join, line: Mapping[str, Any], path: str) -> None:
    """A wrapped answer has no request id of ours; the HMAC of its accessor is what both sides know."""
    at = moment(str(line.get("time", "")))
    wrap = str((line.get("response", {}).get("wrap_info") or {}).get("accessor", ""))
    window = state.wraps.get(wrap)
    if window is None and wrap and any(dying.holds(at) for dying in state.dying):
        return
    if window is None:
        state.faults.append(f"{_time(line)}: {path} was answered, and no run has that credential")
    elif not window.holds(at):
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
