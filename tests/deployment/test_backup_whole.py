"""What a backup may hold, and what one that failed leaves behind; without a Vault."""

from __future__ import annotations

import json
import os
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sandbox.deployment import layout, users
from sandbox.deployment.backup import copying, keys, making, restoring
from sandbox.deployment.backup.book import NAME, Book, Entry
from sandbox.deployment.backup.making import JOURNAL, SNAPSHOT, make
from sandbox.deployment.backup.restoring import Restoring, restore, unfinished
from sandbox.deployment.places import Places
from sandbox.deployment.settings import Settings
from sandbox.errors import Conflict, EvidenceMismatch, Unreachable, Usage
from sandbox.runs import utc

ME = users.one_user(os.getuid(), os.getgid())
NOW = datetime.now(UTC)
KEY = keys.SealKey(b"k" * 32, {"secret_id": "s"})
WHOLE = (SNAPSHOT, JOURNAL, "custodian/registers/people/1.dsse.json", "gate/private/gate.db", "audit/1.log")


def quiet(_: str) -> None: ...


def backup(folder: Path, *names: str, mode: int = 0o600) -> Path:
    files = {}
    for name in names or WHOLE:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("x")
        found = copying.entry(folder / name)
        files[name] = Entry(found.sha256, found.size, mode)
    (folder / NAME).write_bytes(Book(NOW, NOW + timedelta(days=30), KEY.digest, "/s", files).to_bytes())
    return folder


@pytest.fixture
def bring_back(tmp_path, monkeypatch):
    """Restores a folder, all but Vault; the places."""
    monkeypatch.setattr(restoring, "revive", lambda *_: (tmp_path / "s/vault/restore.log").touch())
    there = Places.at(tmp_path / "s")

    def act(folder: Path) -> Places:
        restore(there, ME, Settings(), tmp_path, Restoring(folder, KEY, ()), NOW, quiet)
        return there

    return act


def test_a_whole_backup_comes_back(tmp_path, bring_back):
    there = bring_back(backup(tmp_path / "b"))
    assert all((there.state / name).read_text() == "x" for name in WHOLE if name != SNAPSHOT)
    unfinished(there)


@pytest.mark.parametrize(
    "name",
    [
        "app/venv/bin/sandbox",
        "vault/seal/1.key",
        "run/restoring",
        "custodian/private/login.wrap",
        "gate/private/login.wrap",
        "elsewhere",
    ],
)
def test_a_backup_that_names_what_none_holds_is_refused_and_nothing_is_touched(tmp_path, bring_back, name):
    folder = backup(tmp_path / "b", *WHOLE, name)
    with pytest.raises(EvidenceMismatch) as refused:
        bring_back(folder)
    assert refused.value.code == "backup.foreign" and not (tmp_path / "s").exists()


@pytest.mark.parametrize("mode", [0o4755, -1, "0600", None, True])
def test_a_backup_gives_nothing_but_permission_bits(tmp_path, bring_back, mode):
    folder = backup(tmp_path / "b", mode=mode)
    with pytest.raises(EvidenceMismatch) as refused:
        bring_back(folder)
    assert refused.value.code == "backup.foreign" and not (tmp_path / "s").exists()


def test_all_that_goes_into_a_backup_may_come_out_of_it(tmp_path):
    for name in (
        *WHOLE,
        "custodian/erasures/d.spk_a.json",
        "gate/private/evidence/x",
        "mlflow/artifacts/1/m",
        "mlflow/mlflow.db",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = [str(name) for room in copying.LEFT_OUT for name in copying.files_of(tmp_path, room)]
    assert len(found) == 5 and all(map(copying.belongs, [*found, *copying.DATABASES]))


def test_a_backup_without_vaults_snapshot_is_none(tmp_path, bring_back):
    with pytest.raises(Usage) as refused:
        bring_back(backup(tmp_path / "b", *WHOLE[1:]))
    assert refused.value.code == "backup.none" and not (tmp_path / "s").exists()


def test_what_was_restored_is_on_the_disk_before_it_counts_as_whole(tmp_path, bring_back, monkeypatch):
    def power_fails() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(restoring.os, "sync", power_fails)
    with pytest.raises(KeyboardInterrupt):
        bring_back(backup(tmp_path / "b"))
    with pytest.raises(Conflict):
        unfinished(Places.at(tmp_path / "s"))


def test_doctor_knows_of_a_backup_that_was_killed_with_a_snapshot_in_it(made, tmp_path, monkeypatch):
    monkeypatch.setattr(making.shutil, "rmtree", lambda *_, **__: None)  # nobody tidies after a kill
    with pytest.raises(KeyboardInterrupt):
        made(KeyboardInterrupt())
    (left,) = keys.noted(Places.at(tmp_path / "s"), "backups")
    assert (Path(left["path"]) / SNAPSHOT).exists() and left["expires_at"] == utc(NOW + timedelta(days=30))


@pytest.mark.parametrize("fault", [Unreachable("gate.db cannot be copied"), KeyboardInterrupt()], ids=repr)
def test_a_backup_that_failed_leaves_no_snapshot_of_vault_behind(made, tmp_path, fault):
    with pytest.raises(type(fault)):
        made(fault)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["s"]


@pytest.fixture
def made(tmp_path, monkeypatch):
    """Makes a backup that ends with a fault once Vault's snapshot is in it."""
    places = Places.at(tmp_path / "s")
    layout.make(layout.rooms(places, ME))
    (places.vault / "seal").mkdir()
    (places.vault / "seal" / "1.key").write_bytes(KEY.key)
    (places.vault / "supervisor.json").write_text(json.dumps(KEY.supervisor))
    (places.app / "configs").mkdir()
    shutil.copy(Path(__file__).parents[2] / "configs" / "backup.yaml", places.app / "configs")

    def act(fault: BaseException) -> None:
        def copy(places, settings, partial, say):
            (partial / SNAPSHOT).write_bytes(b"every key that Vault holds")
            raise fault

        monkeypatch.setattr(making, "_copy", copy)
        make(places, Settings(), tmp_path / "b", NOW, quiet)

    return act
