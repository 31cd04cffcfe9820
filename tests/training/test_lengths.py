"""How long a model holds each symbol, beside where its own aligner finds it in the recording."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch

from sandbox.training import lengths, phonemes, speaking
from sandbox.training.run import Utterance
from tests.training import real
from tests.training.test_speaking import saved


@pytest.fixture(autouse=True)
def english() -> Iterator[None]:
    phonemes.start(["en"])
    yield
    phonemes.stop()


def said(n: int, text: str = "") -> Utterance:
    one = real.numbers()[n]
    audio = np.frombuffer(one["audio"], dtype="<f4")
    return Utterance(one["record"], one["subject"], "en", text or one["text"], 16_000, audio)


def test_the_error_is_the_mean_over_symbols_without_the_silence_at_the_ends() -> None:
    recorded, held = torch.tensor([30.0, 5.0, 6.0, 7.0, 0.0]), torch.tensor([1.0, 5.0, 8.0, 3.0, 90.0])
    assert lengths.mean_error_ms(recorded, held) == pytest.approx(16 * (0 + 2 + 4) / 3)
    assert lengths.mean_error_ms(recorded, recorded) == 0.0
    assert lengths.mean_error_ms(recorded[:2], held[:2]) is None


@pytest.mark.parametrize("name", ["characters", "fastpitch", "fastspeech2", "glowtts"])
def test_the_recording_is_shared_out_among_its_symbols(name: str) -> None:
    speaker = speaking.restore(saved(name))
    heard = said(17)
    before = {key: value.clone() for key, value in speaker.model.state_dict().items()}
    found = lengths.lengths(speaker, heard, 0)
    assert found is not None
    recorded, held = found
    frames = len(speaker.family.example(speaker.shape, heard, 0).mel)  # type: ignore[attr-defined]
    assert float(recorded.sum()) == pytest.approx(frames, abs=0.01) and len(recorded) == len(held)
    assert float(held.min()) >= 1
    assert all(torch.equal(before[key], value) for key, value in speaker.model.state_dict().items())


@pytest.mark.parametrize("name", ["characters", "fastpitch", "glowtts"])
def test_what_it_holds_is_what_it_says(name: str) -> None:
    speaker = speaking.restore(saved(name))
    found = lengths.lengths(speaker, said(7), 0)
    assert found is not None
    frames = len(speaker.say(said(7).text)) // 256 + 1
    assert abs(float(found[1].sum()) - frames) <= 2  # the flow takes frames in pairs


def test_other_models_do_not_tell_and_a_text_without_an_alignment_is_passed_over() -> None:
    assert lengths.error_ms(speaking.restore(saved("vits")), said(7), 0) is None
    long = said(7, "seven thousand and seventy " * 20)
    assert lengths.error_ms(speaking.restore(saved("characters")), long, 0) is None
