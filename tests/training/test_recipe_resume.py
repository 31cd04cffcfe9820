"""Recipes that seal checkpoints on their way, tiny: gone on with from one, it is one training (others: test_resume)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from safetensors.numpy import save

from tests.training.fake_keeper import FakeKeeper
from tests.training.real import numbers
from tests.training.test_model_recipes import TRAINED
from tests.training.test_recipes import card, keeper

RESUMABLE = ["fastpitch", "fastspeech2", "glowtts", "vits"]
STEPS, GOES_ON_AFTER = 4, 2  # checkpoints come after a tenth, three tenths, … of all steps


def trained(recipes: Path, name: str, **inputs: bytes) -> FakeKeeper:
    asked: dict[str, Any] = TRAINED[name] | {"steps": STEPS, "batch_size": 2, "deterministic": True}
    found, _ = keeper(recipes / name, asked, utterances=numbers()[:5], inputs=inputs)
    assert found.run(recipes / name), found.of("failed")
    return found


def sealed(found: FakeKeeper, path: str) -> bytes:
    (opened,) = [a for a in found.of("artifact") if a["path"] == path]
    return save(found.tensors(path), dict(opened["metadata"]))


def weights(found: FakeKeeper) -> dict[str, bytes]:
    return {name: array.tobytes() for name, array in found.tensors(f"model-{STEPS}.safetensors").items()}


@pytest.mark.parametrize("name", RESUMABLE)
def test_going_on_from_a_scheduled_checkpoint_ends_with_the_same_parameters(recipes: Path, name: str) -> None:
    whole = trained(recipes, name)
    resumed = trained(recipes, name, resume=sealed(whole, f"checkpoint-{GOES_ON_AFTER}.safetensors"))
    assert list(resumed.values("loss")) == list(range(GOES_ON_AFTER + 1, STEPS + 1))
    assert weights(resumed) == weights(whole) and len(weights(whole)) > 50


@pytest.mark.parametrize("name", ["digits", *RESUMABLE])
def test_a_card_that_takes_a_checkpoint_declares_where_one_goes_when_it_is_stopped(
    recipes: Path, name: str
) -> None:
    its = card(recipes / name)
    assert "resume" in its.inputs and "checkpoint.safetensors" in {rule.path for rule in its.artifacts}
    assert "grad_norm" in its.metrics


@pytest.mark.parametrize("name", RESUMABLE)
def test_a_silent_recording_is_refused_by_its_id(recipes: Path, name: str) -> None:
    said = numbers()[0]
    silent = {**said, "record": "u00017", "audio": bytes(len(said["audio"]))}
    found, _ = keeper(recipes / name, TRAINED[name] | {"steps": 1}, utterances=[said, silent])
    assert not found.run(recipes / name)
    assert found.of("failed") == [{"code": "record.silent:u00017"}]
