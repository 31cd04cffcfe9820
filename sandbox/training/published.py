"""Tensors of published files: their names then and now, and parts that are used as they are."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

#: Weight normalisation wrote two tensors beside each other; torch has kept them as a parametrisation since 2.0.
_THEN = {"weight_g": "parametrizations.weight.original0", "weight_v": "parametrizations.weight.original1"}


def under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of one part, by their names in it."""
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def renamed(tensors: Mapping[str, Tensor], *, wrapped: str = "") -> dict[str, Tensor]:
    """``tensors`` by today's names. ``wrapped`` is what a checkpoint of a training puts before those of its model."""
    return {_renamed(name, tensors).removeprefix(wrapped): tensor for name, tensor in tensors.items()}


def freeze(part: nn.Module, kept: Mapping[str, Tensor], *, but: str) -> bool:
    """Give ``part`` its weights, which learn no more. False where ``kept`` lacks one, or has one of another shape.

    Tensors with ``but`` in their names ``part`` has made itself.
    """
    own = {name: tensor for name, tensor in part.state_dict().items() if but not in name}
    if any(name not in kept or kept[name].shape != tensor.shape for name, tensor in own.items()):
        return False
    part.load_state_dict({name: kept[name] for name in own}, strict=False)
    part.requires_grad_(False).eval()
    return True


def _renamed(name: str, beside: Mapping[str, Tensor]) -> str:
    """A spectral norm has a ``weight_v``, too, but no ``weight_g`` beside it: its names are today's."""
    module, _, last = name.rpartition(".")
    both = last in _THEN and all(f"{module}.{one}" in beside for one in _THEN)
    return f"{module}.{_THEN[last]}" if both else name
