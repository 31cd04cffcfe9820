"""What a recipe reads through ``run``: utterances, streamed ahead of need, and inputs."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import save as to_safetensors

from sandbox.errors import FrameError, RecipeError
from sandbox.runs import FLAC, SAFETENSORS
from sandbox.training.run import Run
from tests.training.fake_keeper import utterance
from tests.training.toys import FakeChannel, job

NAMES = [f"r{n:03d}" for n in range(50)]


@pytest.fixture
def channel() -> FakeChannel:
    return FakeChannel()


def deliver(channel: FakeChannel, *names: str) -> None:
    for name in names:
        channel.hears("utterance", **utterance(name, seconds=0.001))


# Utterances


def test_records_are_asked_for_ahead_and_not_all_at_once(channel: FakeChannel) -> None:
    run = Run(job(records=NAMES), channel)
    deliver(channel, *NAMES)
    stream = run.stream()
    assert next(stream).record == NAMES[0]
    assert [len(w["records"]) for w in channel.of("want")] == [32]
    assert [u.record for u in stream] == NAMES[1:]
    assert [name for w in channel.of("want") for name in w["records"]] == NAMES


def test_a_record_that_was_not_asked_for_is_refused(channel: FakeChannel) -> None:
    deliver(channel, "r001")
    with pytest.raises(FrameError):
        Run(job(records=NAMES), channel).utterances([job(records=["r000"]).records[0]])


def test_a_recipe_may_look_whether_to_stop_while_it_streams(channel: FakeChannel) -> None:
    run = Run(job(records=NAMES), channel)
    deliver(channel, *NAMES[:32])
    stream = run.stream()
    heard = [next(stream).record]
    assert not run.stopping  # thirty-one more have arrived by now
    channel.hears("stop", reason="asked")
    assert run.stopping
    heard += [next(stream).record for _ in range(31 - 1)]
    assert heard == NAMES[:31]


def test_an_input_may_be_read_while_utterances_arrive(channel: FakeChannel) -> None:
    run = Run(job(records=NAMES[:3], inputs=["model"]), channel)
    deliver(channel, *NAMES[:3])
    stream = run.stream()
    next(stream)
    channel.hears(
        "input", path="model", media_type=SAFETENSORS, data=to_safetensors({"w": torch.ones(2)}), last=True
    )
    assert run.input("model").tensors["w"].tolist() == [1, 1]
    assert [u.record for u in stream] == NAMES[1:3]


def test_a_stream_that_was_left_does_not_disturb_the_next(channel: FakeChannel) -> None:
    run = Run(job(records=NAMES[:4]), channel)
    deliver(channel, *NAMES[:4], *NAMES[:4])
    assert next(run.stream()).record == NAMES[0]
    assert [u.record for u in run.utterances()] == NAMES[:4]
    assert channel.to_hear == type(channel.to_hear)()


def test_two_streams_in_turns_are_refused(channel: FakeChannel) -> None:
    run = Run(job(records=NAMES[:3]), channel)
    deliver(channel, *NAMES[:3], *NAMES[:3])
    first, second = run.stream(), run.stream()
    next(first), next(second)
    with pytest.raises(RecipeError) as refused:
        list(zip(second, first, strict=True))
    assert refused.value.code == "recipe.streams"


@pytest.mark.parametrize("kind", ["go", "utterance"])
def test_what_nobody_asked_for_is_refused(channel: FakeChannel, kind: str) -> None:
    channel.hears(kind, **(utterance("r000") if kind == "utterance" else {}))
    with pytest.raises(FrameError):
        _ = Run(job(records=NAMES), channel).stopping


# Inputs


def test_an_input_arrives_in_pieces(channel: FakeChannel) -> None:
    data = to_safetensors({"w": torch.arange(4.0)}, {"shape": "small"})
    for part, last in ((data[:11], False), (data[11:], True)):
        channel.hears("input", path="model", media_type=SAFETENSORS, data=part, last=last)
    given = Run(job(inputs=["model"]), channel).input("model")
    assert given.tensors["w"].tolist() == [0, 1, 2, 3] and given.metadata == {"shape": "small"}


def test_an_input_that_is_not_in_the_grant_is_not_asked_for(channel: FakeChannel) -> None:
    with pytest.raises(RecipeError) as refused:
        Run(job(inputs=["model"]), channel).input("other")
    assert refused.value.code == "recipe.input_undeclared" and channel.said == []


def test_an_input_that_is_no_model_is_refused(channel: FakeChannel) -> None:
    channel.hears("input", path="model", media_type=FLAC, data=b"fLaC", last=True)
    with pytest.raises(RecipeError) as refused:
        Run(job(inputs=["model"]), channel).input("model")
    assert refused.value.code == "recipe.input_media_type"
