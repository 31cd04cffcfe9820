"""Recipe ``sentences``, tiny, on real speech: what it learns from, what it never hears, and that it goes on."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from safetensors.numpy import save
from safetensors.torch import load as tensors_of

from sandbox.demo import speech
from sandbox.runs import RESUME, Kind
from sandbox.training import fastpitch, heldout, phonemes
from sandbox.training.worker import load
from tests.training.fake_keeper import FakeKeeper
from tests.training.real import numbers
from tests.training.test_recipes import keeper, kept

TINY = {"size": "tiny", "batch_size": 4, "steps": 20}
HELD = "Please check the number and dial again"


def train(recipes: Path, said: Any = None, inputs: Any = None, **changes: Any) -> FakeKeeper:
    kind = changes.pop("kind", Kind.AGREEMENT)
    stop_at = changes.pop("stop_at", None)
    given = numbers()[:8] if said is None else said
    found, expanded = keeper(
        recipes / "sentences",
        TINY | changes,
        kind=kind,
        utterances=given,
        inputs=inputs or {},
        stop_at=stop_at,
    )
    assert found.run(recipes / "sentences"), found.of("failed")
    kept(found, expanded)
    return found


def test_a_few_steps_on_real_speech_make_the_loss_fall_and_the_model_speaks(recipes: Path) -> None:
    found = train(recipes, steps=40)
    losses = list(found.values("loss").values())
    assert list(found.values("loss")) == [10, 20, 30, 40] and losses[-1] < 0.97 * losses[0]
    assert [a["path"] for a in found.of("artifact")] == [f"model-{step}.safetensors" for step in (14, 27, 40)]
    data = save(found.tensors("model-40.safetensors"))
    shape, model = fastpitch.restore(tensors_of(data), found.of("artifact")[-1]["metadata"])
    phonemes.start(["en"])
    try:
        sound = fastpitch.speak(shape, model, "seven")
    finally:
        phonemes.stop()
    assert len(sound) > 0 and bool(sound.isfinite().all())


def test_a_sentence_that_is_held_out_changes_nothing_of_the_model(recipes: Path) -> None:
    """Heard it is, as it comes with the dataset; learned from it is not, and it is counted."""
    assert heldout.held_out(HELD)
    said = list(numbers()[:4])
    another = {**numbers()[5], "record": "held", "text": HELD.upper()}
    without = train(recipes, said, steps=3)
    beside = train(recipes, [*said, another], steps=3)
    learned = train(recipes, [*said, {**another, "text": "seven"}], steps=3)
    assert without.values("left_out") == {0: 0} and beside.values("left_out") == {0: 1}
    models = [found.tensors("model-3.safetensors") for found in (without, beside, learned)]
    same = [all(np.array_equal(models[0][n], other[n]) for n in models[0]) for other in models[1:]]
    assert same == [True, False]


def test_nothing_but_held_out_sentences_is_no_training(recipes: Path) -> None:
    found, _ = keeper(recipes / "sentences", TINY, utterances=[{**numbers()[0], "text": HELD}])
    assert not found.run(recipes / "sentences")
    assert found.of("failed") == [{"code": "recipe.no_examples"}]


def test_a_stopped_training_goes_on_to_the_same_model(recipes: Path) -> None:
    whole = train(recipes, steps=60)
    stopped = train(recipes, steps=60, stop_at=1)
    left = stopped.of("artifact")[-1]
    assert left["path"] == "checkpoint.safetensors" and left["step"] < 60
    point = save(stopped.tensors("checkpoint.safetensors"), dict(left["metadata"]))
    again = train(recipes, inputs={RESUME: point}, steps=60)
    models = [found.tensors("model-60.safetensors") for found in (whole, again)]
    assert all(np.array_equal(models[0][name], models[1][name]) for name in models[0])


@pytest.mark.parametrize(("kind", "sounds"), [(Kind.AGREEMENT, []), (Kind.DRY, ["speech.flac"])])
def test_it_speaks_only_in_a_dry_run(recipes: Path, kind: Kind, sounds: list[str]) -> None:
    found = train(recipes, steps=1, speak="seven", kind=kind)
    assert [s["path"] for s in found.of("sound")] == sounds


def test_it_has_the_size_that_its_page_says(recipes: Path) -> None:
    recipe = load(recipes / "sentences")
    sizes = [
        sum(p.numel() for p in fastpitch.build(shape).parameters())
        for shape in (recipe.SHAPE, fastpitch.tiny(recipe.SHAPE))
    ]
    assert sizes == [pytest.approx(1.46e6, rel=0.01), pytest.approx(0.12e6, rel=0.1)]
    assert "1.5 M parameters" in (recipe.__doc__ or "") and torch.get_num_threads() == 1


def test_its_recordings_are_spoken_as_they_are_written_and_of_the_lengths_that_were_asked_for(
    tmp_path: Path,
) -> None:
    made = speech.gather_sentences(tmp_path, "spk_0001", seconds=(2.0, 2.3))
    with open(tmp_path / "metadata.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert made == len(rows) > 10 and {row["subject"] for row in rows} == {"spk_0001"}
    assert not any(set(row["text"]) & set("[]()<>#*") for row in rows)
    lengths = [soundfile.info(tmp_path / row["file"]).duration for row in rows]
    assert all(1.9 < seconds < 2.4 for seconds in lengths)
    assert any(heldout.held_out(row["text"]) for row in rows)
