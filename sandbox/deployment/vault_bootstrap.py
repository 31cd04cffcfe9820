"""Set a new Vault up, once: mounts, keys, policies, roles, identities; then the root token dies.

1. write down that initialisation begins; 2. initialise, and keep root token and recovery shares in a file of
root's; 3. configure (each step repeatable); 4. write down what came out; 5. revoke the root token, prove it dead,
and forget it. Killed anywhere after 2, the next call goes on; killed inside 2, it says so clearly.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandbox.deployment.vault_server import replace_file
from sandbox.deployment.vault_setup import configure
from sandbox.errors import CredentialError, Unreachable, VaultUnreachable
from sandbox.statements import PublicKey
from sandbox.vault.http import Vault
from sandbox.vault.signing import public_keys

ISSUER = "https://vault.voice-sandbox"


@dataclass(frozen=True)
class Bootstrapped:
    """What everybody may know of a configured Vault."""

    client_id: str
    issuer: str
    gate: tuple[PublicKey, ...]
    custodian: tuple[PublicKey, ...]


def bootstrap(
    addr: str, ca: Path, directory: Path, templates: Path, *, shares: int = 3, threshold: int = 2
) -> Bootstrapped:
    """Bring the Vault at ``addr`` from empty to ready; on a ready one, only read back what came out.

    Leaves in ``directory`` (0600, the caller's): ``supervisor.json``, the supervisor's login; ``recovery.json``,
    ``threshold`` of whose ``shares`` can make a new root token: hand them to different people, then delete it.

    Raises:
        Unreachable: ``vault.half_initialised`` when a crash lost the answer of the initialisation: nothing can be
            in it yet, so its directory may be deleted. ``vault.foreign`` when somebody else set this Vault up.
    """
    journal = _Journal(directory)
    if journal.stage == "done":
        return journal.outcome()
    vault = Vault.at(addr, ca)
    try:
        if journal.stage in ("", "initialising"):
            _initialise(vault, journal, shares, threshold)  # steps 1 and 2
        root = journal.root_token()
        if journal.stage == "configuring":
            vault.use(root)
            _settle(vault)
            client_id, issuer, supervisor = configure(vault, templates, ISSUER)  # step 3
            replace_file(directory / "supervisor.json", json.dumps(supervisor).encode(), 0o600)
            journal.configured(client_id, issuer, public_keys(vault, "gate"), public_keys(vault, "custodian"))
        _end_root(vault, root)  # step 5
        journal.forget_root()
        return journal.outcome()
    finally:
        vault.close()


def _initialise(vault: Vault, journal: _Journal, shares: int, threshold: int) -> None:
    done = vault.read("sys/init").get("initialized") is True
    if done and journal.stage == "initialising":
        raise Unreachable(
            "Vault was initialised, but its answer was lost in a crash; nothing is in it yet",
            code="vault.half_initialised",
            mend=f"delete {journal.directory} and run sandbox up again",
        )
    if done:
        raise Unreachable(
            "this Vault is set up already, but not by this installation",
            code="vault.foreign",
            mend="restore its bootstrap.json and supervisor.json, or choose another --state",
        )
    journal.initialising()
    answer = vault.write("sys/init", {"recovery_shares": shares, "recovery_threshold": threshold})
    journal.initialised(str(answer["root_token"]), [str(share) for share in answer["recovery_keys_base64"]])


def _settle(vault: Vault, wait_s: float = 60.0) -> None:
    """A server just initialised elects itself and refuses, or cannot write its audit file, for some seconds."""
    until = time.monotonic() + wait_s
    while True:
        try:
            vault.read("auth/token/lookup-self")
        except VaultUnreachable:
            if time.monotonic() > until:
                raise
            time.sleep(0.2)
            continue
        return


def _end_root(vault: Vault, root: str) -> None:
    """Revoke the root token (it may be dead from an earlier attempt) and prove it."""
    vault.use(root)
    for path in ("auth/token/revoke-self", "auth/token/lookup-self"):
        try:
            vault.write(path) if path.endswith("revoke-self") else vault.read(path)
        except CredentialError as fault:
            if fault.code != "credential.dead":
                raise
            continue
        if path.endswith("lookup-self"):
            raise Unreachable(
                "the root token still lives", code="vault.root_alive", mend="run sandbox up again"
            )
    vault.use(None)


class _Journal:
    """``bootstrap.json`` (stage and outcome) and ``recovery.json`` (root token while it lives, recovery shares)."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._journal = directory / "bootstrap.json"
        self._recovery = directory / "recovery.json"
        self._held = _read(self._journal)

    @property
    def stage(self) -> str:
        return str(self._held.get("stage", ""))

    def initialising(self) -> None:
        self._write({"stage": "initialising"})

    def initialised(self, root: str, shares: list[str]) -> None:
        replace_file(
            self._recovery, json.dumps({"root_token": root, "recovery_shares": shares}).encode(), 0o600
        )
        self._write({"stage": "configuring"})

    def configured(
        self, client_id: str, issuer: str, gate: tuple[PublicKey, ...], custodian: tuple[PublicKey, ...]
    ) -> None:
        self._write(
            {
                "stage": "configured",
                "client_id": client_id,
                "issuer": issuer,
                "gate": [key.text for key in gate],
                "custodian": [key.text for key in custodian],
            }
        )

    def root_token(self) -> str:
        token = _read(self._recovery).get("root_token", "")
        if not token and self.stage == "configuring":
            raise Unreachable(
                f"{self._recovery} is gone before Vault was set up", code="vault.half_initialised"
            )
        return str(token)

    def forget_root(self) -> None:
        shares = _read(self._recovery).get("recovery_shares", [])
        replace_file(self._recovery, json.dumps({"recovery_shares": shares}).encode(), 0o600)
        self._write({**self._held, "stage": "done"})

    def outcome(self) -> Bootstrapped:
        return Bootstrapped(
            client_id=str(self._held["client_id"]),
            issuer=str(self._held["issuer"]),
            gate=tuple(PublicKey.from_text(text) for text in self._held["gate"]),
            custodian=tuple(PublicKey.from_text(text) for text in self._held["custodian"]),
        )

    def _write(self, value: dict[str, Any]) -> None:
        replace_file(self._journal, json.dumps(value).encode(), 0o600)
        self._held = value


def _read(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except ValueError:
        raise Unreachable(
            f"{path} is unreadable", code="vault.journal", mend="restore it from a backup"
        ) from None
    return value if isinstance(value, dict) else {}
