"""What models read instead of text: ids of characters or of phonemes, by a vocabulary that no corpus has a say in."""

from __future__ import annotations

import torch
from torch import Tensor
from TTS.tts.configs.shared_configs import CharactersConfig

from sandbox.training import phonemes

PAD, EOS, BOS, BLANK, SPACE = "_", "~", "^", "|", " "
SPOKEN = phonemes.IPA + phonemes.PUNCTUATION


def configuration(characters: str, *, blank: bool = False) -> CharactersConfig:
    """Coqui's description of the vocabulary that :func:`ids` counts through."""
    return CharactersConfig(
        pad=PAD,
        eos=EOS,
        bos=BOS,
        blank=BLANK if blank else None,
        characters=characters,
        punctuations=SPACE,
        is_sorted=False,
    )


def ids(characters: str, text: str, language: str, *, spoken: bool, blank: bool = False) -> Tensor:
    """Ids with silence at both ends; what the vocabulary lacks is left out. [T_text] int64

    ``spoken`` turns the text into phonemes first; ``blank`` puts an empty symbol around each one, as VITS
    wants (coqui's ``add_blank``).
    """
    if spoken:
        text = phonemes.of(text, language)
    vocabulary = [PAD, EOS, BOS, *([BLANK] if blank else []), *characters, SPACE]
    places = {symbol: index for index, symbol in enumerate(vocabulary)}
    known = [places[c] for c in f" {text.lower()} " if c in places]
    if not blank:
        return torch.tensor(known, dtype=torch.long)
    found = torch.full((2 * len(known) + 1,), places[BLANK], dtype=torch.long)
    found[1::2] = torch.tensor(known, dtype=torch.long)
    return found
