"""Coqui's HiFi-GAN as we feed it: segments that a checkpoint can draw again, two networks, sound from our log-mel."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load, save
from torch import Tensor, nn
from TTS.vocoder.models.hifigan_discriminator import HifiganDiscriminator
from TTS.vocoder.models.hifigan_generator import HifiganGenerator

from sandbox.errors import PrivacyError, RecipeError
from sandbox.policy.recipe import expand
from sandbox.runs import Kind, Metric, is_checkpoint
from sandbox.training import hifigan
from sandbox.training.batches import Batches
from sandbox.training.hifigan import DISCRIMINATOR, GENERATOR, V1, Model, Shape
from sandbox.training.loop import train
from sandbox.training.run import Run, Utterance
from sandbox.training.sound import FLOOR, HOP, MELS, SAMPLE_RATE, log_mel, mel_filters
from sandbox.training.soundness import check_model, made_up
from tests.training.fake_keeper import FakeKeeper
from tests.training.fake_keeper import utterance as said
from tests.training.real import numbers
from tests.training.test_privacy import engine, speakers, steady, summed
from tests.training.test_recipes import TARGET, card, keeper, kept
from tests.training.toys import FakeChannel, job, norm

TINY = hifigan.tiny(V1)


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(1)


def utterance(index: int, **changes: object) -> Utterance:
    spoken = numbers()[index]
    return Utterance(**{**spoken, "audio": np.frombuffer(spoken["audio"], "<f4"), **changes})


def clips(count: int = 4) -> list[hifigan.Clip]:
    return [hifigan.example(utterance(n)) for n in range(count)]


def chance(number: int = 1) -> torch.Generator:
    return torch.Generator().manual_seed(number)


# The model


def test_in_the_published_sizes_it_is_coqui_s_model() -> None:
    ours, defaults = hifigan.build(V1), hifigan.build(V1).config
    generator = HifiganGenerator(in_channels=MELS, out_channels=1, **defaults.generator_model_params)
    judge = HifiganDiscriminator()
    for mine, theirs in ((ours.model_g, generator), (ours.model_d, judge)):
        assert {n: t.shape for n, t in mine.state_dict().items()} == {
            n: t.shape for n, t in theirs.state_dict().items()
        }
    ours.model_d.load_state_dict(judge.state_dict())
    heard = 0.1 * torch.randn(1, 1, 2048)
    with torch.no_grad():
        (mine, _), (theirs, _) = ours.model_d.eval()(heard), judge.eval()(heard)
    assert len(mine) == 8
    for a, b in zip(mine, theirs, strict=True):
        torch.testing.assert_close(a, b)


def test_the_published_sizes_fit_what_the_card_lets_out(recipes: Path) -> None:
    judging, making = (sum(p.numel() for p in part) for part in hifigan.parameters(hifigan.build(V1)))
    assert judging == pytest.approx(70.7e6, rel=0.01) and making == pytest.approx(13.9e6, rel=0.01)
    assert expand(card(recipes / "vocoder"), {}).parameters["size"] == "full"
    for artifact in expand(card(recipes / "vocoder"), {"steps": 2}).artifacts:
        whole = 3 if is_checkpoint(artifact.path) else 1  # Adam keeps two moments of each parameter
        assert 4 * (judging + making) * whole < artifact.max_bytes


def test_its_losses_are_the_paper_s() -> None:
    """45 for the mel, 2 for each pair of feature maps; the mel by our filters, which are librosa's."""
    model = hifigan.build(V1)
    judging, making = model.get_criterion()
    made, real = 0.1 * torch.randn(2, 1, 4096), 0.1 * torch.randn(2, 1, 4096)
    layers = [6] * 5 + [8] * 3  # feature maps of each discriminator
    fake, true = ([[torch.randn(3) for _ in range(n)] for n in layers] for _ in range(2))
    scores = [torch.randn(2, 5) for _ in layers]
    found = making(made, real, scores, fake, true)

    def mel(sound: Tensor) -> Tensor:
        window = torch.hann_window(1024)
        bins = torch.stft(sound[:, 0], 1024, HOP, window=window, return_complex=True).abs()
        return (mel_filters() @ bins.clamp(min=1e-4)).log()

    of_mel = (mel(made) - mel(real)).abs().mean()
    of_features = sum(
        (a - b).abs().mean() for x, y in zip(fake, true, strict=True) for a, b in zip(x, y, strict=True)
    )
    fooled = torch.stack(
        [(1 - s).square().mean() for s in scores]
    ).mean()  # coqui's mean over them, the paper's sum
    torch.testing.assert_close(found["loss"], 45 * of_mel + 2 * of_features + fooled)
    told = judging(scores, scores)["loss"]
    torch.testing.assert_close(
        told, torch.stack([(1 - s).square().mean() + s.square().mean() for s in scores]).mean()
    )


def test_each_optimizer_has_its_part_and_together_they_have_all() -> None:
    model = hifigan.build(TINY)
    judging, making = hifigan.parameters(model)
    assert len(judging) + len(making) == len(list(model.parameters())) and not set(judging) & set(making)


def test_a_step_moves_both_and_keeps_nothing() -> None:
    model = hifigan.build(TINY).train()
    criterion = model.get_criterion()
    batch = hifigan.batch(TINY, clips(), chance())
    for index, part in enumerate(hifigan.parameters(model)):
        model.zero_grad()
        model.train_step(batch, criterion, index)[1]["loss"].backward()
        assert all(p.grad is not None and bool(p.grad.isfinite().all()) for p in part)
    left = [n for m in model.modules() for n, value in vars(m).items() if isinstance(value, Tensor)]
    assert left == []


def test_the_discriminator_s_step_does_not_reach_the_generator() -> None:
    model = hifigan.build(TINY).train()
    model.train_step(hifigan.batch(TINY, clips(), chance()), model.get_criterion(), DISCRIMINATOR)[1][
        "loss"
    ].backward()
    assert all(p.grad is None for p in model.model_g.parameters())


def test_more_batches_than_one_a_step_are_refused() -> None:
    model, channel = hifigan.build(TINY), FakeChannel()
    feed = Batches(clips(), 2, chance(), collate=lambda some: hifigan.batch(TINY, some, chance()))
    adams = [torch.optim.AdamW(part) for part in hifigan.parameters(model)]
    run = Run(job(metrics=[Metric("loss", 0, 1e6, 3)]), channel)
    with pytest.raises(RecipeError) as refused:
        train(run, model, feed, adams, [], steps=1, metadata={}, accumulate=2)
    assert refused.value.code == "recipe.accumulation"


# Its food


def test_a_segment_s_mel_is_that_of_its_sound() -> None:
    clip = hifigan.example(utterance(7))
    assert len(clip.audio) == len(clip.mel) * HOP
    found = hifigan.batch(V1, [clip], chance(3))
    assert found["input"].shape == (1, MELS, V1.segment) and found["waveform"].shape == (1, 1, 8192)
    again = log_mel(found["waveform"][0, 0])
    inside = slice(2, V1.segment - 2)  # a window at the edge mirrors what it does not see
    torch.testing.assert_close(again[inside], found["input"][0].T[inside], atol=1e-3, rtol=1e-3)


def test_every_place_of_a_recording_may_begin_a_segment() -> None:
    mel = torch.arange(V1.segment + 3.0)[:, None].expand(-1, MELS)
    clip = hifigan.Clip(mel, torch.zeros(len(mel) * HOP), "")
    generator = chance()
    begun = {int(hifigan.batch(V1, [clip], generator)["input"][0, 0, 0]) for _ in range(60)}
    assert begun == {0, 1, 2, 3}


def test_segments_are_drawn_again_from_what_a_checkpoint_keeps() -> None:
    def feed() -> Batches[hifigan.Clip]:
        generator = chance()
        return Batches(clips(), 2, generator, collate=lambda some: hifigan.batch(TINY, some, generator))

    first, second = feed(), feed()
    for _ in range(3):
        next(first)
    second.order.restore(first.order.state())
    for _ in range(5):
        assert torch.equal(next(first)["waveform"], next(second)["waveform"])


def test_what_is_shorter_than_a_segment_ends_in_silence() -> None:
    clip = hifigan.example(made_up(1, "en"))
    short = hifigan.example(replace(made_up(1, "en"), audio=made_up(1, "en").audio[:2000]))
    assert len(short.mel) == V1.segment < len(clip.mel) and len(short.audio) == V1.segment * HOP
    assert not short.audio[2000:].any()
    torch.testing.assert_close(short.mel[10:], torch.full((22, MELS), FLOOR).log())


def test_another_sample_rate_is_refused() -> None:
    with pytest.raises(RecipeError) as refused:
        hifigan.example(utterance(1, sample_rate=22_050))
    assert refused.value.code == "recipe.sample_rate"


# The recipe

ASKED = {"size": "tiny", "steps": 15, "batch_size": 8, "learning_rate": 0.002}


def trained(recipes: Path, **changes: Any) -> FakeKeeper:
    kind = changes.pop("kind", Kind.AGREEMENT)
    found, expanded = keeper(recipes / "vocoder", ASKED | changes, kind=kind, utterances=numbers()[:8])
    assert found.run(recipes / "vocoder"), found.of("failed")
    kept(found, expanded)
    return found


def test_a_few_steps_on_real_speech_bring_the_mel_nearer(recipes: Path) -> None:
    found = trained(recipes)
    losses = list(found.values("loss").values())
    assert len(losses) == 15 and np.mean(losses[-5:]) < 0.9 * np.mean(losses[:5])
    assert len(found.values("grad_norm")) == 15
    last = [a for a in found.of("artifact") if not is_checkpoint(a["path"])][-1]
    tensors = load(save({n: torch.tensor(a) for n, a in found.tensors(last["path"]).items()}))
    shape, generator = hifigan.restore(tensors, last["metadata"])
    assert shape == TINY and not any("parametrizations" in name for name in generator.state_dict())
    mel = log_mel(torch.from_numpy(utterance(9).audio.copy()))
    fresh = hifigan.build(TINY).eval()
    far, near = (
        float((log_mel(hifigan.sound(model, mel)) - mel).abs().mean()) for model in (fresh, generator)
    )
    assert near < 0.9 * far  # of a recording that it never heard
    whole = hifigan.build(TINY)
    whole.load_state_dict(tensors)
    torch.testing.assert_close(hifigan.sound(whole.eval(), mel), hifigan.sound(generator, mel))
    assert len(hifigan.sound(generator, mel)) == (len(mel) - 1) * HOP


def test_a_training_may_begin_with_a_vocoder_of_before(recipes: Path) -> None:
    torch.manual_seed(9)  # not the recipe's own
    base = hifigan.build(TINY)
    given = {"base": save(base.state_dict(), TINY.released())}
    asked = ASKED | {"steps": 1, "learning_rate": 1e-7}
    found, _ = keeper(recipes / "vocoder", asked, utterances=numbers()[:2], inputs=given)
    assert found.run(recipes / "vocoder"), found.of("failed")
    for name, parameter in base.named_parameters():
        made = torch.tensor(found.tensors("model-1.safetensors")[name])
        torch.testing.assert_close(made, parameter.detach(), atol=1e-6, rtol=1e-5)


def test_a_model_of_another_kind_is_refused() -> None:
    with pytest.raises(RecipeError) as refused:
        hifigan.restore({}, {"architecture": "vits", "shape": "{}"})
    assert refused.value.code == "recipe.model_shape"


@pytest.mark.parametrize(("asked", "index"), [(numbers()[3]["text"], 3), ("no recording says this", 0)])
def test_a_dry_run_gives_a_recording_back_and_a_run_under_an_agreement_none(
    recipes: Path, asked: str, index: int
) -> None:
    assert trained(recipes, steps=1, speak=asked).of("sound") == []
    found = trained(recipes, steps=1, speak=asked, kind=Kind.DRY)
    (sound,) = found.of("sound")
    frames = 1 + len(utterance(index).audio) // HOP
    assert sound["path"] == "speech.flac" and sound["sample_rate"] == SAMPLE_RATE
    assert len(sound["audio"]) // 4 == (max(frames, V1.segment) - 1) * HOP


def test_what_cannot_be_learned_from_is_told_by_its_id(recipes: Path) -> None:
    silent = {**said("r2"), "audio": np.zeros(8000, "<f4").tobytes()}
    found, _ = keeper(recipes / "vocoder", ASKED, utterances=[said("r1"), silent])
    assert not found.run(recipes / "vocoder")
    assert found.of("failed") == [{"code": "record.silent:r2"}]


# Differential privacy: the GAN is refused, its generator alone would be exact.


def test_the_recipe_has_nothing_for_the_engine(recipes: Path) -> None:
    found, _ = keeper(recipes / "vocoder", ASKED, utterances=[said("r1")], privacy=TARGET)
    assert not found.run(recipes / "vocoder")
    assert found.of("failed") == [{"code": "privacy.recipe"}] and found.of("want") == []


def both(model: nn.Module, utterance: Utterance) -> Tensor:
    """The losses of both networks as one."""
    batch, criterion = hifigan.batch(TINY, [hifigan.example(utterance)], chance()), model.get_criterion()  # type: ignore[operator]
    judged, made = (model.train_step(batch, criterion, n)[1]["loss"] for n in (DISCRIMINATOR, GENERATOR))  # type: ignore[operator]
    return judged + made  # type: ignore[no-any-return]


def aside(shape: Shape) -> Callable[[nn.Module, Utterance], Tensor]:
    """The generator's loss, while the discriminator takes steps of its own that no accountant sees."""

    def loss(model: nn.Module, utterance: Utterance) -> Tensor:
        batch, criterion = hifigan.batch(shape, [hifigan.example(utterance)], chance()), model.get_criterion()  # type: ignore[operator]
        own = torch.optim.SGD(model.model_d.parameters(), lr=0.1)  # type: ignore[operator, union-attr]
        model.train_step(batch, criterion, DISCRIMINATOR)[1]["loss"].backward()  # type: ignore[operator]
        own.step()
        own.zero_grad()
        return model.train_step(batch, criterion, GENERATOR)[1]["loss"]  # type: ignore[operator, no-any-return]

    return loss


def test_both_networks_are_refused_for_what_the_spectral_norm_keeps() -> None:
    with pytest.raises(PrivacyError) as refused:
        check_model(hifigan.build(TINY), both, (made_up(1, "en"), made_up(2, "en")))
    assert refused.value.code == "privacy.state"


def test_a_discriminator_that_trains_aside_is_refused() -> None:
    """Without scales nothing keeps a state: what is seen is the step itself."""
    shape = replace(TINY, scales=0)
    model = hifigan.build(shape)
    model.model_d.msd = Silent()
    with pytest.raises(PrivacyError) as refused:
        check_model(model, aside(shape), (made_up(1, "en"), made_up(2, "en")))
    assert refused.value.code == "privacy.state"


class Silent(nn.Module):
    """No discriminator of scales at all."""

    def forward(self, _: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        return [], []


def by_mel(model: nn.Module, utterance: Utterance) -> Tensor:
    """The generator without a judge: how far its mel is."""
    batch = hifigan.batch(TINY, [hifigan.example(utterance)], chance())
    making = model.get_criterion()[GENERATOR]  # type: ignore[operator]
    return making.l1_spec_loss(model.model_g(batch["input"]), batch["waveform"])  # type: ignore[operator, no-any-return]


@pytest.mark.parametrize("clip", [1.0, 0.01])
def test_the_generator_alone_moves_by_at_most_the_clip(clip: float) -> None:
    model: Model = hifigan.build(TINY)
    model.model_d.requires_grad_(False)
    model.model_d.eval()
    people, loss = speakers("en", "en", "en"), steady(by_mel)
    check_model(model, loss, (made_up(1, "en"), made_up(2, "en")))
    everybody = summed(engine(model, loss, clip=clip), people)
    for gone in range(len(people)):
        others = summed(engine(model, loss, clip=clip), people[:gone] + people[gone + 1 :])
        moved = norm(a.double() - b.double() for a, b in zip(everybody, others, strict=True))
        assert 0 < moved <= clip * (1 + 1e-4)
