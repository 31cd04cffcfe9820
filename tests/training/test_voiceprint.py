"""The voice encoder: the published one, number for number; and on real speech it knows who speaks."""

from __future__ import annotations

import importlib.util
import itertools
from statistics import median

import numpy as np
import pytest
import torch
from torch import Tensor

from sandbox.errors import RecipeError
from sandbox.frames import Frame
from sandbox.training import voiceprint
from sandbox.training.worker import prepare
from tests.training import real


def hum(hz: float, seconds: float, loud: float) -> Tensor:
    t = np.arange(int(seconds * 16_000)) / 16_000
    sound = loud * sum(np.sin(2 * np.pi * hz * k * t) / k for k in range(1, 9))
    return torch.from_numpy(np.asarray(sound, dtype=np.float32))


#: What ``resemblyzer.VoiceEncoder.embed_utterance`` of version 0.1.4 makes of a hum: its four largest numbers, and how
#: many are above zero.
PUBLISHED = [
    (hum(120, 0.5, 0.01), {20: 0.30314, 0: 0.22347, 62: 0.21622, 89: 0.20606}, 119),
    (hum(120, 1.6, 0.1), {224: 0.27675, 122: 0.22871, 140: 0.21715, 164: 0.1906}, 126),
    (hum(210, 2.9, 0.1), {209: 0.24672, 127: 0.20777, 197: 0.20718, 16: 0.19311}, 138),
    (hum(210, 6.0, 0.01), {91: 0.28242, 224: 0.24233, 209: 0.19461, 127: 0.19346}, 150),
]


@pytest.mark.parametrize(
    ("audio", "largest", "above"), PUBLISHED, ids=["short", "quiet", "three looks", "long"]
)
def test_it_is_the_published_encoder(audio: Tensor, largest: dict[int, float], above: int) -> None:
    found = voiceprint.embed(audio)
    assert found.shape == (voiceprint.SIZE,) and float(found.norm()) == pytest.approx(1.0, abs=1e-5)
    top = {int(n): float(found[n]) for n in found.argsort(descending=True)[:4]}
    assert top == pytest.approx(largest, abs=2e-5)
    assert int((found > 0).sum()) == above


def test_quiet_speech_is_raised_and_loud_speech_is_left() -> None:
    quiet, quieter, loud = (voiceprint.embed(hum(120, 2, x)) for x in (1e-3, 1e-4, 0.3))
    assert voiceprint.similarity(quiet, quieter) == pytest.approx(1.0, abs=1e-4)
    assert voiceprint.similarity(quiet, loud) < 0.99


def test_a_sound_is_heard_to_its_end_and_padding_is_not() -> None:
    assert voiceprint.looks(1) == [0]
    assert voiceprint.looks(16_000) == [0]
    assert voiceprint.looks(46_400) == [0, 77, 154]
    assert voiceprint.looks(160 * 240) == [0, 77]  # a third look would be half padding


@pytest.mark.parametrize("audio", [torch.zeros(8_000), torch.zeros(1)], ids=["silence", "a sample"])
def test_silence_is_nobody_and_no_crash(audio: Tensor) -> None:
    assert bool(voiceprint.embed(audio).isfinite().all())


def test_the_same_person_is_more_alike_than_any_other() -> None:
    """Of each voice twelve utterances of 0.8 to 3 s, one by one: medians over all pairs."""
    found: dict[tuple[str, str], list[Tensor]] = {}
    for said in real.voices(12):
        audio = torch.from_numpy(np.frombuffer(said["audio"], dtype="<f4").copy())
        found.setdefault((said["subject"], said["language"]), []).append(voiceprint.embed(audio))
    assert len(found) == 5
    for (person, language), mine in found.items():
        same = median(voiceprint.similarity(a, b) for a, b in itertools.combinations(mine, 2))
        for (other, _), theirs in found.items():
            if other != person:
                different = median(voiceprint.similarity(a, b) for a in mine for b in theirs)
                # measured: 0.74 to 0.79 against 0.49 to 0.61
                assert same > different + 0.1, (person, language, other)
        first, second = voiceprint.mean(mine[::2]), voiceprint.mean(mine[1::2])
        assert voiceprint.similarity(first, second) > 0.93


def test_one_person_is_alike_in_two_languages() -> None:
    english, spanish, russian = (
        voiceprint.mean([
            voiceprint.embed(torch.from_numpy(np.frombuffer(said["audio"], dtype="<f4").copy()))
            for said in real.voices(12)
            if said["language"] == language
        ])
        for language in ("en", "es", "ru")
    )  # fmt: skip
    assert voiceprint.similarity(english, spanish) > voiceprint.similarity(english, russian) + 0.03


def test_it_draws_no_random_number() -> None:
    """The recipe's seed decides its numbers, whether or not somebody listens to voices."""
    voiceprint.encoder.cache_clear()
    before = torch.get_rng_state()
    voiceprint.embed(hum(120, 1, 0.1))
    assert torch.equal(before, torch.get_rng_state())
    assert not any(p.requires_grad for p in voiceprint.encoder().parameters())


def test_its_weights_are_read_before_any_key_exists() -> None:
    voiceprint.encoder.cache_clear()
    prepare(Frame("prepare", 1, {"torch": False, "threads": 1}))
    assert voiceprint.encoder.cache_info().currsize == 0
    prepare(Frame("prepare", 1, {"torch": True, "threads": 1}))
    assert voiceprint.encoder.cache_info().currsize == 1


def test_without_its_weights_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    voiceprint.encoder.cache_clear()
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(RecipeError) as refused:
        voiceprint.encoder()
    assert refused.value.code == "recipe.voiceprint"
