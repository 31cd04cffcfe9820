"""No listing, whatever its bytes, ends a reader with anything but Usage; what comes out can always be sent."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox.client.readers import Defaults, read_folder
from sandbox.custodian.upload import MAX_JSON_BYTES
from sandbox.errors import Usage

DEFAULTS = Defaults(subject="spk_anna", language="en", names={"a": "spk_a0"})

CELLS = st.one_of(
    st.sampled_from(
        ["a", "a.wav", "../a.wav", "/", "", "{}", '"', "|", "\t", ",", "\r", "\x00", "\u2028", "\ufeff"]
    ),
    st.text(max_size=8),
)
WORDS = st.sampled_from(
    ["file", "file_name", "path", "text", "sentence", "client_id", "subject", "speaker", "locale"]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | CELLS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(WORDS, inner, max_size=2),
    max_leaves=4,
)


def table(separator: str, head: list[str]) -> st.SearchStrategy[bytes]:
    """Bytes near to a table: its head or not, then rows of odd cells, or anything at all."""
    rows = st.lists(st.lists(CELLS, max_size=len(head) + 1).map(separator.join), max_size=4)
    near = st.tuples(st.sampled_from([separator.join(head), ""]), rows).map(
        lambda t: "\n".join([t[0], *t[1]])
    )
    return st.one_of(near.map(lambda text: text.encode("utf-8", "surrogatepass")), st.binary(max_size=80))


LINES = st.lists(
    st.one_of(st.dictionaries(WORDS, VALUES, max_size=5).map(json.dumps), CELLS), max_size=4
).map(lambda lines: "\n".join(lines).encode("utf-8", "surrogatepass"))
LISTINGS = {
    "CSV": ("metadata.csv", table(",", ["file", "text", "subject", "language"])),
    "LJSpeech": ("metadata.csv", table("|", ["a", "b"])),
    "AudioFolder": ("metadata.jsonl", st.one_of(LINES, st.binary(max_size=80))),
    "AudioFolder, CSV": ("metadata.csv", table(",", ["file_name", "text", "speaker"])),
    "Common Voice": ("validated.tsv", table("\t", ["client_id", "path", "sentence", "locale"])),
}


def check(folder: Path) -> None:
    """Recordings that can be sent, or Usage; nothing else."""
    try:
        found = read_folder(folder, DEFAULTS)
    except Usage:
        return
    assert found
    for recording in found:
        facts, audio = recording.sent()
        assert len(json.dumps(facts).encode()) <= MAX_JSON_BYTES
        assert facts["file"] == facts["file"].encode("utf-8", "replace").decode()
        assert not audio or "fault" not in facts


@pytest.mark.parametrize(("name", "content"), LISTINGS.values(), ids=LISTINGS)
@given(data=st.data())
@settings(deadline=None)
def test_no_listing_crashes_a_reader(
    name: str, content: st.SearchStrategy[bytes], data: st.DataObject
) -> None:
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "clips").mkdir()
        (folder / "a.wav").write_bytes(b"sound")
        (folder / name).write_bytes(data.draw(content))
        check(folder)


NAMES = st.binary(min_size=1, max_size=12).filter(
    lambda name: not {0, 47} & set(name) and name not in (b".", b"..")
)


@pytest.mark.parametrize("layout", ["VCTK", "LibriTTS"])
@given(
    speaker=NAMES, name=NAMES, script=st.binary(max_size=20), kind=st.sampled_from(["text", "folder", "loop"])
)
@settings(deadline=None)
def test_no_name_of_a_file_crashes_a_reader(
    layout: str, speaker: bytes, name: bytes, script: bytes, kind: str
) -> None:
    with tempfile.TemporaryDirectory() as place:
        folder = os.fsencode(place)
        room = {"VCTK": b"txt/%b", "LibriTTS": b"%b/1"}[layout] % speaker
        ending = {"VCTK": b".txt", "LibriTTS": b".normalized.txt"}[layout]
        os.makedirs(os.path.join(folder, room))
        if layout == "VCTK":
            os.makedirs(os.path.join(folder, b"wav48"))
        path = os.path.join(folder, room, name + ending)
        if kind == "text":
            Path(os.fsdecode(path)).write_bytes(script)
        elif kind == "folder":
            os.mkdir(path)
        else:
            os.symlink(name + ending, path)
        check(Path(place))
