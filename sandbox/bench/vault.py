"""An OpenBao of the bench's own: set up as an installation does it, on ports of its own, gone in the end."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from sandbox.deployment.settings import free_port
from sandbox.deployment.vault_bootstrap import bootstrap
from sandbox.deployment.vault_login import write_login
from sandbox.deployment.vault_server import VaultServer, start_server, stop
from sandbox.vault.custody import Custody
from sandbox.vault.http import Vault
from sandbox.vault.minting import Minting


@dataclass(frozen=True)
class Hands:
    """Who may do what, each logged in."""

    server: VaultServer
    gate: Minting
    custodian: Custody

    def speak(self, token: str) -> Vault:
        return Vault.at(self.server.addr, self.server.ca, token)


@contextmanager
def running(root: Path, templates: Path) -> Iterator[Hands]:
    """Raises Unreachable when OpenBao is not installed."""
    shutil.rmtree(root, ignore_errors=True)
    (root / "audit").mkdir(parents=True)
    server = VaultServer(
        directory=root / "vault",
        audit_log=root / "audit" / "vault-audit.log",
        ca=root / "app" / "ca.pem",
        templates=templates,
        port=free_port(),
        cluster_port=free_port(),
    )
    try:
        process = start_server(server, root / "vault.log")
        try:
            bootstrap(server.addr, server.ca, server.directory, server.templates)
            with ExitStack() as stack:
                gate = stack.enter_context(closing(Minting.login(*_login(server, root, "gate"))))
                custodian = stack.enter_context(closing(Custody.login(*_login(server, root, "custodian"))))
                yield Hands(server, gate, custodian)
        finally:
            stop(process)
    finally:
        shutil.rmtree(root, ignore_errors=True)


_numbers = itertools.count()


def _login(server: VaultServer, root: Path, hand: str) -> tuple[str, Path, Path]:
    target = root / f"{hand}-{next(_numbers)}.wrap"
    write_login(server.addr, server.ca, server.directory / "supervisor.json", hand, target)
    return server.addr, server.ca, target
