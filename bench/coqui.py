"""Coqui's own Trainer on plain wav files: a FastPitch of the recipe's size, the same batch size and recordings.

    .venv-train/bin/python bench/coqui.py < order.json

The order is that of ``plain.py``, and what is printed too; of the parameters ``steps``, ``batch_size`` and
``learning_rate`` are read. What the Trainer would do beside training (evaluation, test sentences, figures, best models)
is switched off; it logs, and saves as many checkpoints as the recipe.
"""

from __future__ import annotations

import csv
import json
import logging
import os
import resource
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from trainer import Trainer, TrainerArgs
from TTS.tts.configs.fast_pitch_config import FastPitchConfig
from TTS.tts.configs.shared_configs import BaseAudioConfig, CharactersConfig
from TTS.tts.models.forward_tts import ForwardTTS

from sandbox.training.fastpitch import Shape
from sandbox.training.sound import HOP, MELS, SAMPLE_RATE, WINDOW

NEVER = 1 << 30
EVERY_S = 0.5


class Beats:
    """Progress as a recipe reports it: steps, and steps a second since the first one."""

    def __init__(self, out: Any, total: int, started: float) -> None:
        self._out, self._total, self._asked = out, total, started
        self._started: float | None = None
        self._told = 0.0

    def __call__(self, trainer: Any) -> None:
        step, now = int(trainer.total_steps_done), time.monotonic()
        if self._started is None:
            self._started = now
            self._say({"first_step_s": time.time() - self._asked})
        elapsed = now - self._started
        if step <= self._total and (step == self._total or now - self._told >= EVERY_S):
            self._told = now
            rate = step / elapsed if elapsed > 0 else 0.0
            self._say({"step": step, "total": self._total, "rate": rate})

    def _say(self, told: Mapping[str, float]) -> None:
        self._out.write(json.dumps(told) + "\n")
        self._out.flush()


def configuration(order: Mapping[str, Any], recordings: int) -> FastPitchConfig:
    """The recipe's sizes and constants, in coqui's words."""
    shape, asked = Shape(), order["parameters"]
    steps, size = int(asked["steps"]), int(asked["batch_size"])
    layers = {"hidden_channels_ffn": shape.inner, "num_heads": shape.heads, "num_layers": shape.layers}
    layers["dropout_p"] = shape.dropout
    config = FastPitchConfig(
        run_name="bench",
        output_path=order["keep"],
        audio=BaseAudioConfig(
            sample_rate=SAMPLE_RATE,
            fft_size=WINDOW,
            win_length=WINDOW,
            hop_length=HOP,
            num_mels=MELS,
            do_trim_silence=False,
        ),
        characters=CharactersConfig(
            pad="_",
            eos="~",
            bos="^",
            blank=None,
            characters=shape.characters,
            punctuations=" ",
            is_sorted=False,
        ),
        text_cleaner=None,
        use_phonemes=False,
        compute_f0=False,
        batch_size=size,
        epochs=-(-steps // -(-recordings // size)),
        shuffle=True,
        drop_last=False,
        num_loader_workers=0,
        min_audio_len=1,
        optimizer="AdamW",
        optimizer_params={},
        lr=float(asked["learning_rate"]),
        lr_scheduler=None,
        run_eval=False,
        test_delay_epochs=NEVER,
        save_best_after=NEVER,
        save_step=max(1, steps // 3),
        save_n_checkpoints=1,
        log_model_step=NEVER,
        print_step=25,
    )
    arguments = config.model_args
    arguments.use_pitch = False
    arguments.out_channels = MELS
    arguments.hidden_channels = arguments.duration_predictor_hidden_channels = shape.hidden
    arguments.encoder_params = dict(layers)
    arguments.decoder_params = dict(layers)
    return config


def samples(speech: Path) -> list[dict[str, str]]:
    """What coqui's formatters return."""
    with open(speech / "metadata.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return [
        {
            "text": f" {row['text'].lower()} ",
            "audio_file": str(speech / row["file"]),
            "speaker_name": row["subject"],
            "root_path": str(speech),
            "language": row["language"],
            "audio_unique_name": row["file"],
        }
        for row in rows
    ]


def main(order: Mapping[str, Any], out: Any) -> None:
    torch.set_num_threads(int(order["threads"]))
    found = samples(Path(order["speech"]))
    config = configuration(order, len(found))
    trainer = Trainer(
        TrainerArgs(),
        config,
        order["keep"],
        model=ForwardTTS(config),
        train_samples=found,
        parse_command_line_args=False,
        callbacks={"on_train_step_end": Beats(out, int(order["parameters"]["steps"]), order["started"])},
    )
    trainer.fit()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    out.write(json.dumps({"peak_mb": peak / 1024}) + "\n")
    out.flush()


if __name__ == "__main__":
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # the Trainer prints
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING)
    main(json.load(sys.stdin), answers)
