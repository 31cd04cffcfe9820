"""Where the seal key's copy is missing, which backup outlived its life, and that half a restore never starts."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from sandbox.deployment import layout, users
from sandbox.deployment.backup import copying, keys
from sandbox.deployment.doctor import _backups
from sandbox.deployment.install import Source
from sandbox.deployment.places import Places
from sandbox.deployment.settings import Settings
from sandbox.deployment.up import Asked, up
from sandbox.errors import Conflict, Usage

ME = users.one_user(os.getuid(), os.getgid())


@pytest.fixture
def places(tmp_path):
    found = Places.at(tmp_path / "s")
    layout.make(layout.rooms(found, ME))
    (found.vault / "seal").mkdir()
    (found.vault / "raft").mkdir()
    (found.vault / "seal" / "1.key").write_bytes(b"k" * 32)
    (found.vault / "supervisor.json").write_text(json.dumps({"secret_id": "s"}))
    return found


def said(places):
    return [(found.check, found.level) for found in _backups(places, Settings())]


def test_doctor_says_that_the_seal_key_has_no_copy(places):
    assert said(places) == [("seal key", "note")]


def test_doctor_sees_a_copy_that_is_apart(places, tmp_path):
    keys.keep(places, tmp_path / "seal.key")
    assert said(places) == [("seal key", "ok")]
    assert keys.SealKey.read(tmp_path / "seal.key").key == b"k" * 32
    assert (tmp_path / "seal.key").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("harm", ["gone", "another key"])
def test_doctor_misses_a_copy_that_is_gone_or_another_keys(places, tmp_path, harm):
    keys.keep(places, tmp_path / "seal.key")
    if harm == "gone":
        (tmp_path / "seal.key").unlink()
    else:
        (places.vault / "seal" / "1.key").write_bytes(b"n" * 32)
    assert said(places) == [("seal key", "note"), ("seal key", "note")]


def test_doctor_says_that_the_seal_key_itself_is_gone(places):
    (places.vault / "seal" / "1.key").unlink()
    assert said(places) == [("seal key", "bad")]


def test_doctor_names_a_backup_that_should_be_gone(places, tmp_path):
    for name, until in (("old", "2020-01-01T00:00:00Z"), ("new", "2099-01-01T00:00:00Z")):
        (tmp_path / name).mkdir()
        keys.note(places, "backups", {"path": str(tmp_path / name), "expires_at": until})
    found = [one for one in _backups(places, Settings()) if one.check == "backup"]
    assert [one.level for one in found] == ["bad"] and str(tmp_path / "old") in found[0].says
    (tmp_path / "old").rmdir()
    assert ("backup", "bad") not in said(places)


def test_a_copy_of_the_key_is_never_written_over(places, tmp_path):
    (tmp_path / "seal.key").write_text("another's")
    with pytest.raises(Usage):
        keys.keep(places, tmp_path / "seal.key")
    assert (tmp_path / "seal.key").read_text() == "another's"


def test_a_backup_folder_that_holds_the_key_is_refused(places, tmp_path):
    (tmp_path / "b").mkdir()
    keys.keep(places, tmp_path / "b" / "seal.key")
    with pytest.raises(Usage) as refused:
        keys.require_without(tmp_path / "b", keys.noted(places, "keys"))
    assert refused.value.code == "backup.key_not_apart"


def test_the_key_shows_in_no_repr(places):
    assert "k" * 8 not in repr(keys.present(places)) and "secret_id" not in repr(keys.present(places))


def test_up_does_not_start_half_a_restore(places, tmp_path):
    (places.run / "restoring").write_text("{}")
    with pytest.raises(Conflict) as refused:
        up(places, Source(tmp_path, tmp_path), Asked(), lambda _: None, lambda _: None)
    assert refused.value.code == "restore.unfinished"


def test_a_link_or_a_secret_of_this_start_goes_into_no_backup(places, tmp_path):
    (tmp_path / "secret").write_text("s")
    (places.registers / "link").symlink_to(tmp_path / "secret")
    for service in ("custodian", "gate"):
        (places.private(service) / "login.wrap").write_text("s")
        (places.private(service) / "storage.json").write_text("s")
    (places.registers / "people").mkdir()
    (places.registers / "people" / "1.dsse.json").write_text("{}")
    assert list(copying.files_of(places.state, "custodian")) == [
        Path("custodian/registers/people/1.dsse.json")
    ]
    assert list(copying.files_of(places.state, "gate/private")) == []


def test_what_the_custodian_enters_after_a_restore_is_the_gates_to_read_too(places, tmp_path):
    name = "custodian/registers/erasure/1.dsse.json"
    (tmp_path / "b" / name).parent.mkdir(parents=True)
    (tmp_path / "b" / name).write_text("{}")
    copying.put_back(tmp_path / "b", places.state, name, 0o640, ME)
    assert (places.registers / "erasure").stat().st_mode & 0o7777 == 0o2750
    assert (places.state / name).stat().st_mode & 0o777 == 0o640
