"""Private randomness: who is sampled, which of their utterances, and the noise. Keys from the kernel, never a seed.

A seed that a config shows would let anyone subtract the noise again; torch's generators are no CSPRNG, and Opacus'
``secure_mode`` needs torchcsprng, which cannot be installed.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from typing import TypeVar

import torch
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from torch import Tensor

T = TypeVar("T")

_BLOCK = 1 << 16  # values of noise that are made at a time: what is between them stays in the processor's cache
_BITS = 53


def keystream(count: int) -> bytes:
    """``count`` bytes of AES-256 in counter mode (NIST SP 800-38A), under a key that the kernel drew for them alone.

    As unforeseeable as the kernel's own bytes, and made several times as fast: noise takes 32 of them a value.
    """
    return Cipher(algorithms.AES(os.urandom(32)), modes.CTR(bytes(16))).encryptor().update(bytes(count))


class PrivateRandomness:
    """Draws from ``source(n) -> n random bytes``; tests pass one of their own, nothing else may."""

    def __init__(self, source: Callable[[int], bytes] = keystream) -> None:
        self._source = source

    def uniform(self, count: int) -> Tensor:
        """``count`` numbers in (0, 1], 53 bits each. [count] float64"""
        if not count:
            return torch.zeros(0, dtype=torch.float64)
        words = torch.frombuffer(bytearray(self._source(8 * count)), dtype=torch.int64)
        bits = (words >> (64 - _BITS)) & ((1 << _BITS) - 1)  # the shift keeps a sign, which the mask takes away
        return bits.double().add_(1.0).mul_(2.0**-_BITS)

    def included(self, units: Sequence[T], rate: float) -> list[T]:
        """Poisson sampling: each unit on its own with probability ``rate``; the answer may be empty."""
        return [unit for unit, u in zip(units, self.uniform(len(units)).tolist(), strict=True) if u <= rate]

    def choose(self, items: Sequence[T], most: int) -> list[T]:
        """At most ``most`` of ``items``, without order."""
        order = self.uniform(len(items)).argsort().tolist()
        return [items[i] for i in order[:most]]

    def gaussian(self, shape: torch.Size, std: float) -> Tensor:
        """Independent normal noise, float32.

        Each value is a sum of four draws over 2: floating-point holes of one draw give the noise away (Mironov 2012;
        Holohan and Braghin 2021, section 5.1; the same remedy as in Opacus).
        """
        noise = torch.empty(shape.numel())
        for block in noise.split(_BLOCK):
            block.copy_(self._normal(len(block)).mul_(std / 2.0))
        return noise.reshape(shape)

    def _normal(self, count: int) -> Tensor:
        """Sums of four normal draws. [count] float64"""
        pairs = 2 * count  # Box-Muller makes two draws of a pair
        radius = self.uniform(pairs).log_().mul_(-2.0).sqrt_()
        angle = self.uniform(pairs).mul_(2.0 * math.pi)
        draws = angle.cos().add_(angle.sin_()).mul_(radius)
        return draws[:count] + draws[count:]
