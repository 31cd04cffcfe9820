"""The search finds a canary in every form in which plaintext gets about, wherever it stands, and nothing else."""

from __future__ import annotations

import base64
import gzip
import io
import json
from typing import Any
from urllib.parse import quote

import msgpack
import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from sandbox.residue import draw
from sandbox.residue.needles import Needle, of_sound, of_text
from sandbox.residue.search import PIECE, Search

CANARY = draw("canary")
PCM, TEXT = CANARY.samples, CANARY.text
FLOATS = PCM.astype(np.float32) / 32768


def encoded(form: str, pcm: NDArray[np.int16] = PCM, **options: Any) -> bytes:
    target = io.BytesIO()
    soundfile.write(target, pcm, 16_000, format=form, **options)
    return target.getvalue()


PLANTED = {
    "16-bit samples": PCM.astype("<i2").tobytes(),
    "16-bit samples, big-endian": PCM.astype(">i2").tobytes(),
    "32-bit samples": (PCM.astype(np.int32) << 16).astype("<i4").tobytes(),
    "float32": FLOATS.astype("<f4").tobytes(),
    "float64": FLOATS.astype("<f8").tobytes(),
    "WAV": encoded("WAV", subtype="PCM_16"),
    "WAV of 24 bits": encoded("WAV", subtype="PCM_24"),
    "WAV of floats": encoded("WAV", subtype="FLOAT"),
    "AIFF": encoded("AIFF", subtype="PCM_16"),
    "FLAC": encoded("FLAC", subtype="PCM_16"),
    "FLAC of 24 bits": encoded("FLAC", subtype="PCM_24"),
    "base64 of samples": base64.b64encode(PCM.astype("<i2").tobytes()),
    "base64 of floats": base64.b64encode(FLOATS.astype("<f4").tobytes()),
    "gzip of samples": gzip.compress(PCM.astype("<i2").tobytes()),
    "msgpack of a record": msgpack.packb({"audio": FLOATS.astype("<f4").tobytes()}),
    "UTF-8": TEXT.encode(),
    "UTF-16": TEXT.encode("utf-16-le"),
    "UTF-16, big-endian": TEXT.encode("utf-16-be"),
    "UTF-32": TEXT.encode("utf-32-le"),
    "JSON": json.dumps({"text": TEXT}).encode(),
    "JSON in UTF-8": json.dumps({"text": TEXT}, ensure_ascii=False).encode(),
    "base64 of text": base64.b64encode(TEXT.encode()),
    "base64 of JSON": base64.b64encode(json.dumps({"t": TEXT}, ensure_ascii=False).encode()),
    "percent signs": quote(TEXT).encode(),
    "hexadecimal": TEXT.encode().hex().encode(),
    "msgpack of text": msgpack.packb({"text": TEXT}),
    "gzip of text": gzip.compress(TEXT.encode()),
}


@pytest.fixture(scope="module")
def search() -> Search:
    return Search(CANARY.needles())


@pytest.mark.parametrize("shift", [0, 1, 2, 3])
@pytest.mark.parametrize("form", PLANTED)
def test_a_canary_is_found_in_every_form_and_at_every_place(search: Search, form: str, shift: int) -> None:
    noise = np.random.default_rng(shift).bytes(1000 + shift)
    found, size = search.stream(io.BytesIO(noise + PLANTED[form] + noise))
    assert found and size == 2 * len(noise) + len(PLANTED[form])


def test_flac_of_another_encoder_is_decoded() -> None:
    """A voice is smooth, so encoders write it in different ways; noise they keep as it is."""
    time = np.arange(16_000) / 16_000
    voice = 9000 * np.sin(2 * np.pi * 180 * time + 3 * np.sin(2 * np.pi * 3 * time)) * (0.6 + 0.4 * np.sin(9 * time))
    pcm = voice.astype(np.int16)
    other = encoded("FLAC", pcm, subtype="PCM_16", compression_level=0.0)
    search = Search(of_sound("voice", pcm, 16_000))
    assert search.within(other) == set()
    assert {needle.form for needle in search.stream(io.BytesIO(b"noise" + other))[0]} >= {"int16"}


BROKEN = [b"", b"a", b"abc", b"fLaC", b"fLaC" + bytes(99), b"\x1f\x8b\x08", gzip.compress(b"")]


@pytest.mark.parametrize("broken", BROKEN)
def test_what_only_begins_like_something_is_no_fault(search: Search, broken: bytes) -> None:
    assert search.stream(io.BytesIO(broken))[0] == search.within(broken) == set()


def test_nothing_is_found_in_noise_and_prose(search: Search) -> None:
    noise = np.random.default_rng(9).bytes(3 << 20)
    prose = b"The quick brown fox jumps over the lazy dog. " * 9999
    assert search.stream(io.BytesIO(noise + bytes(1 << 20) + prose))[0] == set()
    other = draw("another")
    assert search.stream(io.BytesIO(other.samples.tobytes() + other.text.encode()))[0] == set()


@pytest.mark.parametrize("before", [PIECE - 9, PIECE - 1, PIECE, PIECE + 3])
def test_one_that_lies_across_two_pieces_is_found(before: int) -> None:
    needle = Needle("a", "b", b"across the border of pieces")
    assert Search([needle]).stream(io.BytesIO(bytes(before) + needle.data))[0] == {needle}


def test_one_broken_over_the_pages_of_a_database_is_found(search: Search) -> None:
    """A long value lies on pages with 4 bytes of chain in front of each, in any order."""
    data = PCM.astype("<i2").tobytes()
    pages = [b"\0\0\0\7" + data[at : at + 4092] for at in range(0, len(data), 4092)]
    assert search.within(b"".join(reversed(pages)))


def test_of_silence_and_of_short_texts_nothing_is_looked_for() -> None:
    assert [n for n in of_sound("s", np.zeros(16_000, dtype=np.int16), 16_000) if n.form != "FLAC"] == []
    assert of_text("t", "seven") == []


def test_a_needle_that_stands_everywhere_is_refused() -> None:
    with pytest.raises(ValueError, match="shorter"):
        Search([Needle("a", "b", b"abc")])
