from __future__ import annotations

from itertools import islice

import pytest
import torch

from sandbox.errors import RecipeError
from sandbox.training.batches import Batches, Example, Order, collate, shuffled
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


# Batches of one length


LENGTHS = torch.randint(1, 200, (96,), generator=torch.Generator().manual_seed(2)).tolist()


def drawn(count: int, *, bucket: int, seed: int = 1) -> list[list[int]]:
    return list(islice(Order(LENGTHS, 4, torch.Generator().manual_seed(seed), bucket=bucket), count))


def padding(batches: list[list[int]]) -> float:
    """The part of all frames that is padding."""
    whole = sum(len(batch) * max(LENGTHS[i] for i in batch) for batch in batches)
    return 1 - sum(LENGTHS[i] for batch in batches for i in batch) / whole


@pytest.mark.parametrize("bucket", [2, 8, 24, 1000])
def test_bucketed_batches_are_a_permutation_of_the_examples(bucket: int) -> None:
    batches = drawn(2 * 24, bucket=bucket)
    assert {len(batch) for batch in batches} == {4}
    for epoch in (batches[:24], batches[24:]):
        assert sorted(i for batch in epoch for i in batch) == list(range(96))


def test_what_is_in_a_bucketed_batch_is_of_a_length() -> None:
    assert padding(drawn(24, bucket=1)) > 0.25
    assert padding(drawn(24, bucket=8)) < 0.1
    assert padding(drawn(24, bucket=24)) < 0.04


def test_the_order_of_bucketed_batches_follows_from_no_length_and_not_from_the_dataset() -> None:
    """Neither rising nor falling, and other batches with another seed: whoever watches steps learns no order."""
    batches = drawn(24, bucket=24)
    means = torch.tensor([float(sum(LENGTHS[i] for i in batch)) for batch in batches])
    places = torch.arange(24, dtype=torch.float32)
    assert abs(float(torch.corrcoef(torch.stack([means, places]))[0, 1])) < 0.4
    assert drawn(24, bucket=8) == drawn(24, bucket=8) != drawn(24, bucket=8, seed=2)
    assert drawn(24, bucket=8)[0] != sorted(drawn(24, bucket=8)[0])


@pytest.mark.parametrize("taken", [0, 1, 7, 24, 31])
@pytest.mark.parametrize("bucket", [1, 8])
def test_an_order_goes_on_from_where_it_was(taken: int, bucket: int) -> None:
    first = Order(LENGTHS, 4, torch.Generator().manual_seed(1), bucket=bucket)
    list(islice(first, taken))
    other = Order(LENGTHS, 4, torch.Generator().manual_seed(9), bucket=bucket)
    other.restore(first.state())
    assert list(islice(other, 40)) == list(islice(first, 40))


@pytest.mark.parametrize(
    "other",
    [Order([1] * 95, 4, torch.Generator()), Order(LENGTHS, 3, torch.Generator())],
    ids=["data", "size"],
)
def test_an_order_of_other_data_is_refused(other: Order) -> None:
    with pytest.raises(RecipeError) as refused:
        other.restore(Order(LENGTHS, 4, torch.Generator()).state())
    assert refused.value.code == "recipe.resume_data"


def test_batches_are_of_the_examples_in_their_order() -> None:
    examples = [example(2, frames) for frames in (3, 9, 4, 8)]
    data = Batches(examples, 2, torch.Generator().manual_seed(1), bucket=2)
    assert sorted(next(data)["mel_lengths"].tolist() for _ in range(2)) == [[3, 4], [8, 9]]
