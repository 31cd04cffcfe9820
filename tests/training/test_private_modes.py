"""Faster ways to clip: accepted where they give what one person at a time gives, refused with a code where not."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from opacus.grad_sample import GradSampleModuleFastGradientClipping
from opacus.optimizers import DPOptimizerFastGradientClipping
from opacus.utils.fast_gradient_clipping_utils import DPTensorFastGradientClipping
from opacus.validators import ModuleValidator
from torch import Tensor, nn

from sandbox.errors import PrivacyError
from sandbox.training import adapters, fastpitch, glowtts, vits
from sandbox.training.privacy import Engine
from sandbox.training.private_modes import (
    CLOSE,
    GHOST,
    HOOKS,
    STREAMING,
    Losses,
    by_ghost,
    by_hooks,
    check_mode,
    clipped_sum,
    one_at_a_time,
)
from sandbox.training.run import Utterance
from sandbox.training.sampling import PrivateRandomness
from sandbox.training.soundness import Loss, made_up
from sandbox.training.worker import load
from tests.training.fake_keeper import FakeKeeper
from tests.training.test_private_run import METRICS, RECIPE, SETTINGS, voices
from tests.training.toys import PRIVACY, Linear, crowd, loss, norm, person, seeded

Case = tuple[nn.Module, Loss, Losses]


def sounds(utterances: Sequence[Utterance]) -> Tensor:
    return torch.stack([torch.from_numpy(u.audio.copy())[:4] for u in utterances])  # [N, 4]


def losses(model: nn.Module, utterances: Sequence[Utterance]) -> Tensor:
    return (model.layer(sounds(utterances)) - 1.0).square().mean(1)  # type: ignore[operator]


def scalar(model: nn.Module, utterances: Sequence[Utterance]) -> Tensor:
    return losses(model, utterances).mean()


def refusal(mode: str, model: nn.Module, its: Loss, its_losses: Losses | None, most: int = 1) -> str:
    with pytest.raises(PrivacyError) as refused:
        check_mode(mode, model, its, its_losses, most)
    assert refused.value.code == "privacy.mode"
    return refused.value.message


def bench(recipes: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("bench_private", recipes.parent / "bench" / "private.py")
    assert spec is not None and spec.loader is not None
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


# Where a faster way is the same


@pytest.mark.parametrize(("mode", "most"), [(STREAMING, 4), (HOOKS, 1), (HOOKS, 2), (HOOKS, 9), (GHOST, 1)])
def test_a_model_of_plain_layers_may_be_clipped_in_every_way(mode: str, most: int) -> None:
    assert check_mode(mode, Linear(), loss, losses, most) < CLOSE


@pytest.mark.parametrize("mode", [HOOKS, GHOST])
def test_fastpitch_with_rewritten_layers_matches_and_says_the_same(recipes: Path, mode: str) -> None:
    """What the bench measures, and all that it takes: attention of linear layers, an aligner blind to padding."""
    found = bench(recipes)
    shape = found.SHAPES["tiny"]
    torch.manual_seed(3)
    model = fastpitch.build(shape).train()
    example = found.remembered(shape)
    its, its_losses = found.loss_by(example), found.losses_by(example)
    [utterance] = found.crowd(3)[2]
    said = its(model, utterance).detach()
    rewritten = found.twin(model)
    torch.testing.assert_close(its(rewritten, utterance).detach(), said)
    assert check_mode(mode, rewritten, its, its_losses, 1) < CLOSE


@pytest.mark.parametrize("most", [1, 3])
def test_a_person_is_averaged_before_the_clip_and_never_a_recording(most: int) -> None:
    """Three recordings of one person weigh as one; clipped each on their own they would weigh as three."""
    people = [person(1, 5.0, most), person(2, 5.0, 1)]
    rows = by_hooks(Linear(), losses, people)
    for n, one in enumerate(people):
        for found, expected in zip(rows, one_at_a_time(Linear(), loss, one), strict=True):
            torch.testing.assert_close(found[n], expected, rtol=1e-5, atol=1e-6)
    assert norm(clipped_sum(rows, 0.5)) <= 2 * 0.5 * (1 + 1e-4)


@pytest.mark.parametrize("mode", [HOOKS, GHOST])
def test_the_engine_makes_the_same_step_in_every_mode_it_accepts(mode: str) -> None:
    people = [utterances[:1] for utterances in crowd()]
    made = []
    for way in (STREAMING, mode):
        found = engine(Linear(), mode=way, losses=losses)
        found.add_all(people[:3])
        found.add_all([])
        found.add_all(people[3:])
        made.append((found.clipped_sum(), found.noisy_step()))
    for mine, other in zip(*made, strict=True):
        for a, b in zip(mine, other, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)


def engine(model: nn.Module, *, mode: str, losses: Losses | None, its: Loss = loss) -> Engine:
    return Engine(
        model, its, PRIVACY, divisor=2.0, learning_rate=1e-3, randomness=PrivateRandomness(seeded(7)), mode=mode,
        losses=losses,
    )  # fmt: skip


@pytest.mark.parametrize("mode", [HOOKS, GHOST])
@pytest.mark.parametrize("fault", ["raises", "no number"])
def test_nobody_whose_recording_breaks_a_way_silences_the_others(mode: str, fault: str) -> None:
    """Else taking that person away would move the sum by everybody's clips."""
    broken = person(3)[0]

    def its(model: nn.Module, utterance: Utterance) -> Tensor:
        if utterance is broken and fault == "raises":
            raise ValueError
        return loss(model, utterance) * (float("nan") if utterance is broken else 1.0)

    def together(model: nn.Module, utterances: Sequence[Utterance]) -> Tensor:
        return torch.stack([its(model, u).reshape(()) for u in utterances]) + 0 * losses(model, utterances)

    others = [person(1), person(2)]
    alone, beside = (engine(Linear(), mode=mode, losses=together, its=its) for _ in range(2))
    alone.add_all(others)
    beside.add_all([*others, [broken]])
    for a, b in zip(alone.clipped_sum(), beside.clipped_sum(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)
    assert norm(beside.clipped_sum()) > 0.1


# Where it is not: each of the traps


def test_an_unknown_way_is_refused() -> None:
    assert "no such mode" in refusal("functorch", Linear(), loss, losses)


@pytest.mark.parametrize("mode", [HOOKS, GHOST])
def test_a_recipe_without_a_loss_for_each_recording_is_refused(mode: str) -> None:
    assert "no losses" in refusal(mode, Linear(), loss, None)


def test_ghost_clipping_is_refused_where_a_person_may_have_several_recordings() -> None:
    assert "none of a person" in refusal(GHOST, Linear(), loss, losses, most=2)
    with pytest.raises(ValueError, match="one recording"):
        by_ghost(Linear(), losses, [person(1, recordings=2)], 1.0)


@pytest.mark.parametrize("mode", [HOOKS, GHOST])
def test_one_loss_for_all_is_refused(mode: str) -> None:
    assert "apart by recording" in refusal(mode, Linear(), loss, scalar)


@pytest.mark.filterwarnings("ignore:Full backward hook is firing")
def test_opacus_itself_clips_nothing_of_a_scalar_loss_and_says_nothing() -> None:
    """Why the above matters: two loud people, a clip of 0.1, and a sum of more than a hundred clips."""
    people = [person(n, 100.0)[0] for n in (1, 2)]
    moved = []
    for its in (losses, scalar):
        model = GradSampleModuleFastGradientClipping(
            Linear(), max_grad_norm=0.1, use_ghost_clipping=True, loss_reduction="mean"
        )
        adam = torch.optim.SGD(model.parameters(), lr=0.0)
        private = DPOptimizerFastGradientClipping(
            adam, noise_multiplier=0.0, max_grad_norm=0.1, expected_batch_size=1, loss_reduction="sum"
        )
        DPTensorFastGradientClipping(model, private, its(model._module, people)).backward()
        moved.append(norm([p.grad for p in model.parameters() if p.grad is not None]))
        model.remove_hooks()
    each, one = moved
    assert each <= 2 * 0.1 * (1 + 1e-4) and one > each * (1 + 1e-2)


def coupled(model: nn.Module, utterances: Sequence[Utterance]) -> Tensor:
    """Divided by everybody's lengths, as coqui's criteria do."""
    lengths = torch.tensor([float(len(u.audio)) for u in utterances])
    return losses(model, utterances) * lengths * len(utterances) / lengths.sum()


def normalised(model: nn.Module, utterances: Sequence[Utterance]) -> Tensor:
    x = sounds(utterances)
    return (model.layer((x - x.mean(0)) / (1e-3 + x.std(0, unbiased=False))) - 1.0).square().mean(1)  # type: ignore[operator]


@pytest.mark.parametrize("its_losses", [coupled, normalised], ids=["by all lengths", "by the batch"])
@pytest.mark.parametrize("mode", [HOOKS, GHOST])
def test_recordings_that_weigh_on_each_other_are_refused(mode: str, its_losses: Losses) -> None:
    assert "other gradients" in refusal(mode, Linear(), loss, its_losses)


class TimeFirst(nn.Module):
    """What ``ModuleValidator.fix`` leaves of FastPitch's attention: time where Opacus takes recordings."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(1, 1)


def by_time(model: nn.Module, utterances: Sequence[Utterance]) -> Tensor:
    found: Tensor = (model.layer(sounds(utterances).T[..., None]) - 1.0).square().mean((0, 2))  # type: ignore[operator]
    return found


def by_time_alone(model: nn.Module, utterance: Utterance) -> Tensor:
    return by_time(model, [utterance])[0]


@pytest.mark.parametrize("mode", [HOOKS, GHOST])
def test_time_is_not_taken_for_recordings(mode: str) -> None:
    assert ModuleValidator.validate(TimeFirst(), strict=False) == []
    refusal(mode, TimeFirst(), by_time_alone, by_time)


def test_a_fixed_fastpitch_has_no_error_left_and_gradients_by_time(recipes: Path) -> None:
    """Opacus takes the symbols of a text for recordings, and says nothing."""
    model, its, its_losses = FAMILIES["fastpitch"](recipes)
    fixed = ModuleValidator.fix(model).train()
    assert ModuleValidator.validate(fixed, strict=False) == []
    assert "apart by recording" in refusal(HOOKS, fixed, its, its_losses)
    with pytest.raises(ValueError, match="not a gradient for each recording"):
        by_hooks(fixed, its_losses, [[made_up(1, "en")], [made_up(2, "en")]])


# Our models


def _sliced(recipes: Path, shape: fastpitch.Shape) -> tuple[Any, Loss, Losses]:
    found = bench(recipes)
    example = found.remembered(shape)
    return fastpitch.build(shape), found.loss_by(example), found.losses_by(example)


def _fastpitch(recipes: Path) -> Case:
    shape = replace(fastpitch.tiny(fastpitch.FASTPITCH), phonemes=False, characters=fastpitch.LATIN)
    return _sliced(recipes, replace(shape, dropout=0.0))


def _fastspeech2(recipes: Path) -> Case:
    shape = replace(fastpitch.tiny(fastpitch.FASTSPEECH2), phonemes=False, characters=fastpitch.LATIN)
    return _sliced(recipes, replace(shape, dropout=0.0))


def _voices_dp(recipes: Path) -> Case:
    recipe = load(recipes / "voices-dp")
    return recipe.model(None), recipe.loss, _stacked(recipe.loss)


def _glowtts(_: Path) -> Case:
    shape = replace(glowtts.tiny(glowtts.GLOWTTS), phonemes=False, characters=fastpitch.LATIN)
    model = glowtts.build(shape)
    model.lock_act_norm_layers()

    def its(model: Any, utterance: Utterance) -> Tensor:
        batch = glowtts.batch(shape, [glowtts.example(shape, utterance)])
        found: Tensor = model.train_step(batch, model.get_criterion())[1]["loss"]
        return found

    return model, its, _stacked(its)


def _vits(_: Path) -> Case:
    shape = vits.tiny(replace(vits.VITS, phonemes=False, characters=fastpitch.LATIN))

    def its(model: Any, utterance: Utterance) -> Tensor:
        batch, criterion = vits.batch(shape, [vits.example(shape, utterance)]), model.get_criterion()
        found: Tensor = sum(model.train_step(batch, criterion, n)[1]["loss"] for n in (0, 1))
        return found

    return vits.build(shape), its, _stacked(its)


def _adapter(recipes: Path) -> Case:
    shape = fastpitch.Shape(hidden=48, inner=96, layers=1, heads=1)
    model, its, its_losses = _sliced(recipes, shape)
    return adapters.adapt(model, rank=2), its, its_losses


def _stacked(its: Loss) -> Losses:
    """The best that can be had of a criterion which answers one number."""
    return lambda model, utterances: torch.stack([its(model, u) for u in utterances])


#: A new model family says here what becomes of it, by one line.
FAMILIES: dict[str, Callable[[Path], Case]] = {
    "fastpitch": _fastpitch, "fastspeech2": _fastspeech2, "glowtts": _glowtts, "vits": _vits, "voices-dp": _voices_dp,
    "adapter": _adapter,
}  # fmt: skip


@pytest.mark.parametrize("mode", [HOOKS, GHOST])
@pytest.mark.parametrize("name", FAMILIES)
def test_no_faster_way_is_accepted_for_our_models_and_they_are_left_as_they_were(
    recipes: Path, name: str, mode: str
) -> None:
    torch.manual_seed(3)
    model, its, its_losses = FAMILIES[name](recipes)
    model.train()
    before = {n: t.clone() for n, t in model.state_dict().items()}
    assert "apart by recording" in refusal(mode, model, its, its_losses)
    assert all(torch.equal(t, before[n]) for n, t in model.state_dict().items())
    left = [n for n, p in model.named_parameters() if hasattr(p, "_norm_sample") or hasattr(p, "grad_sample")]
    assert left == [] and not any(
        m._forward_hooks or m._backward_hooks or hasattr(m, "activations") for m in model.modules()
    )


@pytest.mark.parametrize(("name", "share"), [("glowtts", 0.4), ("vits", 0.9)])
def test_a_validator_that_finds_no_error_is_no_ground_to_train(
    recipes: Path, name: str, share: float
) -> None:
    """Weight norm keeps most of the weights in lists that Opacus' samplers never reach."""
    model, _, _ = FAMILIES[name](recipes)
    assert ModuleValidator.validate(model, strict=False) == []
    weights = {n: p.numel() for n, p in model.named_parameters()}
    listed = sum(
        count for n, count in weights.items() if ".parametrizations." in n or n.endswith(("_g", "_v"))
    )
    assert listed > share * sum(weights.values())  # and the test above refuses both


# A run


@pytest.mark.parametrize(
    ("mode", "code"), [(STREAMING, None), (HOOKS, None), (GHOST, "privacy.mode"), ("other", "privacy.mode")]
)
def test_a_run_is_asked_for_its_mode_before_a_voice_is(
    recipe: Callable[[str], Path], mode: str, code: str | None
) -> None:
    source = RECIPE + (
        "\ndef losses(model, utterances):\n"
        "    x = torch.stack([torch.from_numpy(u.audio.copy())[100:104] for u in utterances])\n"
        "    return (model.layer(x) - 1).square().mean(1)\n"
    )
    found = FakeKeeper(SETTINGS | {"mode": mode}, METRICS, [], voices(5), privacy=PRIVACY)
    assert found.run(recipe(source)) == (code is None)
    assert found.of("failed") == ([] if code is None else [{"code": code}])
    assert code is None or found.of("want") == []
