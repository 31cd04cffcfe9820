"""Coqui's FastPitch as we build, train, save and hear it; a tiny one throughout."""

from __future__ import annotations

from itertools import repeat
from typing import Any

import numpy as np
import pytest
import torch
from TTS.tts.layers.generic.transformer import FFTransformerBlock

from sandbox.errors import RecipeError
from sandbox.runs import SAFETENSORS, Artifact, Metric
from sandbox.training.batches import Example, collate
from sandbox.training.blind import FastPitch, alignment_prior
from sandbox.training.fastpitch import (
    LATIN,
    Shape,
    build,
    example,
    ids,
    released,
    restore,
    speak,
)
from sandbox.training.loop import train
from sandbox.training.run import Run, Utterance
from sandbox.training.sound import MELS, SAMPLE_RATE
from tests.training.toys import FakeChannel, job

TINY = Shape(hidden=16, inner=16, layers=1, heads=1)
TWO = Shape(hidden=16, inner=16, layers=1, heads=1, voices=2)
CANARY = "zanzibar heliotrope"
STEPS = 25


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(1)


def utterance(seconds: float = 0.6, rate: int = SAMPLE_RATE, text: str = CANARY) -> Utterance:
    """A rising hum under the canary's text; its samples are like no others."""
    t = np.arange(int(seconds * rate)) / rate
    audio = 0.3 * np.sin(2 * np.pi * (180 + 60 * t) * t) + 0.01 * np.random.default_rng(9).standard_normal(
        len(t)
    )
    return Utterance("r1", "spk_0001", "en", text, rate, audio.astype("<f4"))


@pytest.fixture(scope="module")
def trained() -> tuple[FastPitch, FakeChannel, list[Example]]:
    """A model after a few steps of the real loop, and what the keeper heard of it."""
    torch.manual_seed(1)
    model, channel = build(TINY), FakeChannel()
    examples = [example(TINY, utterance(0.6)), example(TINY, utterance(0.5, text="seven"))]
    run = Run(
        job(
            metrics=[Metric("loss", 0, 100, 4)],
            artifacts=[Artifact("m.safetensors", (STEPS,), SAFETENSORS, 1 << 20)],
        ),
        channel,
    )
    adam = torch.optim.AdamW(model.parameters(), lr=3e-3)
    train(run, model, repeat(collate(examples)), [adam], [], steps=STEPS, metadata=released(TINY))
    return model, channel, examples


def forward(model: FastPitch, examples: list[Example]) -> dict[str, torch.Tensor]:
    batch = collate(examples)
    lengths = batch["text_lengths"], batch["mel_lengths"]
    aux = {"d_vectors": None, "speaker_ids": None}
    with torch.no_grad():
        found: dict[str, torch.Tensor] = model(
            batch["text_input"], *lengths, y=batch["mel_input"], aux_input=aux
        )
    return found


def saved(channel: FakeChannel) -> dict[str, torch.Tensor]:
    return {
        t["name"]: torch.frombuffer(bytearray(t["data"]), dtype=getattr(torch, t["dtype"])).reshape(
            t["shape"]
        )
        for t in channel.of("tensor")
    }


def test_a_few_steps_make_the_loss_fall(trained: tuple[FastPitch, FakeChannel, list[Example]]) -> None:
    losses = [m["value"] for m in trained[1].of("metric")]
    assert len(losses) == STEPS
    assert np.mean(losses[-3:]) < 0.8 * np.mean(losses[:3])


def test_a_saved_model_says_exactly_what_the_trained_one_says(
    trained: tuple[FastPitch, FakeChannel, list[Example]],
) -> None:
    model, channel, _ = trained
    (artifact,) = channel.of("artifact")
    shape, again = restore(saved(channel), artifact["metadata"])
    assert shape == TINY and not again.training
    torch.manual_seed(99)
    heard = speak(shape, again, "seven")
    torch.manual_seed(5)
    assert torch.equal(heard, speak(TINY, model.eval(), "seven"))
    assert heard.dim() == 1 and len(heard) > 0 and float(heard.abs().max()) <= 1.0


def test_what_is_saved_is_what_a_fresh_model_has(
    trained: tuple[FastPitch, FakeChannel, list[Example]],
) -> None:
    """No cache, no statistic, no table of speakers joined the state while it saw real speech."""
    fresh = build(TINY).state_dict()
    assert {n: t.shape for n, t in saved(trained[1]).items()} == {n: t.shape for n, t in fresh.items()}
    assert trained[1].of("artifact")[0]["metadata"] == {"architecture": "fastpitch", "shape": TINY.to_text()}


def test_no_tensor_of_the_model_is_speech(trained: tuple[FastPitch, FakeChannel, list[Example]]) -> None:
    """Not in the state, and in no attribute that a careless release could pick up."""
    model, channel, examples = trained
    frames = [e.mel[n].numpy().tobytes()[:32] for e in examples for n in range(0, len(e.mel), 5)]
    sound = [utterance(0.6).audio[n : n + 8].tobytes() for n in range(0, 9000, 1000)]
    for data in (t["data"] for t in channel.of("tensor")):
        assert not any(needle in data for needle in frames + sound)
    kept = [
        value
        for module in model.modules()
        for value in vars(module).values()
        if isinstance(value, torch.Tensor)
    ]
    assert kept == []


def test_a_private_unit_trains_without_batch_mates(
    trained: tuple[FastPitch, FakeChannel, list[Example]],
) -> None:
    model, _, examples = trained
    _, losses = model.train().train_step(collate(examples[:1]), model.get_criterion())
    assert losses["loss"].dim() == 0 and bool(losses["loss"].isfinite())


def test_an_example_comes_out_the_same_alone_and_beside_a_longer_one(
    trained: tuple[FastPitch, FakeChannel, list[Example]],
) -> None:
    """What a convolution or attention reads of the padding would be missing when a word is said alone."""
    model, _, (longer, shorter) = trained
    model.eval()
    alone, together = forward(model, [shorter]), forward(model, [longer, shorter])
    letters, frames = len(shorter.ids), len(shorter.mel)
    assert letters < len(longer.ids) and frames < len(longer.mel)
    for name, kept in [("model_outputs", frames), ("durations_log", letters), ("o_alignment_dur", letters)]:
        torch.testing.assert_close(
            together[name][1][:kept], alone[name][0], msg=lambda m, n=name: f"{n}: {m}"
        )


def test_without_padding_it_is_coquis_own_model() -> None:
    model = build(Shape(hidden=16, inner=16, layers=2, heads=2)).eval()
    ours = model.encoder.encoder
    coquis = FFTransformerBlock(16, num_heads=2, hidden_channels_ffn=16, num_layers=2, dropout_p=0.0).eval()
    coquis.load_state_dict(ours.state_dict())
    x = torch.randn(3, 16, 9)
    torch.testing.assert_close(ours(x, torch.ones(3, 1, 9)), coquis(x))


def test_a_model_of_voices_says_each_in_its_own_way() -> None:
    model = build(TWO).eval()
    assert not torch.equal(speak(TWO, model, "seven", 0), speak(TWO, model, "seven", 1))


@pytest.mark.parametrize("text", ["", "a", "7!", "seven"])
def test_whatever_is_said_has_a_sound(text: str) -> None:
    assert bool(speak(TINY, build(TINY).eval(), text).isfinite().all())


# Text and sound in


@pytest.mark.parametrize(
    ("text", "same"), [("Seven", "seven"), ("se7ven!", "seven"), ("  ", "  "), ("zähne", "zhne")], ids=repr
)
def test_characters_outside_the_vocabulary_are_left_out(text: str, same: str) -> None:
    assert ids(TINY, text).tolist() == ids(TINY, same).tolist()


def test_ids_count_the_vocabulary_with_silence_at_both_ends() -> None:
    found = ids(TINY, "az").tolist()
    assert found == [3 + len(LATIN), 3, 3 + 25, 3 + len(LATIN)]
    assert max(found) < build(TINY).args.num_chars


def test_an_example_is_ids_and_a_spectrogram() -> None:
    found = example(TWO, utterance(0.5), voice=1)
    assert found.ids.dtype == torch.int64 and found.voice == 1
    assert found.mel.shape == (1 + 8000 // 256, MELS) and found.mel.dtype == torch.float32


def test_another_sample_rate_is_refused() -> None:
    with pytest.raises(RecipeError) as refused:
        example(TINY, utterance(rate=22_050))
    assert refused.value.code == "recipe.sample_rate"
    assert CANARY not in str(refused.value)


# The prior


def test_the_prior_is_a_distribution_over_each_texts_own_characters() -> None:
    prior = alignment_prior(torch.tensor([3, 5]), torch.tensor([10, 7]))
    assert prior.shape == (2, 10, 5)
    torch.testing.assert_close(prior[0].sum(-1), torch.ones(10))
    torch.testing.assert_close(prior[1, :7].sum(-1), torch.ones(7))
    assert (prior[0, :, 3:] == 0).all()


def test_the_prior_runs_along_the_diagonal() -> None:
    prior = alignment_prior(torch.tensor([20]), torch.tensor([60]))[0]
    places = prior.argmax(-1)
    assert places[0] == 0 and places[-1] == 19
    assert (places[1:] >= places[:-1]).all()


def test_the_prior_of_one_does_not_depend_on_its_batch_mates() -> None:
    alone = alignment_prior(torch.tensor([3]), torch.tensor([6]))[0]
    together = alignment_prior(torch.tensor([3, 9]), torch.tensor([6, 30]))[0]
    torch.testing.assert_close(together[:6, :3], alone)


# What a model is released as


def test_a_shape_comes_back_from_its_text() -> None:
    assert Shape.from_text(TWO.to_text()) == TWO


@pytest.mark.parametrize("text", ["", "{", "[]", "7", '{"hidden": 16, "speakers": ["spk_0001"]}'])
def test_what_is_no_shape_is_refused(text: str) -> None:
    with pytest.raises(RecipeError) as refused:
        Shape.from_text(text)
    assert refused.value.code == "recipe.model_shape"


@pytest.mark.parametrize(
    "metadata", [{}, {"architecture": "vits", "shape": TINY.to_text()}, {"architecture": "fastpitch"}]
)
def test_an_input_of_another_kind_is_refused(metadata: dict[str, Any]) -> None:
    with pytest.raises(RecipeError) as refused:
        restore({}, metadata)
    assert refused.value.code == "recipe.model_shape"
