"""The recipe that measures a sealed model: of any architecture, on real recordings; only numbers leave."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save

from sandbox.training import evaluation, speaking
from sandbox.training.run import Utterance
from tests.training.fake_keeper import FakeKeeper, utterance
from tests.training.real import numbers, voices
from tests.training.test_recipes import keeper, kept
from tests.training.test_speaking import TINY, saved

ALWAYS = {
    "said", "left_out", "mcd_db", "voicing_error", "f0_frame_error", "duration_error", "speaker_similarity",
}  # fmt: skip


def packed(name: str, voices: int = 1) -> bytes:
    given = saved(name, voices)
    return bytes(save({k: v.contiguous() for k, v in given.tensors.items()}, dict(given.metadata)))


def evaluate(
    recipes: Path, model: bytes, said: Sequence[Mapping[str, Any]], **asked: Any
) -> tuple[FakeKeeper, bool]:
    found, expanded = keeper(recipes / "evaluate", asked, utterances=said, inputs={"model": model})
    ended = found.run(recipes / "evaluate")
    kept(found, expanded)
    return found, ended


def report(found: FakeKeeper) -> dict[str, Any]:
    (body,) = found.of("report")
    return dict(json.loads(body["data"]))


class Parrot:
    """A model that says the recording itself, a little louder; what a perfect one would be measured at."""

    rows, family, shape, model = 1, None, None, None

    def __init__(self, said: Sequence[Mapping[str, Any]], change: Any = lambda sound: 1.5 * sound) -> None:
        self._sounds = {one["text"]: np.frombuffer(one["audio"], dtype="<f4") for one in said}
        self._change = change

    def say(self, text: str, language: str, voice: int) -> torch.Tensor:
        return torch.from_numpy(np.array(self._change(self._sounds[text]), dtype=np.float32))


@pytest.fixture
def parrot(monkeypatch: pytest.MonkeyPatch) -> Any:
    def teach(*args: Any) -> None:
        monkeypatch.setattr(speaking, "restore", lambda given: Parrot(*args))

    return teach


@pytest.mark.parametrize("name", TINY)
def test_every_architecture_is_measured(recipes: Path, name: str) -> None:
    found, ended = evaluate(recipes, packed(name), numbers()[6:9])
    assert ended, found.of("failed")
    assert {frame["name"] for frame in found.of("metric")} >= ALWAYS
    assert found.values("said") == {3: 3} and found.values("left_out") == {3: 0}
    tells = name in ("characters", "fastpitch", "fastspeech2", "glowtts")
    assert ("symbol_error_ms" in report(found)["measures"]) is tells
    assert found.of("sound") == [] and found.of("tensor") == []
    measured = report(found)["measures"]
    assert {spread["count"] for spread in measured.values()} <= {1, 2, 3}
    for name, spread in measured.items():
        assert found.values(name)[3] == spread["median"]


def test_who_says_the_recordings_themselves_is_perfect(recipes: Path, parrot: Any) -> None:
    said = numbers()[:8]
    parrot(said)
    found, ended = evaluate(recipes, packed("characters"), said)
    assert ended, found.of("failed")
    medians = {
        name: next(iter(found.values(name).values())) for name in {m["name"] for m in found.of("metric")}
    }
    assert medians["mcd_db"] == pytest.approx(0, abs=0.1) and medians["duration_error"] == 0
    assert medians["f0_rmse_cents"] == pytest.approx(0, abs=1) and medians["gross_pitch_error"] == 0
    assert medians["speaker_similarity"] == pytest.approx(medians["speaker_similarity_recorded"], abs=0.03)
    assert medians["speaker_similarity"] > 0.6
    assert medians["word_accuracy"] == pytest.approx(medians["word_accuracy_recorded"], abs=0.13)
    assert report(found)["words"]["utterances"] == report(found)["words"]["words"] == 8


def test_who_says_something_else_is_measured_worse(recipes: Path, parrot: Any) -> None:
    said = numbers()[:8]
    parrot(said, lambda sound: np.repeat(sound, 2))  # an octave lower, and twice as long
    found, ended = evaluate(recipes, packed("characters"), said)
    assert ended, found.of("failed")
    measured = report(found)["measures"]
    assert measured["duration_error"]["median"] == pytest.approx(1.0, abs=0.05)
    assert measured["f0_rmse_cents"]["median"] > 900
    assert measured["speaker_similarity"]["median"] < measured["speaker_similarity_recorded"]["median"]
    assert report(found)["words"]["said"] < report(found)["words"]["recorded"]


def texts(value: Any) -> Iterator[str]:
    """Every text in a report that is no name of a field."""
    if isinstance(value, Mapping):
        for item in value.values():
            yield from texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from texts(item)
    elif isinstance(value, str):
        yield value


def test_no_text_no_sound_and_no_id_leaves(recipes: Path) -> None:
    said = [{**one, "record": f"u{n:05d}"} for n, one in enumerate(numbers()[:4])]
    found, ended = evaluate(recipes, packed("characters"), said)
    assert ended, found.of("failed")
    assert list(texts(report(found))) == []
    assert {a["path"] for a in found.of("artifact")} == {evaluation.REPORT}
    told = " ".join(str(frame.body) for frame in found.heard if frame.kind != "want")
    for one in said:
        assert not re.search(rf"\b({one['text']}|{one['record']}|{one['subject']})\b", told)
    fields = {"said", "left_out", "measures", "words"}
    assert set(report(found)) == fields and {m["step"] for m in found.of("metric")} == {4}


def test_numbers_of_the_report_are_rounded(recipes: Path) -> None:
    found, _ = evaluate(recipes, packed("characters"), numbers()[:3])
    for number in re.findall(r"\d+\.\d+", json.dumps(report(found))):
        assert len(number.partition(".")[2]) <= 3


def test_what_cannot_be_measured_is_counted_and_left_out(recipes: Path, parrot: Any) -> None:
    silent = {**utterance("silent", text="silence"), "audio": np.zeros(8_000, dtype="<f4").tobytes()}
    said = [*numbers()[:2], silent]
    parrot(
        said, lambda sound: sound * 0 if len(sound) == len(np.frombuffer(said[0]["audio"], "<f4")) else sound
    )
    found, ended = evaluate(recipes, packed("characters"), said)
    assert ended and found.values("said") == {1: 1} and found.values("left_out") == {1: 2}


def test_a_recording_without_sound_is_no_measure_of_what_is_said(recipes: Path, parrot: Any) -> None:
    silent = {**utterance("silent", text="silence"), "audio": np.zeros(8_000, dtype="<f4").tobytes()}
    said = [numbers()[0], silent]
    parrot(said, lambda sound: sound if sound.any() else np.full_like(sound, 0.1))
    found, ended = evaluate(recipes, packed("characters"), said)
    assert ended and found.values("said") == {1: 1} and found.values("left_out") == {1: 1}


def test_nothing_to_measure_is_no_evaluation(recipes: Path, parrot: Any) -> None:
    parrot(numbers()[:2], lambda sound: np.full_like(sound, np.nan))
    found, ended = evaluate(recipes, packed("characters"), numbers()[:2])
    assert not ended and found.of("failed") == [{"code": "recipe.nothing_said"}]
    assert found.of("metric") == [] and found.of("report") == []


def test_no_more_are_said_than_asked_for(recipes: Path, parrot: Any) -> None:
    parrot(numbers())
    found, ended = evaluate(recipes, packed("characters"), numbers()[:9], most=2)
    assert ended and found.values("said") == {2: 2}


def test_only_sentences_that_the_rule_keeps_from_a_model_are_said(recipes: Path, parrot: Any) -> None:
    from sandbox.training import heldout

    said = [{**numbers()[n], "text": f"this is sentence {'abcdefghij'[n]} of ten"} for n in range(10)]
    wanted = sum(heldout.held_out(one["text"], 2) for one in said)
    assert 0 < wanted < 10
    parrot(said)
    found, ended = evaluate(recipes, packed("characters"), said, held_out=2)
    assert ended and found.values("said") == {wanted: wanted} and found.values("left_out") == {wanted: 0}


def test_several_languages_are_said_and_only_english_is_listened_to(recipes: Path) -> None:
    said = [*[one for one in voices(2) if one["language"] != "en"][:3], numbers()[7]]
    found, ended = evaluate(recipes, packed("glowtts"), said)
    assert ended, found.of("failed")
    assert found.values("said") == {4: 4} and report(found)["words"]["utterances"] == 1
    # the one Frenchwoman has one recording here: nothing to hold it against
    assert report(found)["measures"]["speaker_similarity_recorded"]["count"] == 3


def test_without_english_no_word_is_counted(recipes: Path) -> None:
    said = [one for one in voices(2) if one["language"] == "it"]
    found, ended = evaluate(recipes, packed("characters"), said)
    assert ended and report(found)["words"] is None and found.values("word_accuracy") == {}


def test_each_person_is_said_in_the_row_that_training_gave_them(
    recipes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = [{**numbers()[n], "subject": f"spk_{person}"} for n, person in enumerate("cab")]
    asked: list[int] = []
    say = speaking.Speaker.say

    def listening(self: Any, text: str, language: str, voice: int) -> torch.Tensor:
        asked.append(voice)
        return say(self, text, language, voice)

    monkeypatch.setattr(speaking.Speaker, "say", listening)
    for voice, rows in ((-1, [2, 0, 1]), (1, [1, 1, 1])):
        asked.clear()
        found, ended = evaluate(recipes, packed("characters", 3), said, voice=voice)
        assert ended and asked == rows
    found, ended = evaluate(recipes, packed("characters", 3), said, voice=3)
    assert not ended and found.of("failed") == [{"code": "recipe.no_such_voice"}]


def test_likeness_is_held_against_the_person_s_other_recordings() -> None:
    def heard(one: Mapping[str, Any], subject: str) -> Utterance:
        audio = np.frombuffer(one["audio"], dtype="<f4")
        return Utterance(one["record"], subject, one["language"], one["text"], 16_000, audio)

    pairs = [
        evaluation.Pair(
            heard(one, one["subject"]), torch.from_numpy(np.frombuffer(one["audio"], dtype="<f4").copy())
        )
        for one in voices(4)
    ]
    found = evaluation.likeness(pairs)
    assert len(found["speaker_similarity"]) == len(found["speaker_similarity_recorded"]) == len(pairs)
    assert found["speaker_similarity"] == pytest.approx(found["speaker_similarity_recorded"], abs=1e-5)
    alone = [evaluation.Pair(heard(one, f"spk_{n}"), pairs[n].said) for n, one in enumerate(voices(4)[:3])]
    found = evaluation.likeness(alone)
    assert found == {
        "speaker_similarity": pytest.approx([1.0] * 3, abs=1e-4)
    }  # nobody else to hold it against
