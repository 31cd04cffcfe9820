"""`sandbox backup drill`: a backup made, restored beside the installation, brought up and looked at; with its times.

The restored custodian starts on a scratch state: it opens every register and dataset at the heads that the restored
Vault holds, and honours the list of erasures before it writes a run policy. The gate is not started (it would speak for
runs of the real one): its database is checked. The key comes from a copy kept apart: without it a drill proves nothing.
"""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from sandbox.deployment import programs
from sandbox.deployment.backup.copying import DATABASES
from sandbox.deployment.backup.keys import SealKey
from sandbox.deployment.backup.making import make
from sandbox.deployment.backup.restoring import Restoring, restore
from sandbox.deployment.files import read_json, write_json
from sandbox.deployment.places import Places
from sandbox.deployment.settings import Settings, free_port
from sandbox.deployment.supervision import Program, spawn
from sandbox.deployment.users import Accounts
from sandbox.errors import EvidenceMismatch, Unreachable, Usage

READY_S = 120.0


@dataclass
class Drilled:
    """Seconds of each part, and what was looked at."""

    seconds: dict[str, float] = field(default_factory=dict)
    bytes: int = 0
    files: int = 0

    @contextmanager
    def timing(self, part: str) -> Iterator[None]:
        began = time.monotonic()
        yield
        self.seconds[part] = round(time.monotonic() - began, 2)


def drill(
    places: Places,
    accounts: Accounts,
    settings: Settings,
    scratch: Path,
    key: SealKey,
    erasures: tuple[str, ...],
    now: datetime,
    say: Callable[[str], None],
) -> Drilled:
    """Everything, then ``scratch`` is removed. Raises what making, restoring or starting does."""
    if scratch.exists():
        raise Usage(f"{scratch} is already there", code="file.exists", mend="remove it, or --scratch DIR")
    found, there = Drilled(), Places.at(scratch / "s")
    ports = replace(settings, vault_port=free_port(), cluster_port=free_port(), web_port=free_port())
    scratch.mkdir(mode=0o755)
    try:
        with found.timing("make"):
            book = make(places, settings, scratch / "backup", now, say)
        found.bytes, found.files = book.size, len(book.files)
        asked = Restoring(scratch / "backup", key, erasures)
        with found.timing("restore"):
            restore(there, accounts, ports, places.app / "configs" / "vault", asked, now, say)
        with found.timing("start"):
            say("Vault and custodian start from it")
            _start(places, there, accounts, ports)
        with found.timing("check"):
            _look(there)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return found


def _start(places: Places, there: Places, accounts: Accounts, settings: Settings) -> None:
    """Both come up, then go down."""
    for name in ("venv", "sandbox", "configs"):
        (there.app / name).symlink_to(places.app / name)
    known = {**read_json(places.public), "vault_addr": f"https://127.0.0.1:{settings.vault_port}"}
    write_json(there.public, known, 0o644)
    running: list[subprocess.Popen[bytes]] = []
    try:
        for program in (
            programs.vault(there, accounts, settings),
            programs.custodian(there, accounts, settings),
        ):
            _patiently(program)
            running.append(spawn(program))
            _until_ready(program, running[-1])
    finally:
        for process in reversed(running):
            process.terminate()
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _patiently(program: Program) -> None:
    """What comes before its start needs a Vault that has elected itself."""
    until = time.monotonic() + READY_S
    while True:
        try:
            program.before()
        except Unreachable:
            if time.monotonic() > until:
                raise
            time.sleep(0.1)
            continue
        return


def _until_ready(program: Program, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + READY_S
    while not program.ready():
        if process.poll() is not None or time.monotonic() > until:
            last = program.log.read_text(errors="replace").strip().splitlines()[-1:]
            raise EvidenceMismatch(
                f"the restored {program.name} does not come up: {' '.join(last)[:300]}", code="drill.failed"
            )
        time.sleep(0.1)


def _look(there: Places) -> None:
    """The note of the restore was honoured, and both databases are whole."""
    if (there.private("custodian") / "restored.json").exists():
        raise EvidenceMismatch(
            "the restored custodian did not honour the list of erasures", code="drill.failed"
        )
    for name in DATABASES:
        path = there.state / name
        if path.exists():
            with closing(sqlite3.connect(path)) as database:
                if database.execute("PRAGMA integrity_check").fetchone() != ("ok",):
                    raise EvidenceMismatch(f"the restored {name} is damaged", code="drill.failed")
