"""Set a new Vault up, once: mounts, keys, policies, roles, identities; then the root token dies.

1. write down that initialisation begins; 2. initialise, and keep root token and recovery shares in a file of
root's; 3. configure (each step repeatable); 4. write down what came out; 5. revoke the root token, prove it dead,
and forget it. Killed anywhere after 2, the next call goes on; killed inside 2, it says so clearly.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sandbox.deployment.vault_journal import Journal
from sandbox.deployment.vault_recovery import end_root, root
from sandbox.deployment.vault_server import replace_file
from sandbox.deployment.vault_setup import configure, digest, supervisor_login
from sandbox.errors import Unreachable, VaultUnreachable
from sandbox.statements import PublicKey
from sandbox.vault.answers import part
from sandbox.vault.http import Vault
from sandbox.vault.signing import public_keys

ISSUER = "https://vault.voice-sandbox"


@dataclass(frozen=True)
class Bootstrapped:
    """What everybody may know of a configured Vault.

    ``current`` is false when a newer version of the product brought other policies and the recovery shares, which
    mending them needs, are no longer here: :func:`refresh` with the shares.
    """

    client_id: str
    issuer: str
    gate: tuple[PublicKey, ...]
    custodian: tuple[PublicKey, ...]
    current: bool = True


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
    journal = Journal(directory)
    if journal.stage == "done":
        if journal.setup != digest(templates) and journal.shares:
            return refresh(addr, ca, directory, templates, journal.shares)
        return _outcome(journal, templates)
    vault = Vault.at(addr, ca)
    try:
        if journal.stage in ("", "initialising"):
            _initialise(vault, journal, shares, threshold)  # steps 1 and 2
        if journal.stage == "configuring":
            vault.use(journal.root_token)
            _settle(vault)
            _configure(vault, journal, templates)  # step 3
            login = supervisor_login(vault)
            replace_file(directory / "supervisor.json", json.dumps(login).encode(), 0o600)
            journal.enter("configured")  # step 4
        if journal.keeps_root:
            end_root(vault, journal.root_token)  # step 5
            journal.forget_root()
        journal.enter("done")
    finally:
        vault.close()
    return _outcome(journal, templates)


def refresh(addr: str, ca: Path, directory: Path, templates: Path, shares: Sequence[str]) -> Bootstrapped:
    """Write policies, roles and mounts anew, under a root token made for it. Changes no key, nobody's login.

    Raises CredentialError when the recovery shares are too few or wrong.
    """
    journal = Journal(directory)
    with root(addr, ca, directory / "supervisor.json", shares) as vault:
        _configure(vault, journal, templates)
    return _outcome(journal, templates)


def adopt(addr: str, ca: Path, token: str, directory: Path, templates: Path) -> Bootstrapped:
    """Set up a Vault or OpenBao of one's own, under an administrator's ``token`` (kept nowhere, revoked by nobody).

    Leaves ``bootstrap.json`` and ``supervisor.json`` in ``directory`` as :func:`bootstrap` does. Repeatable.

    Raises Unreachable when it has no audit device ``main``: without one nothing that it does can be joined to a run.
    """
    journal = Journal(directory)
    vault = Vault.at(addr, ca, token)
    try:
        if "main/" not in part(vault.read("sys/audit"), "data"):
            raise Unreachable(
                "this Vault has no audit device named main",
                code="vault.no_audit",
                mend="vault audit enable -path=main file file_path=…",
            )
        _configure(vault, journal, templates)
        login = supervisor_login(vault)
    finally:
        vault.close()
    replace_file(directory / "supervisor.json", json.dumps(login).encode(), 0o600)
    journal.enter("done")
    return _outcome(journal, templates)


def _configure(vault: Vault, journal: Journal, templates: Path) -> None:
    client_id, issuer = configure(vault, templates, ISSUER)
    journal.note(
        client_id=client_id,
        issuer=issuer,
        gate=[key.text for key in public_keys(vault, "gate")],
        custodian=[key.text for key in public_keys(vault, "custodian")],
        setup=digest(templates),
    )


def _outcome(journal: Journal, templates: Path) -> Bootstrapped:
    held = journal.held
    return Bootstrapped(
        client_id=str(held["client_id"]),
        issuer=str(held["issuer"]),
        gate=tuple(PublicKey.from_text(text) for text in held["gate"]),
        custodian=tuple(PublicKey.from_text(text) for text in held["custodian"]),
        current=journal.setup == digest(templates),
    )


def _initialise(vault: Vault, journal: Journal, shares: int, threshold: int) -> None:
    if journal.keeps_root:  # killed between its two notes
        journal.enter("configuring")
        return
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
    journal.enter("initialising")
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
