"""Coqui's VITS as we feed it: spectrograms of its own for each example, our filters, two optimizers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from TTS.utils.audio import torch_transforms

from sandbox.errors import RecipeError
from sandbox.training import vits
from sandbox.training.run import Utterance
from sandbox.training.sound import HOP, MELS, SAMPLE_RATE, WINDOW, mel_filters
from tests.training.real import numbers

TINY = replace(vits.tiny(vits.VITS), phonemes=False, characters="abcdefghijklmnopqrstuvwxyz")


def utterance(index: int, **changes: object) -> Utterance:
    said = numbers()[index]
    return Utterance(**{**said, "audio": np.frombuffer(said["audio"], "<f4"), **changes})


def test_an_example_is_what_coqui_makes_of_it_alone() -> None:
    found = vits.example(TINY, utterance(7))
    wave = found.audio[None, None]
    spectrum = torch_transforms.wav_to_spec(wave, WINDOW, HOP, WINDOW)
    assert found.spectrum.shape == (len(found.audio) // HOP, WINDOW // 2 + 1) and found.mel.shape[1] == MELS
    torch.testing.assert_close(found.spectrum.T[None], spectrum)
    vits._give_filters(spectrum)
    torch.testing.assert_close(
        found.mel.T[None], torch_transforms.spec_to_mel(spectrum, WINDOW, MELS, SAMPLE_RATE, 0.0, None)
    )


def test_our_filters_are_librosas() -> None:
    import librosa

    theirs = librosa.filters.mel(sr=SAMPLE_RATE, n_fft=WINDOW, n_mels=MELS, fmin=0.0, fmax=None)
    torch.testing.assert_close(mel_filters(), torch.from_numpy(theirs), atol=1e-6, rtol=1e-3)


def test_frames_of_one_do_not_depend_on_who_is_beside() -> None:
    """Coqui multiplies a share of the longest: the last frame of the others comes and goes."""
    examples = [vits.example(TINY, utterance(n)) for n in range(6)]
    alone = [vits.batch(TINY, [e]) for e in examples]
    together = vits.batch(TINY, examples)
    assert together["spec_lens"].tolist() == [int(b["spec_lens"][0]) for b in alone]
    for row, one in enumerate(alone):
        frames = int(one["spec_lens"][0])
        assert torch.equal(together["spec"][row, :, :frames], one["spec"][0])
        assert not together["spec"][row, :, frames:].any()


def test_each_optimizer_has_its_part_and_together_they_have_all() -> None:
    model = vits.build(TINY)
    judging, making = vits.parameters(model)
    assert {id(p) for p in judging} == {id(p) for p in model.disc.parameters()}
    assert len(judging) + len(making) == len(list(model.parameters())) and not set(judging) & set(making)


def test_a_step_moves_both_and_keeps_nothing() -> None:
    model = vits.build(TINY).train()
    criterion = model.get_criterion()
    batch = vits.batch(TINY, [vits.example(TINY, utterance(n)) for n in (3, 5)])
    for index, part in enumerate(vits.parameters(model)):
        model.zero_grad()
        model.train_step(batch, criterion, index)[1]["loss"].backward()
        assert all(p.grad is not None and bool(p.grad.isfinite().all()) for p in part)
    assert model.model_outputs_cache is None


def test_another_sample_rate_is_refused() -> None:
    with pytest.raises(RecipeError) as refused:
        vits.example(TINY, utterance(1, sample_rate=22_050))
    assert refused.value.code == "recipe.sample_rate"
