"""A sealed model that speaks, whichever recipe made it: what it is stands beside its weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor

from sandbox.errors import RecipeError
from sandbox.training import fastpitch, glowtts, hifigan, tacotron2, vits
from sandbox.training.run import Loaded
from sandbox.training.usable import SILENT

SEPARATOR = "|"  # between the sentences of one parameter


class Family(Protocol):
    """What a module of a model offers to whoever has it speak."""

    def restore(self, tensors: Mapping[str, Tensor], metadata: Mapping[str, str], /) -> tuple[Any, Any]: ...

    def speak(self, shape: Any, model: Any, text: str, voice: int = 0, language: str = "en", /) -> Tensor: ...

    # and, where the model says spectra: spectrum(…) -> log-mel [T_mel, MELS]


#: By the word that ``shapes.Kept`` keeps beside the weights.
FAMILIES: Mapping[str, Family] = {
    module.Shape.architecture: module for module in (fastpitch, glowtts, tacotron2, vits)
}


@dataclass(frozen=True, eq=False)
class Speaker:
    """A model ready to speak at 16 kHz."""

    family: Family
    shape: Any
    model: Any
    vocoder: Any = None  # a HiFi-GAN's generator; without one Griffin-Lim makes spectra sound

    @property
    def rows(self) -> int:
        """Of its table of voices; 1 for a model of one voice."""
        return max(1, int(self.shape.voices))

    def say(self, text: str, language: str = "en", voice: int = 0) -> Tensor:
        """The sound of ``text``. [T] Raises RecipeError for a voice that the model has not."""
        if not 0 <= voice < self.rows:
            raise RecipeError(f"the model has voices 0 to {self.rows - 1}", code="recipe.no_such_voice")
        if self.vocoder is None:
            return self.family.speak(self.shape, self.model, text, voice, language).detach()
        spectrum = self.family.spectrum(self.shape, self.model, text, voice, language)  # type: ignore[attr-defined]
        sound = hifigan.sound(self.vocoder, spectrum)
        return sound / sound.abs().max().clamp(min=1.0)


def restore(given: Loaded, vocoder: Loaded | None = None) -> Speaker:
    """Raises RecipeError when ``given`` is no model that can speak, or weights are not those of their sizes."""
    family = FAMILIES.get(given.metadata.get("architecture", ""))
    if family is None:
        raise RecipeError("the input is no model that speaks by itself", code="recipe.model_shape")
    if vocoder is not None and not hasattr(family, "spectrum"):
        raise RecipeError("this model makes its own sound: it takes no vocoder", code="recipe.vocoder")
    try:
        made = None if vocoder is None else hifigan.restore(vocoder.tensors, vocoder.metadata)[1]
        return Speaker(family, *family.restore(given.tensors, given.metadata), made)
    except RuntimeError:  # torch quotes the names and sizes of layers; the code is enough
        raise RecipeError(
            "the weights are not those of the model's shape", code="recipe.model_shape"
        ) from None


def audible(sound: Tensor) -> bool:
    """Whether anything was said: an untrained model may say nothing, or numbers that are none."""
    return len(sound) > 0 and bool(sound.isfinite().all()) and float(sound.abs().max()) >= SILENT


def sentences(text: str, most: int) -> list[str]:
    """The sentences of a parameter, ``|`` between them. Raises RecipeError for none of them, or more than ``most``."""
    found = [part.strip() for part in text.split(SEPARATOR) if part.strip()]
    if not 0 < len(found) <= most:
        raise RecipeError(f"one to {most} sentences, {SEPARATOR} between them", code="recipe.sentences")
    return found
