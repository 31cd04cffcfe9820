"""Kill a training, go on from its last sealed checkpoint: the parameters are those of one that never stopped."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save

from sandbox.frames import Frame
from sandbox.policy.recipe import expand
from sandbox.runs import SAFETENSORS, Artifact, Metric, is_checkpoint
from tests.training.fake_keeper import FakeKeeper, utterance
from tests.training.test_recipes import card

STEPS = 6
RECIPE = """
import torch
from sandbox.training import batches, ema, fastpitch, loop

def main(run):
    torch.manual_seed(1)
    shape = fastpitch.Shape(hidden=16, inner=16, layers=1, heads=1, dropout=0.3)
    model = fastpitch.build(shape)
    examples = [fastpitch.example(shape, utterance) for utterance in run.utterances()]
    data = batches.Batches(examples, 2, torch.Generator().manual_seed(1), bucket=2)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    warmup = torch.optim.lr_scheduler.LinearLR(optimizer, 0.1, total_iters=3)
    steps = torch.optim.lr_scheduler.MultiStepLR(optimizer, [4], 0.5)
    loop.train(run, model, data, [optimizer], [warmup, steps], steps=run.parameters["steps"], accumulate=2,
               metadata=fastpitch.released(shape), average=ema.Average(model, 0.5), deterministic=True)
"""
LAST = Artifact("model.safetensors", (STEPS,), SAFETENSORS, 1 << 20)
SPARE = Artifact("checkpoint.safetensors", (), SAFETENSORS, 1 << 22)
SCHEDULED = tuple(
    Artifact(f"checkpoint-{n}.safetensors", (n,), SAFETENSORS, 1 << 22) for n in range(1, STEPS + 1)
)
WORDS = ("one", "two", "three", "four", "five", "six", "seven")

Write = Callable[[str], Path]


class KillingError(Exception):
    """The keeper died, and with it its container."""


@dataclass
class Keeper(FakeKeeper):
    """One that may die as soon as an artifact is whole."""

    kill_after: str = ""

    def _speak(self, sock: Any) -> None:
        try:
            super()._speak(sock)
        except KillingError:
            sock.close()

    def __post_init__(self) -> None:
        keeper = self

        class Heard(list[Frame]):
            def append(self, frame: Frame) -> None:
                super().append(frame)
                if frame.kind == "close" and frame.body["path"] == keeper.kill_after:
                    raise KillingError

        self.heard = Heard()

    def sealed(self, path: str) -> bytes:
        """An artifact as the keeper puts it together."""
        (opened,) = [a for a in self.of("artifact") if a["path"] == path]
        return save(self.tensors(path), dict(opened["metadata"]))

    def model(self) -> dict[str, bytes]:
        return {name: array.tobytes() for name, array in self.tensors(LAST.path).items()}


def keeper(*, steps: int = STEPS, count: int = len(WORDS), **other: Any) -> Keeper:
    said = [utterance(f"r{n}", text=word, seconds=0.2 + 0.05 * n) for n, word in enumerate(WORDS[:count])]
    given = {"artifacts": (LAST, SPARE, *SCHEDULED), **other}
    return Keeper({"steps": steps}, [Metric("loss", 0, 1e9, 3)], utterances=said, **given)


def uninterrupted(folder: Path) -> Keeper:
    found = keeper()
    assert found.run(folder)
    return found


@pytest.fixture
def folder(recipe: Write) -> Path:
    return recipe(RECIPE)


def test_a_training_killed_at_five_points_ends_with_the_same_parameters(folder: Path) -> None:
    whole = uninterrupted(folder)
    assert [a["path"] for a in whole.of("artifact")].count(SPARE.path) == 0  # it is for an early end
    for step in range(1, STEPS):
        killed = keeper(kill_after=f"checkpoint-{step}.safetensors")
        assert not killed.run(folder)
        assert max(a["step"] for a in killed.of("artifact")) == step
        resumed = keeper(inputs={"resume": killed.sealed(f"checkpoint-{step}.safetensors")})
        assert resumed.run(folder)
        assert list(resumed.values("loss")) == list(range(step + 1, STEPS + 1))
        assert resumed.model() == whole.model()
        last = f"checkpoint-{STEPS}.safetensors"
        assert {n: a.tobytes() for n, a in resumed.tensors(last).items()} == {
            n: a.tobytes() for n, a in whole.tensors(last).items()
        }  # optimizer, schedules, average, order and generators too


VITS = """
import torch
from dataclasses import replace
from sandbox.training import batches, loop, vits

def main(run):
    torch.manual_seed(1)
    shape = vits.tiny(replace(vits.VITS, phonemes=False, characters="abcdefghijklmnopqrstuvwxyz"))
    model = vits.build(shape)
    examples = [vits.example(shape, utterance) for utterance in run.utterances()]
    data = batches.Batches(examples, 2, torch.Generator().manual_seed(1), collate=lambda b: vits.batch(shape, b))
    optimizers = [torch.optim.AdamW(p, lr=1e-3) for p in vits.parameters(model)]
    schedules = [torch.optim.lr_scheduler.ExponentialLR(o, 0.9) for o in optimizers]
    loop.train(run, model, data, optimizers, schedules, steps=run.parameters["steps"], metadata=shape.released())
"""


def test_two_networks_go_on_as_one_training(recipe: Write) -> None:
    folder = recipe(VITS)
    kept = tuple(
        Artifact(path, (step,), SAFETENSORS, 1 << 24)
        for path, step in (("checkpoint-1.safetensors", 1), (LAST.path, 3))
    )
    whole = keeper(steps=3, count=2, artifacts=kept)
    killed = keeper(steps=3, count=2, artifacts=kept, kill_after=kept[0].path)
    assert whole.run(folder) and not killed.run(folder)
    resumed = keeper(steps=3, count=2, artifacts=kept, inputs={"resume": killed.sealed(kept[0].path)})
    assert resumed.run(folder)
    assert resumed.model() == whole.model() and len(whole.model()) > 100


RECIPES: dict[str, dict[str, Any]] = {
    "tacotron2-ddc": {"batch_size": 2, "learning_rate": 0.002},  # dropout, and a schedule of our own
    "vocoder": {"batch_size": 2},  # segments that are drawn, two networks
}


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_that_is_killed_goes_on_to_the_same_model(recipes: Path, name: str) -> None:
    """As it stands in its card: from each of its checkpoints."""
    its = expand(card(recipes / name), {"size": "tiny", "steps": 4, "deterministic": True, **RECIPES[name]})
    said = [utterance(f"r{n}", text=word, seconds=0.5 + 0.1 * n) for n, word in enumerate(WORDS[:5])]

    def held(**other: Any) -> Keeper:
        return Keeper(its.parameters, its.metrics, its.artifacts, said, **other)

    whole = held()
    assert whole.run(recipes / name), whole.of("failed")
    expected = {n: a.tobytes() for n, a in whole.tensors("model-4.safetensors").items()}
    scheduled = [a.path for a in its.artifacts if is_checkpoint(a.path) and a.steps and a.steps[0] < 4]
    assert len(scheduled) >= 2 and len(expected) > 50
    for path in scheduled:
        killed = held(kill_after=path)
        assert not killed.run(recipes / name)
        resumed = held(inputs={"resume": killed.sealed(path)})
        assert resumed.run(recipes / name), resumed.of("failed")
        assert {n: a.tobytes() for n, a in resumed.tensors("model-4.safetensors").items()} == expected


def patient() -> str:
    """The recipe whose third step waits for the word to stop: six small ones may be over before it comes."""
    return RECIPE.replace(
        "    loop.train(",
        "    import time\n"
        "    step, count, end = model.train_step, [0], time.monotonic() + 60\n"
        "    def patient(*given):\n"
        "        count[0] += 1\n"
        "        while count[0] == 2 * 3 and not run.stopping and time.monotonic() < end:\n"
        "            time.sleep(0.01)\n"
        "        return step(*given)\n"
        "    model.train_step = patient\n"
        "    loop.train(",
    )


def test_a_training_that_is_stopped_leaves_a_checkpoint_to_go_on_from(recipe: Write) -> None:
    stopped = keeper(stop_at=1, artifacts=(LAST, SPARE))
    assert stopped.run(recipe(patient()))  # in order: it is not killed, and it did not fail
    folder = recipe(RECIPE)
    (left,) = stopped.of("artifact")
    assert left["path"] == SPARE.path and 1 <= left["step"] < STEPS
    resumed = keeper(inputs={"resume": stopped.sealed(SPARE.path)})
    assert resumed.run(folder)
    assert resumed.model() == uninterrupted(folder).model()


def test_a_checkpoint_holds_numbers_and_words_and_nothing_pickled(folder: Path) -> None:
    sealed = uninterrupted(folder).sealed("checkpoint-3.safetensors")
    assert b"GLOBAL" not in sealed and b"\x80\x04" not in sealed[:8] and b"torch.storage" not in sealed
    found = uninterrupted(folder)
    names = found.tensors("checkpoint-3.safetensors")
    for prefix in ("model.", "optimizer.0.0.exp_avg", "average.", "order.waiting", "random.torch"):
        assert any(name.startswith(prefix) for name in names), prefix
    assert all(names[name].dtype == np.uint8 for name in names if name.startswith("random."))


REFUSED = [
    pytest.param({"steps": 3}, "recipe.resume_step", id="nothing is left to do"),
    pytest.param({"count": 6}, "recipe.resume_data", id="other data"),
]


@pytest.mark.parametrize(("change", "code"), REFUSED)
def test_a_checkpoint_of_other_work_is_refused(folder: Path, change: dict[str, Any], code: str) -> None:
    made = uninterrupted(folder).sealed("checkpoint-3.safetensors")
    resumed = keeper(inputs={"resume": made}, **change)
    assert not resumed.run(folder)
    assert resumed.of("failed") == [{"code": code}]


@pytest.mark.parametrize("what", ["a model", "another shape"])
def test_what_is_no_checkpoint_of_this_training_is_refused(folder: Path, recipe: Write, what: str) -> None:
    found = uninterrupted(folder)
    made = found.sealed(LAST.path if what == "a model" else "checkpoint-3.safetensors")
    resumed = keeper(inputs={"resume": made})
    assert not resumed.run(recipe(RECIPE.replace("hidden=16", "hidden=8")))
    assert resumed.of("failed") == [{"code": "recipe.resume_shape"}]


def breaking(also: str = "pass") -> str:
    """The recipe whose third step has no loss; ``also`` is done in that step."""
    return RECIPE.replace(
        "    loop.train(",
        "    step, count = model.train_step, [0]\n"
        "    model.register_buffer('heard', torch.zeros(1))\n"
        "    def broken(*given):\n"
        "        count[0] += 1\n"
        "        output, losses = step(*given)\n"
        "        if count[0] == 2 * 3:\n"
        f"            {also}\n"
        "        return output, {'loss': losses['loss'] * (float('nan') if count[0] == 2 * 3 else 1)}\n"
        "    model.train_step = broken\n"
        "    loop.train(",
    )


def test_a_batch_that_breaks_a_layer_s_statistics_too_leaves_no_checkpoint(recipe: Write) -> None:
    """What went on from it would never speak."""
    found = keeper(artifacts=(LAST, SPARE))
    assert not found.run(recipe(breaking("model.heard.fill_(float('nan'))")))
    assert found.of("failed") == [{"code": "recipe.loss_not_finite"}] and found.of("artifact") == []


def test_a_loss_that_is_no_number_leaves_the_last_good_checkpoint(recipe: Write) -> None:
    found = keeper(artifacts=(LAST, SPARE))
    assert not found.run(recipe(breaking()))
    assert found.of("failed") == [{"code": "recipe.loss_not_finite"}]
    assert [(a["path"], a["step"]) for a in found.of("artifact")] == [(SPARE.path, 2)]
    assert all(np.isfinite(t).all() for t in found.tensors(SPARE.path).values())
    resumed = keeper(inputs={"resume": found.sealed(SPARE.path)})
    assert resumed.run(
        recipe(breaking().replace("2 * 3", "0"))
    )  # with the batches after the one that broke it
    assert list(resumed.values("loss")) == [3, 4, 5, 6]
