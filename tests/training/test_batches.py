from __future__ import annotations

from itertools import islice

import pytest
import torch

from sandbox.errors import RecipeError
from sandbox.training.batches import Example, collate, shuffled
from sandbox.training.sound import MELS


def example(text: int, frames: int, voice: int = 0) -> Example:
    return Example(torch.arange(1, text + 1), torch.full((frames, MELS), float(voice + 1)), voice)


def test_shorter_examples_are_padded_with_zeros() -> None:
    batch = collate([example(3, 7), example(5, 2, 1)])
    assert batch["text_input"].tolist() == [[1, 2, 3, 0, 0], [1, 2, 3, 4, 5]]
    assert batch["text_lengths"].tolist() == [3, 5]
    assert batch["mel_input"].shape == (2, 7, MELS)
    assert batch["mel_input"][1, :2].eq(2).all() and batch["mel_input"][1, 2:].eq(0).all()
    assert batch["mel_lengths"].tolist() == [7, 2]


@pytest.mark.parametrize(("voices", "ids"), [(False, None), (True, [0, 4])])
def test_a_batch_names_voices_only_where_the_model_is_told_them(voices: bool, ids: list[int] | None) -> None:
    found = collate([example(1, 1), example(1, 1, 4)], voices=voices)["speaker_ids"]
    assert (None if found is None else found.tolist()) == ids


def test_a_batch_leaves_the_examples_as_they_were() -> None:
    one = example(2, 2)
    collate([one, example(4, 4)])["mel_input"].zero_()
    assert one.mel.eq(1).all()


@pytest.mark.parametrize(("count", "size"), [(6, 2), (5, 3), (2, 5), (1, 1)])
def test_every_example_comes_once_per_epoch(count: int, size: int) -> None:
    examples = [example(1, 1, n) for n in range(count)]
    batches = list(islice(shuffled(examples, size, torch.Generator().manual_seed(1)), 4 * count))
    assert {len(batch) for batch in batches} == {size}
    voices = [e.voice for batch in batches for e in batch]
    for epoch in range(len(voices) // count):
        assert sorted(voices[epoch * count : (epoch + 1) * count]) == list(range(count))


def test_the_order_is_the_generators() -> None:
    examples = [example(1, 1, n) for n in range(50)]

    def order(seed: int) -> list[int]:
        return [e.voice for e in next(shuffled(examples, 50, torch.Generator().manual_seed(seed)))]

    assert order(1) == order(1) != order(2)


def test_nothing_to_train_on_is_said_instead_of_waited_for() -> None:
    with pytest.raises(RecipeError) as refused:
        next(shuffled([], 2, torch.Generator()))
    assert refused.value.code == "recipe.no_examples"
