"""What services run is a copy, keyed by its digest: made once, made again when cut off, never half."""

from __future__ import annotations

from pathlib import Path

import pytest

from sandbox.deployment import install as installing
from sandbox.deployment.files import read_json
from sandbox.deployment.install import FOLDERS, Source, differs, install
from sandbox.deployment.places import Places
from sandbox.errors import SandboxError


@pytest.fixture
def source(tmp_path: Path) -> Source:
    root = tmp_path / "checkout"
    for folder in FOLDERS:
        (root / folder).mkdir(parents=True)
        (root / folder / "file.txt").write_text(folder)
    (root / "locks" / "host.lock").write_text("click==8.1\n")
    (root / "sandbox" / "code.py").write_text("x = 1\n")
    (root / "sandbox" / "__pycache__").mkdir()
    (root / "sandbox" / "__pycache__" / "code.pyc").write_bytes(b"stale")
    (root / "sandbox" / "link.py").symlink_to("/etc/hostname")
    return Source(root, tmp_path / "wheels")


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Places:
    places = Places(tmp_path / "s")
    places.app.mkdir(parents=True)

    def venv(places: Places, source: Source) -> None:
        places.python.parent.mkdir(parents=True, exist_ok=True)
        places.python.write_text("")

    monkeypatch.setattr(installing, "_venv", venv)
    return places


def quiet(line: str) -> None:
    return None


def test_the_second_install_changes_nothing(places: Places, source: Source) -> None:
    assert differs(places, source)
    assert install(places, source, quiet)
    assert not differs(places, source)
    assert not install(places, source, quiet)
    assert (places.app / "sandbox" / "code.py").read_text() == "x = 1\n"


def test_links_and_stale_bytecode_are_not_copied(places: Places, source: Source) -> None:
    install(places, source, quiet)
    assert not (places.app / "sandbox" / "link.py").exists()
    assert not (places.app / "sandbox" / "__pycache__" / "code.pyc").exists()


def test_a_changed_byte_is_installed_and_a_removed_file_goes(places: Places, source: Source) -> None:
    install(places, source, quiet)
    (source.root / "sandbox" / "code.py").write_text("x = 2\n")
    (source.root / "recipes" / "file.txt").unlink()
    assert differs(places, source)
    assert install(places, source, quiet)
    assert (places.app / "sandbox" / "code.py").read_text() == "x = 2\n"
    assert not (places.app / "recipes" / "file.txt").exists()


def test_an_install_that_was_cut_off_is_made_again(
    places: Places, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(places, source, quiet)
    (source.root / "sandbox" / "code.py").write_text("x = 2\n")

    def cut_off(places: Places, source: Source) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(installing, "_code", cut_off)
        with pytest.raises(KeyboardInterrupt):
            install(places, source, quiet)
    assert "code" not in read_json(places.installed)
    assert install(places, source, quiet)
    assert (places.app / "sandbox" / "code.py").read_text() == "x = 2\n"


def test_an_incomplete_checkout_is_one_clear_error(places: Places, source: Source) -> None:
    (source.root / "locks" / "host.lock").unlink()
    with pytest.raises(SandboxError, match=r"host\.lock is missing"):
        install(places, source, quiet)


def test_no_wheels_is_one_clear_error(tmp_path: Path, source: Source) -> None:
    places = Places(tmp_path / "other")
    places.app.mkdir(parents=True)
    with pytest.raises(SandboxError, match="no wheels"):
        install(places, source, quiet)
