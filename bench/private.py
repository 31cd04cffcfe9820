"""What a private step costs: FastPitch, one person at a time, by hooks, by ghost clipping, and not private at all.

    PYTHONPATH=. .venv-train/bin/python bench/private.py [--size tiny|full] [--people 32] [--steps 3] [--mode MODE]

Each mode runs in a process of its own, on made-up voices of one to three seconds, a recording a person; a line of JSON
for each: ``mode``, ``seconds_per_step``, ``cpu_s_per_step`` (which depends less on who else works on the machine),
``peak_mb`` of the process, ``extra_mb`` above what it held before the first step, ``accepted`` (whether the engine lets
a recipe use it, or the code it is refused with).

Opacus cannot take coqui's attention apart: hooks and ghost are measured on :func:`twin`, the same model with layers
that put recordings first, and losses of each recording alone. The engine refuses them for the model itself.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sandbox.errors import PrivacyError
from sandbox.runs import Privacy
from sandbox.training import batches, fastpitch, sound
from sandbox.training.privacy import Engine
from sandbox.training.private_modes import GHOST, HOOKS, STREAMING, check_mode
from sandbox.training.run import Utterance
from sandbox.training.sampling import PrivateRandomness
from sandbox.training.soundness import made_up

PLAIN = "non-private"
MODES = (PLAIN, STREAMING, HOOKS, GHOST)
TEXT = "the quick brown fox jumps over the lazy dog"
_NEITHER = replace(fastpitch.FASTPITCH, characters=fastpitch.LATIN, phonemes=False, dropout=0.0)
SHAPES = {"tiny": fastpitch.tiny(_NEITHER), "full": _NEITHER}


class RecordingsFirst(nn.Module):
    """A layer that coqui gives [T, B, C], asked in [B, T, C], so that Opacus finds recordings where it looks."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.layer(x.transpose(0, 1)).transpose(0, 1)
        return found


class Attention(nn.Module):
    """torch's attention with the same weights, out of plain linear layers. x [T, B, C] -> [T, B, C]"""

    def __init__(self, like: nn.MultiheadAttention) -> None:
        super().__init__()
        self._heads, width = like.num_heads, like.embed_dim
        self.parts = nn.ModuleList(nn.Linear(width, width) for _ in range(4))
        weights = [*like.in_proj_weight.chunk(3), like.out_proj.weight]
        biases = [*like.in_proj_bias.chunk(3), like.out_proj.bias]
        with torch.no_grad():
            for part, weight, bias in zip(self.parts, weights, biases, strict=True):
                part.weight.copy_(weight)  # type: ignore[operator, union-attr]
                part.bias.copy_(bias)  # type: ignore[operator, union-attr]

    def forward(
        self,
        x: Tensor,
        _k: Tensor,
        _v: Tensor,
        *,
        key_padding_mask: Tensor,
        need_weights: bool,  # noqa: ARG002 - coqui says so
    ) -> tuple[Tensor, None]:
        rows = x.transpose(0, 1)  # [B, T, C]
        q, k, v = (
            part(rows).unflatten(2, (self._heads, -1)).transpose(1, 2) for part in list(self.parts)[:3]
        )  # [B, heads, T, C / heads]
        seen = ~key_padding_mask[:, None, None]  # [B, 1, 1, T]
        mixed = nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=seen)
        return self.parts[3](mixed.transpose(1, 2).flatten(2)).transpose(0, 1), None


class Aligner(nn.Module):
    """Coqui's aligner, blind to padding: its first softmax reads the texts of others, as far as they are longer."""

    def __init__(self, like: Any) -> None:
        super().__init__()
        self.key_layer, self.query_layer, self._temperature = (
            like.key_layer, like.query_layer, like.temperature,
        )  # fmt: skip

    def forward(self, heard: Tensor, read: Tensor, mask: Tensor, prior: Tensor) -> tuple[Tensor, Tensor]:
        """heard [B, C, T_mel], read [B, C, T_text], mask [B, 1, T_text] -> both [B, 1, T_mel, T_text]"""
        padding = ~mask.bool()[:, :, None]  # [B, 1, 1, T_text]
        apart = (self.query_layer(heard)[:, :, :, None] - self.key_layer(read)[:, :, None]) ** 2
        log = (-self._temperature * apart.sum(1, keepdim=True)).masked_fill(padding, -float("inf"))
        log = log.log_softmax(3) + torch.log(prior[:, None] + 1e-8)
        return log.softmax(3), log


def twin(model: Any) -> Any:
    """``model`` with layers that Opacus can take apart by recording; alone it says the same (a test compares them)."""
    model.aligner = Aligner(model.aligner)
    for module in model.modules():
        for layer in getattr(module, "fft_layers", ()):
            layer.self_attn = Attention(layer.self_attn)
            layer.norm1 = RecordingsFirst(layer.norm1)
    return model


class EachAlone(nn.Module):
    """Coqui's criterion for each recording on its own, cut to its own lengths: {"loss": [B]}."""

    def __init__(self, criterion: nn.Module) -> None:
        super().__init__()
        self._criterion = criterion

    def forward(self, **given: Any) -> dict[str, Tensor]:
        reads, hears = given["input_lens"].tolist(), given["decoder_output_lens"].tolist()
        found = [
            self._criterion(
                **{k: _cut(k, v, row, read, heard) for k, v in given.items()}
            )["loss"]
            for row, (read, heard) in enumerate(zip(reads, hears, strict=True))
        ]  # fmt: skip
        return {"loss": torch.stack(found)}


def _cut(name: str, value: Any, row: int, read: int, heard: int) -> Any:
    """One recording's part [1, ...] of a tensor of the criterion, without padding."""
    if not isinstance(value, Tensor) or value.dim() == 0:
        return value
    one = value[row : row + 1]
    if name in ("decoder_output", "decoder_target"):
        return one[:, :heard]
    if name in ("dur_output", "dur_target"):
        return one[:, :read]
    if name.startswith(("pitch", "energy")):
        return one[..., :read]
    if name == "alignment_logprob":
        return one[:, :, :heard, :read]
    if name in ("alignment_soft", "alignment_hard"):
        return one[:, :heard, :read]
    return one


Examples = Callable[[Utterance], batches.Example]


def remembered(shape: fastpitch.Shape) -> Examples:
    """Each recording is prepared once, as recipes that are not private do."""
    known: dict[str, batches.Example] = {}

    def example(utterance: Utterance) -> batches.Example:
        key = f"{utterance.record} {utterance.text} {len(utterance.audio)} {utterance.audio[:1]}"
        if key not in known:
            known[key] = fastpitch.example(shape, utterance)
        return known[key]

    return example


def loss_by(example: Examples) -> Callable[[nn.Module, Utterance], Tensor]:
    def loss(model: Any, utterance: Utterance) -> Tensor:
        found: Tensor = model.train_step(fastpitch.batch([example(utterance)]), model.get_criterion())[1][
            "loss"
        ]
        return found

    return loss


def losses_by(example: Examples) -> Callable[[nn.Module, Sequence[Utterance]], Tensor]:
    def losses(model: Any, utterances: Sequence[Utterance]) -> Tensor:
        batch = fastpitch.batch([example(utterance) for utterance in utterances])
        found: Tensor = model.train_step(batch, EachAlone(model.get_criterion()))[1]["loss"]
        return found

    return losses


def crowd(people: int) -> list[list[Utterance]]:
    lengths = np.random.default_rng(0).uniform(1.0, 3.0, people)
    return [
        [replace(made_up(n, "en", int(sound.SAMPLE_RATE * s)), text=TEXT[: 10 + n], sample_rate=16_000)]
        for n, s in enumerate(lengths)
    ]


def step_of(
    mode: str, shape: fastpitch.Shape, people: list[list[Utterance]]
) -> tuple[Callable[[], None], str]:
    """One step of a mode, and whether the engine accepts it."""
    torch.manual_seed(0)
    model = fastpitch.build(shape)
    if mode in (HOOKS, GHOST):
        model = twin(model)
    example = remembered(shape)
    for [utterance] in people:
        example(utterance)
    if mode == PLAIN:
        adam = torch.optim.AdamW(model.parameters(), lr=1e-4)
        batch, criterion = fastpitch.batch([example(u) for [u] in people]), model.get_criterion()

        def plain() -> None:
            adam.zero_grad(set_to_none=True)
            model.train_step(batch, criterion)[1]["loss"].backward()
            adam.step()

        return plain, "not private"
    loss, losses = loss_by(example), losses_by(example)
    accepted = "accepted"
    try:
        check_mode(mode, model, loss, losses, 1)
    except PrivacyError as refused:
        accepted = refused.code
    privacy = Privacy("speaker", 8.0, 1e-5, 1.0, 1.0, 1, 1.0, accept_noise=True)
    engine = Engine(
        model, loss, privacy, divisor=float(len(people)), learning_rate=1e-4, randomness=PrivateRandomness(),
        mode=mode, losses=losses,
    )  # fmt: skip

    def private() -> None:
        engine.add_all(people)
        engine.step()

    return private, accepted


def measure(mode: str, size: str, people: int, steps: int, threads: int) -> dict[str, Any]:
    torch.set_num_threads(threads)
    step, accepted = step_of(mode, SHAPES[size], crowd(people))
    before = _peak_mb()
    if steps > 1:
        step()  # a first one that nobody times: it fills caches
    started, busy = time.perf_counter(), time.process_time()
    for _ in range(steps):
        step()
    seconds, busy = (time.perf_counter() - started) / steps, (time.process_time() - busy) / steps
    return {
        "mode": mode, "size": size, "people": people, "seconds_per_step": round(seconds, 3),
        "cpu_s_per_step": round(busy, 3),
        "peak_mb": _peak_mb(), "extra_mb": _peak_mb() - before, "accepted": accepted,
    }  # fmt: skip


def _peak_mb() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--size", choices=SHAPES, default="tiny")
    parser.add_argument("--people", type=int, default=32)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--mode", choices=MODES)
    asked = parser.parse_args(argv)
    if asked.mode:
        found = measure(asked.mode, asked.size, asked.people, asked.steps, asked.threads)
        sys.stdout.write(json.dumps(found) + "\n")
        return 0
    for mode in MODES:
        again = subprocess.run([sys.executable, __file__, *argv, "--mode", mode], check=False)
        if again.returncode:
            sys.stdout.write(
                json.dumps({"mode": mode, "size": asked.size, "failed": again.returncode}) + "\n"
            )
            sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
