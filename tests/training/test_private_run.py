"""A run under differential privacy over the pipe: what the recipe may do, what leaves, what it depends on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save as packed

from sandbox.runs import SAFETENSORS, Artifact, Metric, Privacy
from sandbox.training import privacy
from sandbox.training.run import Utterance
from sandbox.training.sampling import PrivateRandomness
from tests.training.fake_keeper import FakeKeeper, utterance
from tests.training.toys import PRIVACY

Write = Callable[[str], Path]

SETTINGS = {"people_per_step": 2.0, "utterances_per_person": 2, "learning_rate": 0.001}
METRICS = [
    Metric("noise_to_signal", 0, 1e6, 1, 1), Metric("epsilon", 0, 1e6, 4, 1), Metric("loss", 0, 100, 3, 1),
]  # fmt: skip
ARTIFACTS = [Artifact(f"m-{step}.safetensors", (step,), SAFETENSORS, 1 << 20) for step in (2, 4)]
RECIPE = """
import torch
from torch import nn

class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 1)

def model(setting):
    return Model()

def loss(model, utterance):
    x = torch.from_numpy(utterance.audio.copy())[100:104]
    return (model.layer(x) - 1).square().mean()
"""


def voices(people: int, recordings: int = 3) -> list[dict[str, Any]]:
    return [
        utterance(f"r{n}-{i}", f"spk_{n:04d}", seconds=0.05) for n in range(people) for i in range(recordings)
    ]


def keeper(
    utterances: Sequence[Mapping[str, Any]] = (),
    settings: Mapping[str, Any] = SETTINGS,
    target: Privacy = PRIVACY,
    stop_at: int | None = None,
) -> FakeKeeper:
    return FakeKeeper(settings, METRICS, ARTIFACTS, utterances, privacy=target, stop_at=stop_at)


def outline(found: FakeKeeper) -> list[tuple[str, Any]]:
    """All that was said but for requests for records and the numbers of the weights."""
    said = [(f.kind, dict(f.body)) for f in found.heard if f.kind != "want"]
    return [(kind, {k: v for k, v in body.items() if k != "data"}) for kind, body in said]


def test_what_leaves_is_the_weights_at_fixed_steps_and_two_figures(recipe: Write) -> None:
    found = keeper(voices(5))
    assert found.run(recipe(RECIPE))
    assert {m["name"] for m in found.of("metric")} == {"noise_to_signal", "epsilon"}
    assert found.values("noise_to_signal") == {0: pytest.approx(PRIVACY.sigma * 5**0.5 / 2)}
    assert 0 < found.values("epsilon")[PRIVACY.steps] <= PRIVACY.epsilon
    assert [(a["path"], a["step"]) for a in found.of("artifact")] == [(a.path, a.steps[0]) for a in ARTIFACTS]
    assert [(p["step"], p["rate"]) for p in found.of("progress")] == [(n, 0.0) for n in range(1, 5)]
    assert {f.kind for f in found.heard} <= {
        "ready", "want", "metric", "progress", "artifact", "tensor", "close", "end",
    }  # fmt: skip


def test_the_recipe_sees_the_public_parameters_and_nothing_else(recipe: Write) -> None:
    source = RECIPE.replace(
        "return Model()",
        "names = [n for n in dir(setting) if n[0] != '_']\n"
        "    assert names == ['inputs', 'parameters'] and dict(setting.parameters) == "
        + repr(SETTINGS)
        + "\n"
        "    assert list(vars(setting)) == ['parameters', 'inputs'] and setting.inputs == {}\n"
        "    return Model()",
    )
    assert keeper(voices(2)).run(recipe(source))


@pytest.mark.parametrize(
    "forbidden",
    ["setting.log('loss', 1, 1.0)", "setting.save('m-2.safetensors', 2, {})", "setting.utterances()", "setting.records",
     "setting._channel", "setting.progress(1, 1)"],
    ids=lambda text: text.partition("(")[0],
)  # fmt: skip
def test_the_recipe_has_neither_save_nor_log_nor_utterances(recipe: Write, forbidden: str) -> None:
    found = keeper(voices(2))
    assert not found.run(recipe(RECIPE.replace("return Model()", f"{forbidden}; return Model()")))
    assert found.of("failed")[0]["code"].startswith("recipe.failed:AttributeError")
    assert [f.kind for f in found.heard] == ["ready", "failed"]


def test_main_is_not_called(recipe: Write) -> None:
    assert keeper(voices(2)).run(recipe(RECIPE + "\ndef main(run):\n    run.log('loss', 1, 1)\n"))


def test_a_model_that_comes_ready_to_speak_is_tried_as_it_will_be_trained(recipe: Write) -> None:
    """What its layers do in training alone would else be found in the middle of the run."""
    source = RECIPE.replace("return Model()", "return Model().eval()").replace(
        "    x = torch", "    if model.training:\n        model.layer.weight.data.add_(1.0)\n    x = torch"
    )
    found = keeper(voices(2))
    assert not found.run(recipe(source))
    assert found.of("failed") == [{"code": "privacy.state"}] and found.of("want") == []


@pytest.mark.parametrize("missing", ["model", "loss"])
def test_a_recipe_without_model_or_loss_is_refused(recipe: Write, missing: str) -> None:
    found = keeper(voices(2))
    assert not found.run(recipe(RECIPE.replace(f"def {missing}(", "def other(")))
    assert found.of("failed") == [{"code": "privacy.recipe"}]


REFUSED = [
    pytest.param({"people_per_step": None}, {}, "privacy.constants", id="no divisor"),
    pytest.param({"utterances_per_person": None}, {}, "privacy.constants", id="no most of a person"),
    pytest.param({"learning_rate": None}, {}, "privacy.constants", id="no learning rate"),
    pytest.param({"people_per_step": 0}, {}, "privacy.constants", id="a divisor of zero"),
    pytest.param({"utterances_per_person": 0}, {}, "privacy.constants", id="nothing of a person"),
    pytest.param({"steps": 5}, {}, "privacy.steps", id="other steps"),
    pytest.param({}, {"unit": "utterance"}, "privacy.unit", id="another unit"),
    pytest.param({}, {"sigma": 0.1}, "privacy.overspent", id="too little noise"),
    pytest.param({"people_per_step": 200.0}, {"accept_noise": False}, "privacy.people", id="too few people"),
    pytest.param({}, {"delta": 0.6}, "privacy.delta", id="a delta of more than one person"),
    pytest.param({"people_per_step": 0.01}, {"accept_noise": False}, "privacy.noise", id="too much noise"),
]


@pytest.mark.parametrize(("settings", "target", "code"), REFUSED)
def test_a_run_that_cannot_keep_its_promise_does_not_start(
    recipe: Write, settings: dict[str, Any], target: dict[str, Any], code: str
) -> None:
    asked = {name: value for name, value in (SETTINGS | settings).items() if value is not None}
    found = keeper(voices(2), asked, replace(PRIVACY, **target))
    assert not found.run(recipe(RECIPE))
    assert [f.kind for f in found.heard] == ["ready", "failed"]
    assert found.of("failed") == [{"code": code}]


def test_an_unsound_model_is_refused_before_a_voice_is_asked_for(recipe: Write) -> None:
    found = keeper(voices(2))
    source = RECIPE.replace("self.layer =", "self.idle = nn.Parameter(torch.zeros(2)); self.layer =")
    assert not found.run(recipe(source))
    assert [f.kind for f in found.heard] == ["ready", "failed"]
    assert found.of("failed") == [{"code": "privacy.gradient"}]


@pytest.mark.parametrize("people", [0, 1, 40])
def test_nothing_but_the_weights_depends_on_how_many_people_there_are(recipe: Write, people: int) -> None:
    found, other = keeper(voices(people, 1)), keeper(voices(7, 2))
    folder = recipe(RECIPE)
    assert found.run(folder) and other.run(folder)
    assert outline(found) == outline(other)


@pytest.mark.parametrize("people", [0, 3, 30])
def test_the_engine_is_made_of_public_constants(
    recipe: Write, monkeypatch: pytest.MonkeyPatch, people: int
) -> None:
    """Opacus' own divisor jumps from 16 to 13 between 64 and 65 records."""
    made: list[privacy.Engine] = []

    class Shown(privacy.Engine):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            made.append(self)

    monkeypatch.setattr(privacy, "Engine", Shown)
    assert keeper(voices(people, 1)).run(recipe(RECIPE))
    (engine,) = made
    optimizer = engine._optimizer
    assert optimizer.expected_batch_size == SETTINGS["people_per_step"]
    assert (optimizer.noise_multiplier, optimizer.max_grad_norm) == (PRIVACY.sigma, PRIVACY.clip)
    assert engine.accountant.history == [(PRIVACY.sigma, PRIVACY.sample_rate, PRIVACY.steps)]


def test_empty_batches_are_steps_of_noise_that_are_counted(
    recipe: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PrivateRandomness, "included", lambda *_: [])
    found = keeper(voices(5))
    assert found.run(recipe(RECIPE))
    assert found.of("want") == []
    assert len(found.of("progress")) == PRIVACY.steps
    assert found.values("epsilon")[PRIVACY.steps] > 0
    middle, last = (found.tensors(a.path)["layer.weight"] for a in ARTIFACTS)
    assert (middle != last).all()


def test_the_sampled_are_people_with_at_most_so_many_recordings_each(recipe: Write) -> None:
    target = replace(PRIVACY, sample_rate=1.0, steps=4)
    found = keeper(voices(3, 5), target=target)
    assert found.run(recipe(RECIPE))
    wants = [body["records"] for body in found.of("want")]
    assert len(wants) == 3 * target.steps
    for records in wants:
        assert len(records) == len(set(records)) == SETTINGS["utterances_per_person"]
        assert len({record.partition("-")[0] for record in records}) == 1


def test_a_voice_that_breaks_the_loss_does_not_show(recipe: Write) -> None:
    source = RECIPE.replace("    x =", "    assert utterance.text != 'broken', utterance.text\n    x =")
    said = [{**u, "text": "broken"} if u["subject"] == "spk_0001" else u for u in voices(3)]
    found, other = keeper(said), keeper(said)
    assert found.run(recipe(source)) and other.run(recipe(RECIPE))
    assert outline(found) == outline(other)


def test_a_private_run_can_be_stopped(recipe: Write) -> None:
    target = replace(PRIVACY, steps=1000, sample_rate=0.01)
    found = keeper(voices(1), target=target, stop_at=1)
    assert found.run(recipe(RECIPE))
    assert len(found.of("progress")) < target.steps


def test_a_private_training_does_not_go_on_from_a_checkpoint(recipe: Write) -> None:
    found = keeper(voices(2))
    found.inputs = {"resume": b""}
    assert not found.run(recipe(RECIPE))
    assert found.of("failed") == [{"code": "privacy.resume"}] and found.of("want") == []


def test_a_loss_is_not_told_whose_recording_it_hears(recipe: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    """A table of speakers, a row for each pseudonym, would be a release of who took part."""
    heard: list[Utterance] = []
    monkeypatch.setattr(privacy.Engine, "add", lambda _, utterances: heard.extend(utterances))
    assert keeper(voices(3), target=replace(PRIVACY, sample_rate=1.0, sigma=2.0)).run(recipe(RECIPE))
    assert heard and {(u.record, u.subject) for u in heard} == {("", "")}


MEMORIES = {
    "a vocabulary learned from what is said": (
        "SEEN = {}",
        "[SEEN.setdefault(c, len(SEEN)) for c in utterance.text]",
    ),
    "how many came": ("SEEN = [0]", "SEEN.append(1)"),
    "the mean of a pitch": ("SEEN = torch.zeros(9999)", "SEEN[5000] += float(utterance.audio.mean()) + 1"),
}


@pytest.mark.parametrize("fault", MEMORIES)
def test_a_recipe_that_remembers_outside_of_its_model_is_refused_before_a_voice_is_asked_for(
    recipe: Write, fault: str
) -> None:
    kept, does = MEMORIES[fault]
    source = RECIPE.replace("def loss(", f"{kept}\ndef loss(").replace("    x =", f"    {does}\n    x =")
    found = keeper(voices(2))
    assert not found.run(recipe(source))
    assert found.of("failed") == [{"code": "privacy.state"}] and found.of("want") == []


def test_a_recipe_that_begins_to_remember_later_is_stopped(recipe: Write) -> None:
    source = RECIPE.replace("def loss(", "SEEN = []\ndef loss(").replace(
        "    x =", "    if utterance.text == 'seven': SEEN.append(1)\n    x ="
    )
    found = keeper(voices(3), target=replace(PRIVACY, sample_rate=1.0, sigma=2.0))
    assert not found.run(recipe(source))
    assert found.of("failed") == [{"code": "privacy.state"}] and found.of("artifact") == []


def test_epsilon_is_told_as_it_grows_and_only_by_public_constants(recipe: Write) -> None:
    few, many = keeper(voices(1)), keeper(voices(9))
    folder = recipe(RECIPE)
    assert few.run(folder) and many.run(folder)
    told = few.values("epsilon")
    assert list(told) == [1, 2, 3, 4] and sorted(told.values()) == list(told.values())
    assert told == many.values("epsilon")


def test_a_given_model_is_for_the_recipe_to_begin_from_and_only_what_was_trained_leaves(
    recipe: Write,
) -> None:
    given = {"layer.weight": torch.full((1, 4), 2.0), "layer.bias": torch.full((1,), 3.0)}
    source = RECIPE.replace(
        "return Model()",
        "made = Model(); made.load_state_dict(dict(setting.inputs['base'].tensors))\n"
        "    made.layer.bias.requires_grad_(False); return made",
    )
    found = keeper(voices(3))
    found.inputs = {"base": packed(given)}
    assert found.run(recipe(source)), found.of("failed")
    assert set(found.tensors(ARTIFACTS[0].path)) == {"layer.weight"}
    assert found.values("noise_to_signal") == {0: pytest.approx(PRIVACY.sigma * 4**0.5 / 2)}
