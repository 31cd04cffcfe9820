"""How long a model holds each symbol, against how long its own aligner finds it in the recording.

FastPitch, FastSpeech 2 and GlowTTS tell; models that speak frame by frame, or whose durations are drawn, do not.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from sandbox.training import corpus, fastpitch, glowtts
from sandbox.training.run import Utterance
from sandbox.training.sound import HOP, SAMPLE_RATE
from sandbox.training.speaking import Speaker

FRAME_MS = 1000 * HOP / SAMPLE_RATE


def error_ms(speaker: Speaker, utterance: Utterance, voice: int) -> float | None:
    """Mean over the symbols of one text; None where the model does not tell, or the text has no alignment.

    The silences before and after are left out: how long those are is the studio's matter.
    """
    found = lengths(speaker, utterance, voice)
    return None if found is None else mean_error_ms(*found)


def mean_error_ms(recorded: Tensor, said: Tensor) -> float | None:
    """Frames of each symbol, silence first and last. [T_text] each"""
    if len(recorded) < 3:
        return None
    return FRAME_MS * float((recorded - said)[1:-1].abs().mean())


def lengths(speaker: Speaker, utterance: Utterance, voice: int) -> tuple[Tensor, Tensor] | None:
    """Frames of each symbol in the recording and in what the model says. [T_text] each"""
    shape, model = speaker.shape, speaker.model
    if speaker.family not in (fastpitch, glowtts):
        return None
    example = speaker.family.example(shape, utterance, voice)
    if not corpus.aligns(example):
        return None
    pitched = speaker.family is fastpitch
    batch: dict[str, Any] = (
        fastpitch.batch([example], voices=shape.voices > 0) if pitched else glowtts.batch(shape, [example])
    )
    with torch.no_grad():
        outputs, _ = model.train_step(batch, model.get_criterion())  # in eval mode: nothing is learned
    said = outputs["durations_log"].flatten().exp() - 1
    if pitched:
        return outputs["o_alignment_dur"].flatten().float(), said.clamp(min=1).round()
    return outputs["total_durations_log"].flatten().exp() - 1, said.ceil().clamp(min=1)
