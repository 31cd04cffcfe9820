"""Adapters: they begin as their base, they alone learn and leave, and put together again they speak."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load as unpacked
from safetensors.torch import save as packed

from sandbox.errors import RecipeError
from sandbox.runs import SAFETENSORS, Artifact, Metric, Privacy
from sandbox.training import adapters, fastpitch
from sandbox.training.privacy import Setting
from sandbox.training.run import Loaded
from sandbox.training.soundness import made_up
from sandbox.training.worker import load
from tests.training.fake_keeper import FakeKeeper
from tests.training.real import numbers
from tests.training.test_recipes import card

SHAPE = fastpitch.Shape(hidden=32, inner=64, layers=1, heads=1)
SETTINGS: dict[str, Any] = {
    "rank": 2, "text": "characters", "steps": 4, "people_per_step": 2.0, "utterances_per_person": 1,
    "learning_rate": 0.01,
}  # fmt: skip
PRIVACY = Privacy("speaker", 50.0, 1e-5, 1.0, 1.0, 4, 2.0, accept_noise=True)
METRICS = [Metric("noise_to_signal", 0, 1e6, 1, 1), Metric("epsilon", 0, 1e6, 4, 2)]
LEFT = "adapter-4.safetensors"


def base(shape: fastpitch.Shape = SHAPE) -> Loaded:
    torch.manual_seed(1)
    return Loaded(fastpitch.build(shape).state_dict(), shape.released())


def trained(recipes: Path, given: Loaded, **changes: Any) -> FakeKeeper:
    said = [{**u, "subject": f"spk_{n % 3:04d}"} for n, u in enumerate(numbers()[:6])]
    found = FakeKeeper(
        SETTINGS | changes, METRICS, [Artifact(LEFT, (4,), SAFETENSORS, 1 << 20)], said, privacy=PRIVACY
    )
    found.inputs = {
        "base": packed({n: t.contiguous() for n, t in given.tensors.items()}, dict(given.metadata))
    }
    found.ended = found.run(recipes / "voices-dp-adapter")  # type: ignore[attr-defined]
    return found


def left(found: FakeKeeper) -> Loaded:
    [artifact] = found.of("artifact")
    tensors = unpacked(packed({n: torch.tensor(a) for n, a in found.tensors(LEFT).items()}))
    return Loaded(tensors, artifact["metadata"])


def trainable(model: torch.nn.Module) -> dict[str, torch.nn.Parameter]:
    return {name: p for name, p in model.named_parameters() if p.requires_grad}


def test_an_adapted_model_says_what_its_base_says_until_it_learns() -> None:
    shape, plain = fastpitch.restore(base().tensors, base().metadata)
    _, adapted = adapters.of_base(base(), 4)
    batch = fastpitch.batch([fastpitch.example(shape, made_up(1, "en"))])
    losses = [m.eval().train_step(batch, m.get_criterion())[1]["loss"].detach() for m in (plain, adapted)]
    torch.testing.assert_close(*losses)


def test_only_adapters_learn_and_they_are_few() -> None:
    _, model = adapters.of_base(base(), 2)
    learn, everything = trainable(model), sum(p.numel() for p in model.parameters())
    assert learn and all(name.endswith((".up", ".down")) for name in learn)
    assert all(".fft_layers." in name for name in learn)
    assert sum(p.numel() for p in learn.values()) < 0.1 * everything


def test_a_run_releases_the_adapters_alone_and_the_base_stays_as_it_was(recipes: Path) -> None:
    given = base()
    found = trained(recipes, given)
    assert found.ended, found.of("failed")  # type: ignore[attr-defined]
    made = left(found)
    _, fresh = adapters.of_base(given, 2)
    assert made.tensors.keys() == trainable(fresh).keys()
    assert not any(torch.equal(t, given.tensors[n]) for t in made.tensors.values() for n in given.tensors
                   if given.tensors[n].shape == t.shape)  # fmt: skip
    assert any(bool(t.any()) for n, t in made.tensors.items() if n.endswith(".up"))
    assert found.values("noise_to_signal")[0] == pytest.approx(
        PRIVACY.sigma * math.sqrt(sum(t.numel() for t in made.tensors.values())) / 2, abs=0.1
    )


def test_base_and_adapter_speak_together_and_the_base_s_other_weights_are_its_own(recipes: Path) -> None:
    given = base()
    shape, model = adapters.merged(given, left(trained(recipes, given)))
    state = model.state_dict()
    assert state.keys() == given.tensors.keys()  # a plain FastPitch again
    moved = {name for name, tensor in state.items() if not torch.equal(tensor, given.tensors[name])}
    assert moved and all(".fft_layers." in name and name.endswith("weight") for name in moved)
    sound = fastpitch.speak(shape, model, "seven")
    assert len(sound) > 0 and bool(sound.isfinite().all())


@pytest.mark.parametrize(
    "wrong",
    [
        lambda a: Loaded(a.tensors, {**a.metadata, "architecture": "fastpitch"}),
        lambda a: Loaded(a.tensors, {**a.metadata, "shape": fastpitch.Shape().to_text()}),
        lambda a: Loaded(a.tensors, {**a.metadata, "rank": "3"}),
        lambda a: Loaded(a.tensors, {**a.metadata, "rank": "-1"}),
        lambda a: Loaded(dict(list(a.tensors.items())[1:]), a.metadata),
        lambda a: Loaded({**a.tensors, "pos_encoder.more": torch.zeros(1)}, a.metadata),
    ],
    ids=["no adapter", "another base", "another rank", "no rank", "a tensor too few", "one too many"],
)
def test_what_does_not_belong_together_is_not_put_together(wrong: Any) -> None:
    _, model = adapters.of_base(base(), 2)
    adapter = Loaded({n: p.detach() for n, p in trainable(model).items()}, adapters.released(SHAPE, 2))
    adapters.merged(base(), adapter)
    with pytest.raises(RecipeError) as refused:
        adapters.merged(base(), wrong(adapter))
    assert refused.value.code == "recipe.model_shape"


@pytest.mark.parametrize(
    ("shape", "changes", "code"),
    [
        (fastpitch.Shape(hidden=32, inner=64, layers=1, heads=1, voices=3), {}, "recipe.voices"),
        (SHAPE, {"text": "phonemes"}, "recipe.model_shape"),
    ],
    ids=["a table of voices", "another kind of text"],
)
def test_a_base_that_cannot_be_adapted_is_refused_before_a_voice_is_asked_for(
    recipes: Path, shape: fastpitch.Shape, changes: dict[str, Any], code: str
) -> None:
    found = trained(recipes, base(shape), **changes)
    assert found.of("failed") == [{"code": code}] and found.of("want") == []


def test_a_model_of_another_kind_is_no_base(recipes: Path) -> None:
    found = trained(recipes, Loaded(base().tensors, {"architecture": "glowtts"}))
    assert found.of("failed") == [{"code": "recipe.model_shape"}]


def test_an_adapter_of_the_largest_rank_on_the_full_model_has_room(recipes: Path) -> None:
    """A run that cannot save has spent its epsilon all the same."""
    its = card(recipes / "voices-dp-adapter")
    most = its.parameters["rank"].max
    assert most is not None
    model = adapters.adapt(fastpitch.build(fastpitch.FASTPITCH), int(most))
    found = sum(4 * p.numel() for p in trainable(model).values())
    assert found < min(rule.max_bytes for rule in its.artifacts)


def test_epsilon_is_told_as_it_grows_at_the_card_s_steps(recipes: Path) -> None:
    told = trained(recipes, base()).values("epsilon")
    assert list(told) == [2, 4] and 0 < told[2] < told[4] <= PRIVACY.epsilon


@pytest.mark.parametrize("name", ["voices-dp", "voices-dp-adapter"])
def test_a_text_that_is_longer_than_its_sound_is_not_searched_for_an_alignment(
    recipes: Path, name: str
) -> None:
    """The search checks no bounds: it would read memory that is not its own. The person is without influence."""
    recipe = load(recipes / name)
    model = recipe.model(Setting({"rank": 2, "text": "characters"}, {"base": base()}))
    said = replace(made_up(1, "en", 2000), sample_rate=16_000, text="seven thousand and seventy " * 9)
    with pytest.raises(RecipeError, match="too short"):
        recipe.loss(model, said)
