"""A saved model is known by what stands beside it, and speaks; what is none is refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import torch
from torch import Tensor

from sandbox.errors import RecipeError
from sandbox.training import fastpitch, glowtts, hifigan, phonemes, speaking, tacotron2, vits
from sandbox.training.run import Loaded

TINY: Mapping[str, Any] = {
    "characters": (fastpitch, fastpitch.tiny(fastpitch.Shape())),
    "fastpitch": (fastpitch, fastpitch.tiny(fastpitch.FASTPITCH)),
    "fastspeech2": (fastpitch, fastpitch.tiny(fastpitch.FASTSPEECH2)),
    "glowtts": (glowtts, glowtts.tiny(glowtts.GLOWTTS)),
    "tacotron2": (tacotron2, tacotron2.tiny(tacotron2.TACOTRON2_DDC)),
    "vits": (vits, vits.tiny(vits.VITS)),
}


def saved(name: str, voices: int = 1) -> Loaded:
    family, shape = TINY[name]
    if voices > 1:
        shape = type(shape).from_text(
            shape.to_text().replace(f'"voices": {shape.voices}', f'"voices": {voices}')
        )
    torch.manual_seed(1)
    return Loaded(family.build(shape).state_dict(), shape.released())


@pytest.mark.parametrize("name", TINY)
def test_each_architecture_is_known_and_speaks(name: str) -> None:
    speaker = speaking.restore(saved(name))
    phonemes.start(["en"])
    try:
        torch.manual_seed(1)
        sound = speaker.say("seven")
        torch.manual_seed(1)
        assert torch.equal(sound, speaker.say("seven"))
    finally:
        phonemes.stop()
    assert speaker.rows == 1 and sound.dim() == 1 and len(sound) > 0 and not sound.requires_grad


def hifi() -> Loaded:
    torch.manual_seed(1)
    shape = hifigan.tiny(hifigan.V1)
    return Loaded(hifigan.build(shape).state_dict(), shape.released())


@pytest.mark.parametrize("name", ["characters", "fastpitch", "glowtts", "tacotron2"])
def test_a_vocoder_makes_spectra_sound_instead_of_griffin_lim(name: str) -> None:
    speaker, plain = speaking.restore(saved(name), hifi()), speaking.restore(saved(name))
    phonemes.start(["en"])
    try:
        sound, other = speaker.say("seven"), plain.say("seven")
        spectrum = speaker.family.spectrum(speaker.shape, speaker.model, "seven")  # type: ignore[attr-defined]
    finally:
        phonemes.stop()
    assert sound.shape == other.shape == ((len(spectrum) - 1) * 256,) and not torch.equal(sound, other)
    made = hifigan.sound(speaker.vocoder, spectrum)
    assert torch.equal(sound, made / made.abs().max().clamp(min=1.0)) and float(sound.abs().max()) <= 1


def test_a_vocoder_is_one_and_goes_with_a_model_that_says_spectra() -> None:
    cases = [
        (saved("vits"), hifi(), "recipe.vocoder"),
        (saved("characters"), saved("glowtts"), "recipe.model_shape"),
    ]
    cases += [(saved("characters"), Loaded({}, hifi().metadata), "recipe.model_shape")]
    for model, vocoder, code in cases:
        with pytest.raises(RecipeError) as refused:
            speaking.restore(model, vocoder)
        assert refused.value.code == code


def test_a_voice_that_the_model_has_not_is_refused() -> None:
    speaker = speaking.restore(saved("characters", voices=3))
    assert speaker.rows == 3 and not torch.equal(speaker.say("seven", "en", 0), speaker.say("seven", "en", 2))
    for voice in (-1, 3):
        with pytest.raises(RecipeError) as refused:
            speaker.say("seven", "en", voice)
        assert refused.value.code == "recipe.no_such_voice"


def test_what_is_no_model_of_ours_is_refused() -> None:
    good = saved("characters")
    other = Loaded(saved("glowtts").tensors, good.metadata)
    cases = [
        Loaded(good.tensors, {}),
        Loaded(good.tensors, {"architecture": "hifigan", "shape": "{}"}),
        Loaded(good.tensors, {"architecture": "fastpitch", "shape": "{"}),
        Loaded({}, good.metadata),
        other,
    ]
    for given in cases:
        with pytest.raises(RecipeError) as refused:
            speaking.restore(given)
        assert refused.value.code == "recipe.model_shape"
        assert "size mismatch" not in str(refused.value)


@pytest.mark.parametrize(
    "sound",
    [torch.zeros(0), torch.zeros(9), torch.full((9,), 1e-4), torch.tensor([0.5, float("nan")])],
    ids=["empty", "silent", "nearly silent", "no number"],
)
def test_nothing_said_is_told_from_something_said(sound: Tensor) -> None:
    assert not speaking.audible(sound)
    assert speaking.audible(torch.tensor([0.0, 0.1]))


def test_sentences_stand_between_bars() -> None:
    assert speaking.sentences(" one | two, three! || ", 3) == ["one", "two, three!"]
    for text in ("", " | ", "a|b|c|d"):
        with pytest.raises(RecipeError) as refused:
            speaking.sentences(text, 3)
        assert refused.value.code == "recipe.sentences"
