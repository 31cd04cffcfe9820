"""The public set: copied whole, named by digest, nothing in it that the list does not name."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from sandbox.deployment import public_set
from sandbox.deployment.places import Places
from sandbox.errors import Usage
from sandbox.runs import recipe_digest

LISTING = "file,text,subject,language\none.wav,one,pub_1,en\nsub/two.wav,two,pub_1,en\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "speech"
    (folder / "sub").mkdir(parents=True)
    (folder / "metadata.csv").write_text(LISTING)
    (folder / "one.wav").write_bytes(b"1")
    (folder / "sub" / "two.wav").write_bytes(b"2")
    (folder / "notes.txt").write_text("not listed")
    return folder


@pytest.fixture
def places(tmp_path: Path) -> Places:
    places = Places(tmp_path / "s")
    (places.app / "configs").mkdir(parents=True)
    return places


def test_the_set_is_copied_and_its_digest_published(places: Places, folder: Path) -> None:
    digest = public_set.bring(places, folder)
    files = {
        str(p.relative_to(places.public_set)): p.read_bytes()
        for p in places.public_set.rglob("*")
        if p.is_file()
    }
    assert sorted(files) == ["metadata.csv", "one.wav", "sub/two.wav"]
    assert digest == recipe_digest(files)
    assert yaml.safe_load((places.app / "configs" / "public.yaml").read_text())["digest"] == digest


def test_without_a_set_nothing_is_published(places: Places) -> None:
    assert public_set.publish(places) == ""
    assert not (places.app / "configs" / "public.yaml").exists()


@pytest.mark.parametrize("listing", ["", "file,text\none.wav,one\n", "file,text,subject,language\n"])
def test_a_list_without_its_columns_is_refused(places: Places, folder: Path, listing: str) -> None:
    (folder / "metadata.csv").write_text(listing)
    with pytest.raises(Usage):
        public_set.bring(places, folder)


@pytest.mark.parametrize("name", ["../secret.wav", "missing.wav", "link.wav"])
def test_what_lies_outside_or_is_no_file_is_refused(places: Places, folder: Path, name: str) -> None:
    (folder.parent / "secret.wav").write_bytes(b"secret")
    (folder / "link.wav").symlink_to(folder.parent / "secret.wav")
    (folder / "metadata.csv").write_text(f"file,text,subject,language\n{name},x,pub_1,en\n")
    with pytest.raises(Usage, match="no regular file"):
        public_set.bring(places, folder)
    assert not places.public_set.exists()
