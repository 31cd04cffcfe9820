"""Each recipe of the product: its card is read as the gate reads it, and a few of its steps are run."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save

from sandbox.policy.recipe import Card, Expanded, expand, read_card
from sandbox.runs import SAFETENSORS, Kind, Privacy
from sandbox.training.privacy import Engine
from sandbox.training.soundness import check_model, made_up
from sandbox.training.worker import load
from tests.training.fake_keeper import FakeKeeper, utterance

NAMES = [
    "digits", "digits-evaluate", "evaluate", "fastpitch", "fastspeech2", "glowtts", "import-base",
    "membership", "privacy-audit", "probe", "sentences", "synthesise", "tacotron2-ddc", "vits", "vocoder",
    "voices-dp", "voices-dp-adapter", "xtts", "yourtts",
]  # fmt: skip
TARGET = Privacy("speaker", 50.0, 1e-5, 1.0, 0.5, 2, 1.5, accept_noise=True)


def card(folder: Path) -> Card:
    return read_card({name: (folder / name).read_bytes() for name in ("recipe.yaml", "recipe.py")})


def keeper(
    folder: Path, asked: Mapping[str, object], *, kind: Kind = Kind.AGREEMENT, **other: Any
) -> tuple[FakeKeeper, Expanded]:
    """A keeper that holds the recipe to its card, expanded as for a grant."""
    its = card(folder)
    found = expand(its, asked, kind)
    torch_too = its.engine == "torch"
    return FakeKeeper(
        found.parameters, found.metrics, found.artifacts, kind=kind.value, torch=torch_too, **other
    ), found


def kept(found: FakeKeeper, expanded: Expanded) -> None:
    """What left lies within the card: names, bounds, paths, steps and sizes."""
    bounds = {m.name: (m.min, m.max) for m in expanded.metrics}
    for metric in found.of("metric"):
        low, high = bounds[metric["name"]]
        assert low <= metric["value"] <= high
    listed = {a.path: a for a in expanded.artifacts}
    for path in {a["path"] for a in found.of("artifact")}:
        artifact = listed[path]
        assert (
            sum(len(t["data"]) + 256 for t in found.of("tensor") if t["path"] == path) <= artifact.max_bytes
        )
        assert sum(len(t["data"]) for t in found.of("report") if t["path"] == path) <= artifact.max_bytes
        assert sum(len(t["audio"]) // 2 for t in found.of("sound") if t["path"] == path) <= artifact.max_bytes


def sayings() -> Sequence[Mapping[str, Any]]:
    return [utterance(f"r{n}", text=text) for n, text in enumerate(("one", "two", "seven", "twenty"))]


@pytest.mark.parametrize("name", NAMES)
def test_a_card_is_read_and_names_its_folder(recipes: Path, name: str) -> None:
    found = card(recipes / name)
    assert found.name == name
    assert expand(found, {}).parameters == {key: p.convert(p.default) for key, p in found.parameters.items()}


def test_every_recipe_is_tried_here(recipes: Path) -> None:
    assert sorted(path.parent.name for path in recipes.glob("*/recipe.yaml")) == NAMES


# digits and digits-evaluate


@pytest.fixture(scope="module")
def digits_model() -> bytes:
    """A model that digits made in a few steps."""
    folder = Path(__file__).parents[2] / "recipes" / "digits"
    found, expanded = keeper(folder, {"steps": 3, "batch_size": 2}, utterances=sayings())
    assert found.run(folder)
    kept(found, expanded)
    assert [a["path"] for a in found.of("artifact")] == ["model-2.safetensors", "model-3.safetensors"]
    return save(found.tensors("model-3.safetensors"), dict(found.of("artifact")[-1]["metadata"]))


def test_digits_logs_a_loss_and_saves_what_it_says(recipes: Path) -> None:
    found, expanded = keeper(recipes / "digits", {"steps": 10, "batch_size": 1}, utterances=sayings()[:1])
    assert found.run(recipes / "digits")
    kept(found, expanded)
    assert list(found.values("loss")) == [10]
    assert {a["media_type"] for a in found.of("artifact")} == {SAFETENSORS}
    assert found.of("sound") == []


def test_digits_may_speak_only_in_a_dry_run(recipes: Path) -> None:
    asked = {"steps": 1, "batch_size": 1, "speak": "seven"}
    for kind, sounds in ((Kind.AGREEMENT, []), (Kind.DRY, ["speech.flac"])):
        found, expanded = keeper(recipes / "digits", asked, kind=kind, utterances=sayings()[:1])
        assert found.run(recipes / "digits")
        kept(found, expanded)
        assert [s["path"] for s in found.of("sound")] == sounds


def test_digits_with_one_seed_is_one_model(recipes: Path) -> None:
    models = []
    for seed in (1, 1, 2):
        asked = {"steps": 1, "batch_size": 1, "seed": seed}
        found, _ = keeper(recipes / "digits", asked, utterances=sayings()[:2])
        assert found.run(recipes / "digits")
        models.append([t["data"] for t in found.of("tensor")])
    assert models[0] == models[1] != models[2]


def test_digits_evaluate_says_twenty_one_words_and_reports_what_it_hears(
    recipes: Path, digits_model: bytes
) -> None:
    found, expanded = keeper(recipes / "digits-evaluate", {}, inputs={"model": digits_model})
    assert found.run(recipes / "digits-evaluate")
    kept(found, expanded)
    assert len(found.of("sound")) == 21 and len(found.values("heard")) == 21
    (report,) = found.of("report")
    told = json.loads(report["data"])
    assert told["of"] == 21 and [w["word"] for w in told["words"]][:3] == ["zero", "one", "two"]
    assert (
        told["understood"]
        == found.values("understood")[21]
        == sum(w["heard"] == w["word"] for w in told["words"])
    )
    assert all(w["seconds"] > 0 for w in told["words"])


def test_the_recogniser_hears_nothing_in_silence(recipes: Path) -> None:
    recipe = load(recipes / "digits-evaluate")
    assert recipe.recognise(np.zeros(8000, np.float32)) in (None, *recipe.WORDS)
    assert recipe.recognise(np.zeros(8000, np.float32)) == recipe.recognise(np.zeros(8000, np.float32))


# voices-dp


def voices() -> Sequence[Mapping[str, Any]]:
    return [
        utterance(f"r{n}", f"spk_{n // 2:04d}", text, language)
        for n, (text, language) in enumerate(
            [("seven", "en"), ("eight", "en"), ("sept", "fr"), ("größe", "fr"), ("семь", "ru"), ("più", "it")]
        )
    ]


def test_voices_dp_trains_privately_and_releases_weights_at_fixed_steps(recipes: Path) -> None:
    found, expanded = keeper(recipes / "voices-dp", {"steps": 2}, utterances=voices(), privacy=TARGET)
    assert found.run(recipes / "voices-dp")
    kept(found, expanded)
    assert [(a["path"], a["step"]) for a in found.of("artifact")] == [
        ("model-1.safetensors", 1), ("model-2.safetensors", 2),
    ]  # fmt: skip
    assert {m["name"] for m in found.of("metric")} == {"noise_to_signal", "epsilon"}
    assert 0 < found.values("epsilon")[2] <= TARGET.epsilon


def test_voices_dp_is_told_when_noise_drowns_its_signal(recipes: Path) -> None:
    refusing = Privacy("speaker", 50.0, 1e-5, 1.0, 0.5, 2, 1.5)
    found, _ = keeper(recipes / "voices-dp", {"steps": 2}, utterances=voices(), privacy=refusing)
    assert not found.run(recipes / "voices-dp")
    assert found.of("failed") == [{"code": "privacy.noise"}] and found.of("want") == []


def test_voices_dp_is_sound_and_learns_languages_not_people(recipes: Path) -> None:
    recipe = load(recipes / "voices-dp")
    model = recipe.model(None)
    check_model(model, recipe.loss, (made_up(1, "en"), made_up(2, "ru")))
    assert model.emb_g.weight.shape[0] == len(recipe.LANGUAGES)
    engine = Engine(model, recipe.loss, TARGET, divisor=2.0, learning_rate=1e-3)
    assert all(float(g.abs().sum()) > 0 for g in engine.gradient([made_up(3, "it")]))


def test_voices_dp_without_a_target_trains_nothing(recipes: Path) -> None:
    """There is no main: without the engine the recipe cannot run at all."""
    found, _ = keeper(recipes / "voices-dp", {"steps": 2}, utterances=voices())
    assert not found.run(recipes / "voices-dp")
    assert found.of("failed") == [{"code": "recipe.no_main"}]


# probe


def test_probe_logs_numbers_without_a_model(recipes: Path) -> None:
    asked = {"steps": 4, "attempts": False}
    found, expanded = keeper(recipes / "probe", asked, utterances=sayings())
    assert found.run(recipes / "probe")
    kept(found, expanded)
    assert found.values("value") == {step: 1 / step for step in (1, 2, 3, 4)}
    assert found.values("utterances") == {0: 4} and found.values("attempts") == {0: 0}
    assert found.tensors("numbers.safetensors")["steps"].tolist() == [1, 2, 3, 4]
    assert json.loads(found.of("report")[0]["data"]) == {"steps": 4, "attempts": 0}


def test_probe_names_a_metric_for_every_attempt(recipes: Path) -> None:
    recipe = load(recipes / "probe")
    found = card(recipes / "probe")
    assert set(recipe.ATTEMPTS) < set(found.metrics)
    assert {"none", *recipe.MISBEHAVIOURS} == set(found.parameters["misbehave"].choices)


@pytest.mark.parametrize(
    ("misbehave", "code"),
    [("crash", "recipe.failed:ValueError"), ("text", None), ("undeclared_metric", None)],
)
def test_probe_misbehaves_when_asked(recipes: Path, misbehave: str, code: str | None) -> None:
    """The worker's own checks are passed by; keeper and gate must hold (their tests)."""
    found, _ = keeper(
        recipes / "probe", {"steps": 2, "attempts": False, "misbehave": misbehave}, utterances=sayings()
    )
    assert found.run(recipes / "probe") is (code is None)
    if code is not None:
        assert found.of("failed")[0]["code"].startswith(code)
        assert "must not leave" not in repr(found.heard)
