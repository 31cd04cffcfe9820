"""Coqui's Tacotron 2 as we feed it: whole steps, an end for each recording, nothing kept, no privacy of a person."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save
from torch import Tensor, nn
from TTS.tts.models.base_tts import BaseTTS
from TTS.tts.models.tacotron2 import Tacotron2
from TTS.tts.utils.data import prepare_stop_target

from sandbox.errors import PrivacyError, RecipeError
from sandbox.runs import SAFETENSORS, Artifact
from sandbox.training import tacotron2
from sandbox.training.batches import Example
from sandbox.training.run import Utterance
from sandbox.training.soundness import check_model, made_up, snapshot
from sandbox.training.tacotron2 import TACOTRON2_DDC, Gradual
from tests.training.fake_keeper import FakeKeeper
from tests.training.fake_keeper import utterance as said
from tests.training.real import numbers
from tests.training.test_recipes import TARGET, keeper

TINY = replace(tacotron2.tiny(TACOTRON2_DDC), phonemes=False, characters="abcdefghijklmnopqrstuvwxyz")


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(1)


def examples(count: int = 4, shape: tacotron2.Shape = TINY) -> list[Example]:
    return [
        tacotron2.example(shape, Utterance(**{**u, "audio": np.frombuffer(u["audio"], "<f4")}))
        for u in numbers()[:count]
    ]


def by_coqui(shape: tacotron2.Shape) -> Tacotron2:
    """Its own class, from the same configuration: only ever in the published sizes."""
    return Tacotron2(tacotron2.build(shape).config)


@pytest.mark.parametrize("voices", [1, 3])
def test_in_the_published_sizes_it_is_coqui_s_model(voices: int) -> None:
    shape = replace(TACOTRON2_DDC, voices=voices)
    ours, theirs = tacotron2.build(shape), by_coqui(shape)
    assert ours.frames.item() == theirs.decoder.r == 6 and theirs.coarse_decoder.r == 6
    sizes = {name: tensor.shape for name, tensor in ours.state_dict().items() if name != "frames"}
    assert sizes == {name: tensor.shape for name, tensor in theirs.state_dict().items()}
    ours.load_state_dict(theirs.state_dict(), strict=False)
    batch = tacotron2.batch(shape, [Example(torch.arange(3, 9), torch.randn(13, 80), 0)])
    ready = tacotron2.in_steps(batch, 6)
    mine, other = (m.eval().train_step(b, m.get_criterion())[1] for m, b in ((ours, batch), (theirs, ready)))
    assert mine["decoder_ddc_loss"] > 0 and mine["ga_loss"] > 0
    for name in ("loss", "stopnet_loss", "decoder_coarse_loss"):
        torch.testing.assert_close(mine[name], other[name])


@pytest.mark.parametrize("frames", [6, 4, 3, 2])
def test_each_recording_ends_where_coqui_has_it_end(frames: int) -> None:
    batch = tacotron2.batch(TINY, examples())
    ours = tacotron2.in_steps(batch, frames)
    lengths = batch["mel_lengths"]
    told = prepare_stop_target([np.array([0.0] * (int(n) - 1) + [1.0]) for n in lengths], frames)
    others = (
        "linear mel attns waveform pitch energy speaker_names speaker_ids d_vectors language_ids item_idxs"
    )
    whole: dict[str, Any] = dict.fromkeys([*others.split(), "audio_unique_names"]) | {
        "token_id": batch["text_input"],
        "token_id_lengths": batch["text_lengths"],
        "mel_lengths": lengths,
        "stop_targets": torch.from_numpy(told),
    }

    class Self:
        config = type("Config", (), {"r": frames})

    theirs = BaseTTS.format_batch(Self(), whole)
    assert torch.equal(ours["stop_targets"], theirs["stop_targets"].float())
    assert torch.equal(ours["stop_target_lengths"], theirs["stop_target_lengths"].long())
    steps = ours["stop_targets"].shape[1]
    assert ours["mel_input"].shape[1] == steps * frames and steps == -(-int(lengths.max()) // frames)
    assert torch.equal(ours["mel_input"][:, : int(lengths.max())], batch["mel_input"])


def test_the_longest_text_is_first() -> None:
    lengths = tacotron2.batch(TINY, examples(8))["text_lengths"].tolist()
    assert lengths == sorted(lengths, reverse=True) and len(set(lengths)) > 1


@pytest.mark.parametrize("frames", [6, 2])
def test_a_step_moves_all_but_the_coarse_stopnet_and_keeps_nothing(frames: int) -> None:
    """Nobody asks the coarse decoder when it is done."""
    model = tacotron2.build(TINY).train()
    model.frames.fill_(frames)
    model.train_step(tacotron2.batch(TINY, examples()), model.get_criterion())[1]["loss"].backward()
    still = {n for n, p in model.named_parameters() if p.grad is None or not bool(p.grad.isfinite().all())}
    assert still == {f"coarse_decoder.stopnet.1.linear_layer.{part}" for part in ("weight", "bias")}
    left = [n for m in model.modules() for n, value in vars(m).items() if isinstance(value, Tensor)]
    assert left == []


def test_fewer_frames_are_said_at_a_time_as_training_goes_on() -> None:
    model = tacotron2.build(TINY)
    gradual = Gradual(model)
    found = dict[int, int]()
    for step in range(1, 100_002):  # the step that comes
        found[int(model.frames)] = found.get(int(model.frames), step)
        gradual.step()
    assert found == {6: 1, 4: 10_001, 3: 50_001, 2: 100_001}
    again = tacotron2.build(TINY)
    Gradual(again).load_state_dict(gradual.state_dict())
    assert again.frames.item() == 2


def test_a_saved_model_says_as_many_frames_at_a_time_as_it_did() -> None:
    model = tacotron2.build(TINY)
    model.frames.fill_(3)
    _, restored = tacotron2.restore(model.state_dict(), TINY.released())
    restored.inference(torch.arange(3, 7)[None])
    assert restored.decoder.r == 3


def never_done() -> tacotron2.Model:
    model = tacotron2.build(TINY)
    nn.init.constant_(model.decoder.stopnet[1].linear_layer.bias, -50.0)
    model.eval()
    return model


def test_a_model_that_never_is_done_is_stopped_by_the_length_of_its_text() -> None:
    model = never_done()
    for symbols in (3, 7):
        mel = model.inference(torch.full((1, symbols), 4))["model_outputs"]
        assert 20 * symbols <= mel.shape[1] < 20 * symbols + 6


def test_the_same_words_sound_the_same() -> None:
    """The paper drops units of the prenet out while it speaks; coqui's recipe does not, and neither do we."""
    model = never_done()
    first, second = (tacotron2.speak(TINY, model, "one") for _ in range(2))
    assert torch.equal(first, second) and bool(first.isfinite().all()) and len(first) > 0
    left = [n for m in model.modules() for n, value in vars(m).items() if isinstance(value, Tensor)]
    assert left == []


@pytest.mark.parametrize("voices", [1, 2])
def test_a_training_may_begin_with_a_model_of_before_at_its_first_stage(recipes: Path, voices: int) -> None:
    """Coqui's models do not tell how many frames they say at a time: that may be missing."""
    shape = tacotron2.tiny(TACOTRON2_DDC)
    torch.manual_seed(9)  # not the recipe's own
    base = tacotron2.build(shape)
    base.frames.fill_(2)
    weights = base.state_dict()
    asked = {"size": "tiny", "voices": voices, "steps": 1, "batch_size": 2, "learning_rate": 1e-7}
    for given in (weights, {name: t for name, t in weights.items() if name != "frames"}):
        inputs = {"base": save(dict(given), shape.released())}
        found, _ = keeper(recipes / "tacotron2-ddc", asked, utterances=numbers()[:2], inputs=inputs)
        if voices > 1:  # its layers behind the encoder would be wider
            assert not found.run(recipes / "tacotron2-ddc")
            assert found.of("failed") == [{"code": "base.shape"}]
            continue
        assert found.run(recipes / "tacotron2-ddc"), found.of("failed")
        made = found.tensors("model-1.safetensors")
        assert made["frames"] == 6
        for name, parameter in base.named_parameters():
            torch.testing.assert_close(torch.tensor(made[name]), parameter.detach(), atol=1e-5, rtol=1e-4)


def test_another_sample_rate_is_refused() -> None:
    spoken = {**numbers()[0], "audio": np.zeros(8000, "<f4"), "sample_rate": 8000}
    with pytest.raises(RecipeError) as refused:
        tacotron2.example(TINY, Utterance(**spoken))
    assert refused.value.code == "recipe.sample_rate"


def test_the_shortest_recording_that_is_taken_can_be_learned_from(recipes: Path) -> None:
    """A shorter one is told by its id before training; coqui's SSIM loss would fail on it in the middle."""
    wanted = tacotron2.HEARD
    for frames in (6, 4, 3, 2):
        model = tacotron2.build(TINY)
        model.frames.fill_(frames)
        short = made_up(1, "en", int(wanted.sample_rate * wanted.shortest_s))
        batch = tacotron2.batch(TINY, [tacotron2.example(TINY, replace(short, sample_rate=16_000))])
        assert model.train_step(batch, model.get_criterion())[1]["loss"].isfinite()
    asked = {"size": "tiny", "text": "phonemes", "voices": 1, "seed": 1, "deterministic": False}
    found = FakeKeeper(asked, utterances=[said("r1", seconds=wanted.shortest_s - 0.05)])
    assert not found.run(recipes / "tacotron2-ddc")
    assert found.of("failed") == [{"code": "record.too_short:r1"}]


# Differential privacy


def its_loss(model: nn.Module, utterance: Utterance) -> Tensor:
    batch = tacotron2.batch(TINY, [tacotron2.example(TINY, utterance)])
    return model.train_step(batch, model.get_criterion())[1]["loss"]  # type: ignore[no-any-return]


def test_statistics_of_encoder_and_postnet_are_refused() -> None:
    with pytest.raises(PrivacyError) as refused:
        check_model(tacotron2.build(TINY), its_loss, (made_up(1, "en"), made_up(2, "en")))
    assert refused.value.code == "privacy.statistics"


PRIVATE = """
from dataclasses import replace
from sandbox.training import tacotron2
from sandbox.training.batches import Example

SHAPE = replace(tacotron2.tiny(tacotron2.TACOTRON2_DDC), phonemes=False, characters="abcdefghijklmnopqrstuvwxyz")

def model(setting):
    return tacotron2.build(SHAPE)

def loss(model, utterance):
    batch = tacotron2.batch(SHAPE, [tacotron2.example(SHAPE, utterance)])
    return model.train_step(batch, model.get_criterion())[1]["loss"]
"""


def test_a_private_run_of_it_ends_before_a_voice_is_asked_for(recipe: Callable[[str], Path]) -> None:
    settings = {"steps": 2, "people_per_step": 2.0, "utterances_per_person": 1, "learning_rate": 0.001}
    model = Artifact("model-2.safetensors", (2,), SAFETENSORS, 1 << 24)
    people = [said(f"r{n}", f"spk_{n:04d}") for n in range(4)]
    found = FakeKeeper(settings, (), [model], people, privacy=TARGET)
    assert not found.run(recipe(PRIVATE))
    assert found.of("failed") == [{"code": "privacy.statistics"}]
    assert found.of("want") == [] and found.of("artifact") == []


def test_a_step_leaves_statistics_of_what_it_saw_in_the_weights() -> None:
    """Why it is refused: they would be released, and no noise is added to them."""
    model = tacotron2.build(TINY).train()
    before = snapshot(model)
    its_loss(model, made_up(1, "en"))
    moved = {name for name, tensor in model.named_buffers() if not torch.equal(tensor, before[name])}
    assert {name.rpartition(".")[2] for name in moved} == {
        "running_mean",
        "running_var",
        "num_batches_tracked",
    }
    assert {name.partition(".")[0] for name in moved} == {"encoder", "postnet"}
