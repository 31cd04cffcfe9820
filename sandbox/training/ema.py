"""An average of the weights that forgets slowly; synthesis sounds steadier with it than with the last step's weights.

After n steps each weight is ``d^n w_0 + (1 - d) sum_k d^(n-k) w_k`` (Polyak and Juditsky 1992; exponential as in
Tarvainen and Valpola 2017). No correction for the start: it begins at the weights that training begins with.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn


class Average:
    """The averaged ``state_dict`` of a model; whole numbers (counters) are taken as they are."""

    def __init__(self, model: nn.Module, decay: float) -> None:
        if not 0.0 <= decay < 1.0:
            raise ValueError("a decay lies in [0, 1)")
        self._decay = decay
        self._tensors = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Take one step's weights in."""
        for name, tensor in model.state_dict().items():
            mine = self._tensors[name]
            if mine.is_floating_point():
                mine.lerp_(tensor.to(mine.dtype), 1.0 - self._decay)
            else:
                mine.copy_(tensor)

    def state_dict(self) -> Mapping[str, Tensor]:
        """What to release, and what a checkpoint keeps."""
        return self._tensors

    @torch.no_grad()
    def load_state_dict(self, tensors: Mapping[str, Tensor]) -> None:
        """Raises KeyError, RuntimeError when they are of another model."""
        for name, mine in self._tensors.items():
            mine.copy_(tensors[name])
