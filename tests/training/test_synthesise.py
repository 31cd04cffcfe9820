"""The recipe that has a sealed model speak: sounds under the card's names, each labelled as made by a program."""

from __future__ import annotations

import base64
import io
import json
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile
from safetensors.torch import save

from sandbox.errors import Usage
from sandbox.policy.recipe import expand
from sandbox.runner.outgoing import SHOWN, Outgoing
from sandbox.runs import FLAC
from sandbox.training import phonemes
from tests.training.fake_keeper import FakeKeeper
from tests.training.test_evaluate import packed
from tests.training.test_recipes import card, keeper, kept
from tests.training.test_speaking import hifi

#: GB 45438-2025: what the label in a file's metadata names.
FIELDS = {
    "Label", "ContentProducer", "ProduceID", "ReservedCode1", "ContentPropagator", "PropagateID", "ReservedCode2",
}  # fmt: skip


def synthesise(
    recipes: Path, name: str = "characters", rows: int = 1, **asked: Any
) -> tuple[FakeKeeper, bool]:
    model = packed(name, rows)
    found, expanded = keeper(recipes / "synthesise", asked, inputs={"model": model})
    ended = found.run(recipes / "synthesise")
    kept(found, expanded)
    return found, ended


def test_each_sentence_becomes_a_sound_of_its_own(recipes: Path) -> None:
    found, ended = synthesise(recipes, sentences="one two | seven | twenty")
    assert ended, found.of("failed")
    assert [s["path"] for s in found.of("sound")] == ["audio/01.flac", "audio/02.flac", "audio/03.flac"]
    assert {a["media_type"] for a in found.of("artifact")} == {FLAC}
    lengths = {n: len(s["audio"]) / 4 / 16_000 for n, s in enumerate(found.of("sound"), 1)}
    assert found.values("seconds") == pytest.approx(lengths)


def test_the_same_request_makes_the_same_sounds(recipes: Path) -> None:
    sounds = [
        [s["audio"] for s in synthesise(recipes, "vits", sentences="seven|one", seed=seed)[0].of("sound")]
        for seed in (1, 1, 2)
    ]
    assert sounds[0] == sounds[1] != sounds[2]


def test_a_vocoder_may_be_given(recipes: Path) -> None:
    given = {
        "model": packed("characters"),
        "vocoder": bytes(save(dict(hifi().tensors), dict(hifi().metadata))),
    }
    found, _ = keeper(recipes / "synthesise", {"sentences": "seven"}, inputs=given)
    assert found.run(recipes / "synthesise"), found.of("failed")
    assert [a["path"] for a in found.of("ask")] == ["model", "vocoder"]
    assert found.of("sound")[0]["audio"] != synthesise(recipes, sentences="seven")[0].of("sound")[0]["audio"]


@pytest.mark.parametrize(("language", "text"), [("en", "good morning"), ("fr", "bonjour"), ("ru", "семь")])
def test_a_model_of_phonemes_speaks_the_language_asked_for(recipes: Path, language: str, text: str) -> None:
    found, ended = synthesise(recipes, "fastpitch", sentences=text, language=language)
    assert ended, found.of("failed")
    assert len(found.of("sound")) == 1 and phonemes._speaking == {}


def test_a_language_that_nobody_knows_is_refused_before_the_model_is_asked_for(recipes: Path) -> None:
    found, ended = synthesise(recipes, sentences="one", language="klingon")
    assert not ended and found.of("failed") == [{"code": "recipe.language"}] and found.of("ask") == []


def test_a_row_of_the_table_says_it(recipes: Path) -> None:
    first, second = (
        synthesise(recipes, "characters", 2, sentences="seven", voice=n)[0].of("sound")[0] for n in (0, 1)
    )
    assert first["audio"] != second["audio"]
    found, ended = synthesise(recipes, sentences="seven", voice=1)
    assert not ended and found.of("failed") == [{"code": "recipe.no_such_voice"}]


def test_no_more_sentences_than_the_card_has_names_for(recipes: Path) -> None:
    found, ended = synthesise(recipes, sentences="|".join(["one"] * 33))
    assert not ended and found.of("failed") == [{"code": "recipe.sentences"}] and found.of("sound") == []


def test_a_batch_of_sentences_may_be_2000_characters_long(recipes: Path) -> None:
    its = card(recipes / "synthesise")
    assert expand(its, {"sentences": "x" * 2000}).parameters["sentences"] == "x" * 2000
    with pytest.raises(Usage):
        expand(its, {"sentences": "x" * 2001})
    with pytest.raises(Usage):
        expand(its, {"language": "x" * 201})  # where the card says nothing


def test_the_card_names_as_many_files_as_the_recipe_says(recipes: Path) -> None:
    source = (recipes / "synthesise" / "recipe.py").read_text()
    paths = [a.path for a in expand(card(recipes / "synthesise"), {}).artifacts]
    assert paths == [f"audio/{n:02}.flac" for n in range(1, 33)] and "MOST = 32" in source


def test_each_file_says_that_a_program_made_it(recipes: Path, tmp_path: Path) -> None:
    """Through the keeper's own way out, and read by a program that is not ours."""
    found, expanded = keeper(
        recipes / "synthesise", {"sentences": "one|two"}, inputs={"model": packed("characters")}
    )
    assert found.run(recipes / "synthesise")
    shown: dict[str, bytes] = {}

    def send(kind: str, line: str = "", **_: Any) -> None:
        mark, path, data = line.split(" ")
        assert (kind, mark) == ("text", SHOWN)
        shown[path] = shown.get(path, b"") + base64.b64decode(data)

    grant: Any = SimpleNamespace(artifacts=expanded.artifacts, agreement="dsa-2026-0001", run="r-2345")
    out = Outgoing(grant, {}, send)
    for frame in found.heard:
        if frame.kind == "artifact":
            out.begin(**frame.body)
        elif frame.kind == "sound":
            out.sound(**frame.body)
        elif frame.kind == "close":
            out.close(**frame.body)
    assert list(shown) == ["audio/01.flac", "audio/02.flac"]
    for path, data in shown.items():
        (tmp_path / "said.flac").write_bytes(data)
        words = [
            "ffprobe",
            "-v",
            "error",
            "-of",
            "json",
            "-show_entries",
            "format_tags",
            str(tmp_path / "said.flac"),
        ]
        read = subprocess.run(words, capture_output=True, check=True)
        label = json.loads(json.loads(read.stdout)["format"]["tags"]["AIGC"])
        assert set(label) == FIELDS
        assert (label["Label"], label["ContentProducer"]) == ("1", "dsa-2026-0001")
        assert label["ProduceID"] == f"r-2345/{path}"
        samples, rate = soundfile.read(io.BytesIO(data))
        assert rate == 16_000 and np.abs(samples).max() > 0
