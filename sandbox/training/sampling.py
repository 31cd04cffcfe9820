"""Private randomness: who is sampled, which of their utterances, and the noise. From the kernel, never from a seed.

A seed that a config shows would let anyone subtract the noise again; torch's generators are no CSPRNG, and Opacus'
``secure_mode`` needs torchcsprng, which cannot be installed.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

T = TypeVar("T")


class PrivateRandomness:
    """Draws from ``source(n) -> n random bytes``; tests pass one of their own, nothing else may."""

    def __init__(self, source: Callable[[int], bytes] = os.urandom) -> None:
        self._source = source

    def uniform(self, count: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        """``count`` numbers in (0, 1], 53 bits each."""
        bits = np.frombuffer(self._source(8 * count), dtype="<u8") >> np.uint64(11)
        return (bits.astype(np.float64) + 1.0) * 2.0**-53

    def included(self, units: Sequence[T], rate: float) -> list[T]:
        """Poisson sampling: each unit on its own with probability ``rate``; the answer may be empty."""
        return [unit for unit, u in zip(units, self.uniform(len(units)), strict=True) if u <= rate]

    def choose(self, items: Sequence[T], most: int) -> list[T]:
        """At most ``most`` of ``items``, without order."""
        order = np.argsort(self.uniform(len(items)))
        return [items[i] for i in order[:most]]

    def gaussian(self, shape: torch.Size, std: float) -> Tensor:
        """Independent normal noise, float32.

        Each value is a sum of four draws over 2: floating-point holes of one draw give the noise away (Mironov 2012;
        Holohan and Braghin 2021, section 5.1; the same remedy as in Opacus).
        """
        count = int(shape.numel())
        pairs = 2 * count  # Box-Muller makes two draws of a pair
        radius = np.sqrt(-2.0 * np.log(self.uniform(pairs)))
        angle = 2.0 * np.pi * self.uniform(pairs)
        draws = radius * np.cos(angle) + radius * np.sin(angle)  # [2 * count]
        total = (draws[:count] + draws[count:]) * (std / 2.0)
        return torch.from_numpy(total.astype(np.float32)).reshape(shape)
