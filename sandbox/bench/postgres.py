"""A PostgreSQL server of one's own: a fresh cluster in a directory, reached over its Unix socket alone, then gone.

No port is open and there is no password: the caller's Unix user is mapped to the database's (``peer``, pg_ident.conf).
The server refuses to run as root; started by root, it runs as the package's user.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sandbox.errors import Unreachable

OWNER = "gate"
_PACKAGE_USER = "postgres"
_DEBIAN = "/usr/lib/postgresql"


@dataclass(frozen=True)
class Cluster:
    """A server that answers; ``socket`` is its directory."""

    socket: Path

    def url(self, database: str) -> str:
        """What a gate is told: no host name, no password."""
        return f"postgresql+psycopg://{OWNER}@/{database}?host={self.socket}"

    def create(self, database: str, template: str = "template0") -> str:
        """A new database, empty or a copy of ``template`` (to which nobody may be connected); its address."""
        import psycopg

        with psycopg.connect(host=str(self.socket), user=OWNER, dbname="postgres", autocommit=True) as admin:
            admin.execute(f'CREATE DATABASE "{database}" TEMPLATE "{template}"'.encode())
        return self.url(database)

    def drop(self, database: str) -> None:
        import psycopg

        with psycopg.connect(host=str(self.socket), user=OWNER, dbname="postgres", autocommit=True) as admin:
            admin.execute(f'DROP DATABASE IF EXISTS "{database}" WITH (FORCE)'.encode())


def programs() -> Path:
    """Where ``initdb`` and ``pg_ctl`` are. Raises Unreachable."""
    told = shutil.which("pg_config")
    if told:
        answer = subprocess.run([told, "--bindir"], capture_output=True, text=True, check=False)
        if answer.returncode == 0 and (Path(answer.stdout.strip()) / "initdb").exists():
            return Path(answer.stdout.strip())
    found = sorted(Path(_DEBIAN).glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if not found:
        raise Unreachable("there is no PostgreSQL here", code="postgres.none", mend="sh setup/packages.sh")
    return found[-1].parent


@contextmanager
def cluster(*, durable: bool = True) -> Iterator[Cluster]:
    """A running server. ``durable``: commits reach the disk, as for a gate; tests do without."""
    home = Path(tempfile.mkdtemp(prefix="vs-pg-"))
    server = _Server(home, programs(), pwd.getpwnam(_PACKAGE_USER) if os.geteuid() == 0 else None)
    try:
        server.make(durable)
        server.ctl("start", "-w", "-l", str(home / "server.log"))
        try:
            yield Cluster(home)
        finally:
            server.ctl("stop", "-m", "immediate", "-w")
    finally:
        shutil.rmtree(home, ignore_errors=True)


@dataclass(frozen=True)
class _Server:
    home: Path
    bin: Path
    user: pwd.struct_passwd | None

    @property
    def data(self) -> Path:
        return self.home / "data"

    def make(self, durable: bool) -> None:
        if self.user is not None:
            os.chown(self.home, self.user.pw_uid, self.user.pw_gid)
        arguments = ("--pgdata", str(self.data), "--username", OWNER, "--auth", "peer", "--encoding", "UTF8")
        self._run("initdb", *arguments, "--no-locale", "--no-sync")
        caller = pwd.getpwuid(os.geteuid()).pw_name
        settings = {"listen_addresses": "''", "unix_socket_directories": f"'{self.home}'"}
        settings |= {"max_connections": "200", "fsync": "on" if durable else "off"}
        with open(self.data / "postgresql.conf", "a") as file:
            file.writelines(f"{name} = {value}\n" for name, value in settings.items())
        (self.data / "pg_hba.conf").write_text("local all all peer map=gate\n")
        (self.data / "pg_ident.conf").write_text(f"gate {caller} {OWNER}\n")

    def ctl(self, *arguments: str) -> None:
        self._run("pg_ctl", "--pgdata", str(self.data), *arguments)

    def _run(self, program: str, *arguments: str) -> None:
        """The server outlives this call and must hold none of our pipes."""
        user = self.user
        done = subprocess.run(
            [str(self.bin / program), *arguments],
            cwd=self.home,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            user=None if user is None else user.pw_uid,
            group=None if user is None else user.pw_gid,
            extra_groups=None if user is None else [],
            check=False,
        )
        if done.returncode != 0:
            raise Unreachable(f"PostgreSQL's {program} failed", code="postgres.failed")
