"""Bases as ``sandbox recipe import-base`` leaves them, but tiny and random: no published one can be had here.

    .venv-train/bin/python bench/small_bases.py MODEL FOLDER

writes ``FOLDER/base.safetensors``, and ``FOLDER/model.pth`` as a training outside would publish the same.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from safetensors.torch import load, save
from tokenizers import Tokenizer, models, pre_tokenizers

from sandbox.training import voiceprint, xtts, yourtts
from sandbox.training.codes import autoencoder

PAPERS = {"format": "base/1", "licence": "none: random numbers", "source": "tests", "sha256": "0" * 64}


def tiny_yourtts(d_vector: int = voiceprint.SIZE) -> yourtts.Shape:
    return replace(yourtts.tiny(yourtts.YOURTTS), d_vector=d_vector)


@functools.cache
def yourtts_base(d_vector: int = voiceprint.SIZE, *, encoder: bool = False) -> bytes:
    torch.manual_seed(5)
    tensors = dict(yourtts.build(tiny_yourtts(d_vector)).state_dict())
    if encoder:
        kept = yourtts.resnet(d_vector).state_dict()
        tensors |= {yourtts.ENCODER + name: tensor for name, tensor in kept.items()}
    return save(tensors, PAPERS | {"model": "yourtts"})


def vocabulary() -> str:
    """As ``vocab.json`` of XTTS is made: marks first, then letters and what is merged of them."""
    marks = ["[STOP]", "[UNK]", "[SPACE]", "[en]", "[fr]", "[START]"]
    signs = [*marks, *"abcdefghijklmnopqrstuvwxyz'.,?", "th", "en"]
    rules = models.BPE({sign: n for n, sign in enumerate(signs)}, [("t", "h"), ("e", "n")], unk_token="[UNK]")  # noqa: S106 - a sign
    made = Tokenizer(rules)
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.add_special_tokens(marks)
    return str(made.to_str())


def tiny_xtts() -> xtts.Shape:
    return replace(xtts.tiny(xtts.XTTS), text_tokens=38, start_text=5, stop_text=0)


@functools.cache
def xtts_base() -> bytes:
    torch.manual_seed(6)
    shape = tiny_xtts()
    tensors = {f"xtts.{name}": tensor for name, tensor in xtts.build(shape).state_dict().items()}
    kept = autoencoder(shape.codes, shape.autoencoder, shape.codebook).state_dict()
    tensors |= {f"dvae.{name}": tensor.clone() for name, tensor in kept.items()}
    tensors["xtts.mel_stats"] = torch.full((80,), 2.0)
    return save(tensors, PAPERS | {"model": "xtts", "tokenizer": vocabulary()})


MADE: dict[str, Callable[[], bytes]] = {"yourtts": yourtts_base, "xtts": xtts_base}


def publish(model: str, folder: Path) -> None:
    """Both files. XTTS' vocabulary goes along as a tensor, byte by byte."""
    base = MADE[model]()
    tensors = load(base)
    if model == "xtts":
        tensors["tokenizer"] = torch.tensor(list(vocabulary().encode()), dtype=torch.uint8)
    torch.save({"model": tensors, "step": 0}, folder / "model.pth")
    (folder / "base.safetensors").write_bytes(base)


if __name__ == "__main__":
    publish(sys.argv[1], Path(sys.argv[2]))
