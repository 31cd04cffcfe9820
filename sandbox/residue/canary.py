"""A canary: a sound and a text that stand nowhere else in the world, to be planted where real ones go."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from sandbox.residue.needles import Needle, of_sound, of_text

RATE = 16_000
_LETTERS = "abcdefghijklmnopqrstuvwxyzäöüé"  # not all ASCII: JSON and UTF-16 write them in other ways


@dataclass(frozen=True)
class Canary:
    """``samples`` int16 ``[T]`` of noise at 16 kHz, and a text of words that mean nothing."""

    name: str
    text: str = field(repr=False)
    samples: NDArray[np.int16] = field(repr=False)

    def needles(self) -> list[Needle]:
        """Both, in every form that is looked for."""
        return [*of_text(f"text of {self.name}", self.text), *of_sound(f"sound of {self.name}", self.samples, RATE)]

    def write(self, path: Path) -> None:
        """The sound, as a recording of a studio: 16-bit WAV."""
        soundfile.write(path, self.samples, RATE, subtype="PCM_16")


def draw(name: str, seconds: float = 1.5) -> Canary:
    """A fresh canary, from the system's generator."""
    words = ("".join(secrets.choice(_LETTERS) for _ in range(9)) for _ in range(8))
    noise = np.frombuffer(secrets.token_bytes(2 * int(seconds * RATE)), dtype="<i2") // 4  # a quarter of full scale
    return Canary(name, " ".join(words), noise.astype(np.int16))
