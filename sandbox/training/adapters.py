"""A frozen model and a few numbers beside it that learn: low-rank adapters (Hu et al. 2021, "LoRA").

Every weight of FastPitch's attention and feed-forward layers becomes ``W + up @ down``, with ``up`` [rows, rank] zero
and ``down`` [rank, columns] random at the start: the model begins as its base. Where noise grows with the root of how
many numbers learn, that is the point: a hundredth of them learn.

What leaves is ``up`` and ``down`` alone. They are all that was noised, so all that epsilon speaks of; the base's
weights, and with them its people, stay where its own card and their rights are. :func:`merged` puts the two together.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from sandbox.errors import RecipeError
from sandbox.training import fastpitch
from sandbox.training.blind import FastPitch
from sandbox.training.run import Loaded

ARCHITECTURE = "fastpitch-adapter"
_ADAPTED = {
    "self_attn": "in_proj_weight",
    "self_attn.out_proj": "weight",
    "conv1": "weight",
    "conv2": "weight",
}


class LowRank(nn.Module):
    """What is added to one weight, of any shape: all axes but the first are its columns."""

    def __init__(self, weight: Tensor, rank: int) -> None:
        super().__init__()
        columns = weight[0].numel()
        self.down = nn.Parameter(torch.randn(rank, columns) / math.sqrt(columns))
        self.up = nn.Parameter(torch.zeros(weight.shape[0], rank))

    def forward(self, weight: Tensor) -> Tensor:
        return weight + (self.up @ self.down).view_as(weight)


def adapt(model: FastPitch, rank: int) -> FastPitch:
    """``model`` frozen, with adapters that are not."""
    model.requires_grad_(False)
    for layer, name in _weights(model):
        weight = getattr(layer, name)
        parametrize.register_parametrization(layer, name, LowRank(weight, rank))
    return model


def of_base(base: Loaded, rank: int, *, phonemes: bool | None = None) -> tuple[fastpitch.Shape, FastPitch]:
    """A base that a run of ``digits`` or ``fastpitch`` made, adapted.

    Raises:
        RecipeError: it is no FastPitch of ours, does not read ``phonemes`` as asked, or has a table of voices: whose
            row a new voice would take is open.
    """
    shape, model = fastpitch.restore(base.tensors, base.metadata)
    if shape.voices:
        raise RecipeError("the base has a table of voices; one of one voice is adapted", code="recipe.voices")
    if phonemes not in (None, shape.phonemes):
        raise RecipeError("the base reads another kind of text: -p text=…", code="recipe.model_shape")
    return shape, adapt(model, rank)


def released(shape: fastpitch.Shape, rank: int) -> dict[str, str]:
    """What is saved beside an adapter."""
    return {"architecture": ARCHITECTURE, "shape": shape.to_text(), "rank": str(rank)}


def merged(base: Loaded, adapter: Loaded) -> tuple[fastpitch.Shape, FastPitch]:
    """The base with what was learned, ready to speak, as if it had been trained whole.

    Raises:
        RecipeError: they do not belong together.
    """
    told = adapter.metadata
    shape = fastpitch.Shape.of(base.metadata)
    if told.get("architecture") != ARCHITECTURE or told.get("shape") != shape.to_text():
        raise RecipeError("the adapter is of another base", code="recipe.model_shape")
    shape, model = of_base(base, _rank(told))
    state = model.state_dict()
    if set(adapter.tensors) != {name for name, p in model.named_parameters() if p.requires_grad} or any(
        state[name].shape != tensor.shape for name, tensor in adapter.tensors.items()
    ):
        raise RecipeError("the adapter is of another base", code="recipe.model_shape")
    model.load_state_dict({**state, **adapter.tensors})
    for layer, name in _weights(model):
        parametrize.remove_parametrizations(layer, name, leave_parametrized=True)
    return shape, model.requires_grad_(False).eval()


def _rank(told: Mapping[str, str]) -> int:
    rank = told.get("rank", "")
    if not rank.isdecimal() or not 1 <= int(rank) <= 1024:
        raise RecipeError("the adapter's rank is unreadable", code="recipe.model_shape")
    return int(rank)


def _weights(model: FastPitch) -> Iterator[tuple[nn.Module, str]]:
    """Every weight that is adapted, as its layer and its name there."""
    for part in (model.encoder.encoder, model.decoder.decoder.transformer_block):
        for layer in part.fft_layers:
            for path, name in _ADAPTED.items():
                yield layer.get_submodule(path), name
