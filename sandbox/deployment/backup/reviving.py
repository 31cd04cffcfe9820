"""Vault out of its snapshot, with nothing that could open a voice.

1. The seal key in its place; an empty server is initialised under it, and its root token installs the snapshot.
2. Restarted with another audit device, and once more with its own: Vault refuses a device ``main`` whose file lies
   elsewhere than where the snapshot's did, but lets one go that is configured no more.
3. Every run policy that the snapshot held is deleted. The custodian writes them anew, after it has destroyed again what
   was destroyed since (:mod:`sandbox.custodian.restored`).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from sandbox.deployment.backup.keys import SealKey
from sandbox.deployment.vault_login import write_login
from sandbox.deployment.vault_server import (
    VaultServer,
    find_bao,
    replace_file,
    start_server,
    stop,
    write_files,
)
from sandbox.errors import SandboxError, VaultUnreachable
from sandbox.runs import PURPOSES
from sandbox.vault import snapshots
from sandbox.vault.custody import Custody
from sandbox.vault.http import Vault

WAIT_S = 60.0
_OWN, _OTHER = 'audit "file" "main"', 'audit "file" "restoring"'


def revive(server: VaultServer, key: SealKey, snapshot: bytes, datasets: Iterable[str], log: Path) -> None:
    """``server.directory`` is empty before; afterwards the server is stopped, and ready to be started as ever.

    Raises VaultUnreachable when the snapshot does not come up under this key.
    """
    for folder in (server.directory, server.directory / "seal"):
        folder.mkdir(mode=0o700, exist_ok=True)
        _own(folder, server)
    _keep(server, server.directory / "seal" / "1.key", key.key)
    supervisor = server.directory / "supervisor.json"
    with with_program(server) as server:
        _during(server, log, lambda: _install(server, snapshot))  # 1.
        _during(server, log, lambda: None, audit=_OTHER)  # 2.
        _during(server, log, lambda: _close(server, supervisor, datasets))  # 3.


@contextmanager
def with_program(server: VaultServer) -> Iterator[VaultServer]:
    """The server with a copy of ``bao`` in its own directory, for a time: nothing is installed in this state yet, and
    its user may see nothing of where this Python lies, in root's home for one.
    """
    copy = server.directory / "bao"
    shutil.copyfile(find_bao(), copy)
    copy.chmod(0o500)
    _own(copy, server)
    try:
        yield replace(server, bao=copy)
    finally:
        copy.unlink()


def _install(server: VaultServer, snapshot: bytes) -> None:
    vault = Vault.at(server.addr, server.ca)
    try:
        made = vault.write("sys/init", {"recovery_shares": 1, "recovery_threshold": 1})
        vault.use(str(made["root_token"]))
        _patiently(lambda: vault.read("auth/token/lookup-self"))
        snapshots.install(vault, snapshot)  # the root token and its share are of the Vault that ends here
    finally:
        vault.close()


def _close(server: VaultServer, supervisor: Path, datasets: Iterable[str]) -> None:
    with tempfile.TemporaryDirectory(dir=server.directory) as folder:
        login = Path(folder) / "login"
        _patiently(lambda: write_login(server.addr, server.ca, supervisor, "custodian", login))
        custody = Custody.login(server.addr, server.ca, login)
    try:
        for dataset in datasets:
            for purpose in PURPOSES:
                custody.delete_run_policy(dataset, purpose)
        custody.revoke_self()
    finally:
        custody.close()


def _during(server: VaultServer, log: Path, work: Callable[[], None], audit: str = _OWN) -> None:
    """The server runs while ``work`` does."""
    process = _start(server, log, audit)
    try:
        work()
    finally:
        stop(
            process, WAIT_S
        )  # it installs a snapshot after it answered: killed early, it would come up without


def _start(server: VaultServer, log: Path, audit: str) -> subprocess.Popen[bytes]:
    if audit == _OWN:
        return start_server(server, log, WAIT_S)
    write_files(server)
    plain = (server.templates / "server.hcl").read_text()
    if _OWN not in plain:
        raise VaultUnreachable("Vault's configuration has no audit device main", code="vault.no_audit")
    with tempfile.TemporaryDirectory() as folder:  # no secret: a template with one word changed
        changed = Path(folder)
        (changed / "server.hcl").write_text(plain.replace(_OWN, audit))
        return start_server(replace(server, templates=changed), log, WAIT_S)


def _patiently(ask: Callable[[], object]) -> None:
    """A server that just came up elects itself, and refuses meanwhile."""
    until = time.monotonic() + WAIT_S
    while True:
        try:
            ask()
        except SandboxError:
            if time.monotonic() > until:
                raise
            time.sleep(0.1)
            continue
        return


def _keep(server: VaultServer, path: Path, data: bytes) -> None:
    replace_file(path, data, 0o600, server.uid, server.gid)


def _own(path: Path, server: VaultServer) -> None:
    if server.uid is not None:
        os.chown(path, server.uid, -1 if server.gid is None else server.gid)
