"""What builds a model again: its sizes and vocabulary, kept as one line of JSON beside the weights."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any, Self, TypeVar

from torch import Tensor, nn

from sandbox.errors import RecipeError

S = TypeVar("S", bound="Kept")
M = TypeVar("M", bound=nn.Module)
_LOUD = ("TTS", "trainer", "coqpit", "torch", "opacus", "numba", "matplotlib")


class Kept:
    """For a dataclass of public constants: to text and back."""

    architecture: str

    def to_text(self) -> str:
        return json.dumps(asdict(self), sort_keys=True)  # type: ignore[call-overload]

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Raises RecipeError when the text is not a shape."""
        try:
            kept = json.loads(text)
            return cls(**{k: tuple(v) if isinstance(v, list) else v for k, v in kept.items()})
        except (ValueError, TypeError, AttributeError):
            raise RecipeError("the model's shape is unreadable", code="recipe.model_shape") from None

    @classmethod
    def of(cls, metadata: Mapping[str, str]) -> Self:
        """The shape of a saved model. Raises RecipeError when it is one of another architecture."""
        if metadata.get("architecture") != cls.architecture:
            raise RecipeError(f"the input is no {cls.architecture} model", code="recipe.model_shape")
        return cls.from_text(metadata.get("shape", ""))

    def released(self) -> dict[str, str]:
        """What is saved beside the weights."""
        return {"architecture": self.architecture, "shape": self.to_text()}


def restored(shape: S, build: Callable[[S], M], tensors: Mapping[str, Tensor]) -> tuple[S, M]:
    """The model that ``build`` makes of ``shape``, with the weights that a run saved, ready to speak."""
    model = build(shape)
    model.load_state_dict(dict(tensors))
    return shape, model.eval()


def quiet() -> None:
    """Coqui's loggers say nothing below an error: its tokenizer would log transcripts."""
    for name in _LOUD:
        logging.getLogger(name).setLevel(logging.ERROR)


def forget(model: nn.Module) -> None:
    """Drop what coqui's attention layers keep of their last batch."""
    for module in model.modules():
        if isinstance(getattr(module, "attn", None), Tensor):
            module.attn = None


def conditioned(voices: int) -> dict[str, Any]:
    """Coqui's words for a table of ``voices`` rows; 0 or 1 for none. The table knows numbers, no pseudonym."""
    table = voices > 1
    return {"use_speaker_embedding": table, "speakers": [f"voice-{n}" for n in range(voices if table else 0)]}
