"""One line of Vault's audit file, judged while runs go on: the join of :mod:`vault_join`, without its hindsight.

The gate writes a run's credentials down after Vault has made them, so a young line that nobody knows yet is looked at
again; once it is old, it belongs to nobody. Where a gate died while it minted, the wraps of that run are unknown to
it, and are told by that run's window.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from sandbox.audit.vault_join import (
    AGAIN,
    CUSTODIAN,
    INDEX,
    MOVED,
    NEVER,
    SUBJECTS,
    WRAPPED,
    Window,
    failed,
    misuse,
    moment,
)

RUN_POLICY, WRITTEN_POLICY = "run-", ("sys/policies/acl/run-", "sys/policy/run-")
ROOT = ("sys/generate-root",)
LOGIN = "auth/userpass/login/"


class Known(Protocol):
    """What the gate knows of its own credentials."""

    def window(self, grant: str) -> Window | None: ...

    def owns(self, mark: str) -> bool:
        """Whether an accessor, as the file shows it, is a credential of some run."""
        ...

    def minting(self, at: datetime) -> bool:
        """Whether a run whose credentials are not all written down may have made one then."""
        ...


@dataclass(frozen=True)
class Seen:
    """Something worth counting. ``by`` is whom it counts for; ``about`` holds ids.

    The same ``unit`` is the same thing again: who takes a thousand keys is one thief, and one alert.
    """

    what: str
    at: datetime
    by: str
    unit: str
    about: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Later:
    """Not known yet, and too young to be a stranger's: look at this line again."""


def judge(line: Mapping[str, Any], known: Known, *, young: bool) -> list[Seen] | Later:
    """What an answer says. Raises KeyError, TypeError, ValueError, AttributeError for what Vault does not write."""
    if line["type"] != "response":
        return []
    path, at = str(line["request"]["path"]), moment(str(line["time"]))
    auth = line.get("auth") or {}
    policies = tuple(str(name) for name in auth.get("policies") or ())
    if path.startswith(ROOT):
        return [Seen("vault.root_attempt", at, "root", path, {"path": path})]
    if failed(line):
        if path.startswith(LOGIN):
            name = path.removeprefix(LOGIN)[:64]
            return [
                Seen("vault.login_refused", at, name, str(line["request"].get("id", "")), {"login": name})
            ]
        return []
    if path.startswith(AGAIN):
        return [Seen("vault.wrapped_again", at, path, path, {"path": path})]
    if path.startswith(WRITTEN_POLICY) and line["request"].get("operation") != "read":
        return [] if CUSTODIAN in policies else [Seen("vault.policy_written", at, path, path, _policy(path))]
    if path.startswith(NEVER) or path == MOVED:
        return [Seen("vault.key_of_no_grant", at, path, path, _place(path))]
    if path.startswith(WRAPPED):
        return _wrapped(line, path, at, known, young=young)
    if path.startswith(SUBJECTS) and not (path.startswith(SUBJECTS + INDEX) and CUSTODIAN in policies):
        return _decrypt(auth, path.removeprefix(SUBJECTS), at, known, young=young)
    mine = next((name for name in policies if name.startswith(RUN_POLICY)), None)
    if mine is not None and not known.owns(mark := str(auth.get("accessor", ""))):
        return Later() if young else [_stranger(mine, mark, at)]
    return []


def _decrypt(
    auth: Mapping[str, Any], key: str, at: datetime, known: Known, *, young: bool
) -> list[Seen] | Later:
    """Decrypts come behind the order: one of a run that has none waits for it, and is a thief's when none comes."""
    grant = str((auth.get("metadata") or {}).get("grant_id", ""))
    window = known.window(grant)
    about = {"key": key, "dataset": key.removeprefix(INDEX).partition(".")[0]}
    if window is not None:
        about |= {"run": window.run, "grant": window.grant}
    if window is not None and not window.ordered and young:
        return Later()
    wrong = misuse(window, at, key, str(auth.get("accessor", "")))
    if wrong or (window is not None and not window.ordered):
        mark = str(auth.get("accessor", ""))
        return [Seen("vault.decrypt_of_no_grant", at, mark, f"{mark} {about['dataset']}", about)]
    if key.startswith(INDEX):
        return []
    return [Seen("vault.decrypt", at, about.get("run", ""), key, about)]


def _wrapped(
    line: Mapping[str, Any], path: str, at: datetime, known: Known, *, young: bool
) -> list[Seen] | Later:
    mark = str((line["response"].get("wrap_info") or {}).get("accessor", ""))
    if mark and (known.owns(mark) or known.minting(at)):
        return []
    if mark and young:
        return Later()
    return [Seen("vault.key_of_no_grant", at, path, path, _place(path))]


def _stranger(policy: str, mark: str, at: datetime) -> Seen:
    """A policy is called ``run-<dataset>-<purpose>``."""
    dataset = policy.removeprefix(RUN_POLICY).rpartition("-")[0]
    return Seen("vault.unknown_accessor", at, mark, mark, {"policy": policy, "dataset": dataset})


def _place(path: str) -> dict[str, str]:
    """The path, and the agreement or dataset whose keys lie there."""
    mount, _, key = path.partition("/")
    name = key.rpartition("/")[2]
    if mount == "derivatives":
        return {"path": path, "agreement": name}
    return {"path": path, "dataset": name.partition(".")[0]} if mount == "subjects" else {"path": path}


def _policy(path: str) -> dict[str, str]:
    name = path.rpartition("/")[2]
    return {"path": path, "policy": name, "dataset": name.removeprefix(RUN_POLICY).rpartition("-")[0]}
