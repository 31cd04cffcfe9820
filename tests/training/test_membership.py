"""An attack on membership: an overfitted model tells who was in it, a fresh one does not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save
from torch import nn

from sandbox.errors import RecipeError
from sandbox.policy.membership import PEOPLE, SCORES, Report, judge
from sandbox.runs import Kind
from sandbox.training import batches, fastpitch, glowtts, membership, vits
from sandbox.training.run import Record, Utterance
from tests.training.fake_keeper import RATE, FakeKeeper, utterance
from tests.training.test_recipes import keeper, kept

SPELLED = "abcdefghijklmnopqrstuvwxyz"
SHAPE = fastpitch.Shape(hidden=32, inner=64, layers=1, heads=1)
CROWD = 24
IN = frozenset(f"spk_{n:04d}" for n in range(0, CROWD, 2))


def crowd(count: int = CROWD) -> list[dict[str, Any]]:
    """Made-up people, each with words and a drawl of their own; who is in is every second one."""
    found = []
    for n in range(count):
        draw = np.random.default_rng(n)
        word = "".join(draw.choice(list(SPELLED), 8))
        said = utterance(f"r{n:03d}", f"spk_{n:04d}", word, seconds=0.5)
        t = np.arange(RATE // 2) / RATE
        tone = np.sin(2 * np.pi * draw.uniform(120, 900) * t) * (
            0.5 + 0.5 * np.sin(2 * np.pi * draw.uniform(2, 9) * t)
        )
        noise = draw.standard_normal(len(t)) * 0.05
        said["audio"] = (0.3 * tone + noise).astype("<f4").tobytes()
        found.append(said)
    return found


def opened(said: dict[str, Any]) -> Utterance:
    return Utterance(**{**said, "audio": np.frombuffer(said["audio"], "<f4")})


def overfitted(people: Sequence[dict[str, Any]], steps: int = 250) -> nn.Module:
    torch.manual_seed(1)
    model = fastpitch.build(SHAPE)
    batch = batches.collate([fastpitch.example(SHAPE, opened(said)) for said in people])
    adam, criterion = torch.optim.Adam(model.parameters(), lr=3e-3), model.get_criterion()
    for _ in range(steps):
        adam.zero_grad()
        loss = model.train_step(batch, criterion)[1]["loss"]
        loss.backward()
        adam.step()
    return model


def attack(recipes: Path, tensors: Any, metadata: Any, people: Sequence[dict[str, Any]]) -> FakeKeeper:
    given = {"model": save({k: v.contiguous() for k, v in tensors.items()}, dict(metadata))}
    found, expanded = keeper(recipes / "membership", {}, utterances=people, inputs=given)
    assert found.run(recipes / "membership"), found.of("failed")
    kept(found, expanded)
    return found


def judged(found: FakeKeeper, people: Sequence[dict[str, Any]]) -> Report:
    """As the gate judges: it knows whose place is which, and who was in."""
    order = sorted({said["subject"] for said in people})
    assert found.values(PEOPLE) == {0: len(order)}
    losses = {name: {order[place]: value for place, value in found.values(name).items()} for name in SCORES}
    report = judge(losses, dict.fromkeys(IN))
    assert report is not None
    return report


@pytest.mark.parametrize(
    ("trained", "low", "high"), [(True, 0.9, 1.0), (False, 0.25, 0.75)], ids=["overfitted", "fresh"]
)
def test_who_was_in_is_told_by_an_overfitted_model_and_by_no_fresh_one(
    recipes: Path, trained: bool, low: float, high: float
) -> None:
    people = crowd()
    model = overfitted([said for said in people if said["subject"] in IN], 250 if trained else 0)
    report = judged(attack(recipes, model.state_dict(), fastpitch.released(SHAPE), people), people)
    assert (report.members, report.others) == (CROWD // 2, CROWD - CROWD // 2)
    assert {found.score for found in report.attacks} == set(SCORES)
    for found in report.attacks:
        assert low <= found.auc <= high, found


@pytest.mark.parametrize(
    ("module", "shape"),
    [
        (fastpitch, replace(fastpitch.tiny(fastpitch.FASTSPEECH2), phonemes=False, characters=SPELLED)),
        (fastpitch, replace(SHAPE, voices=3)),
        (glowtts, replace(glowtts.tiny(glowtts.GLOWTTS), phonemes=False, characters=SPELLED)),
        (vits, replace(vits.tiny(vits.VITS), phonemes=False, characters=SPELLED, voices=2)),
    ],
    ids=["fastspeech2", "voices", "glowtts", "vits"],
)
def test_each_model_is_scored_twice_alike_and_learns_nothing(recipes: Path, module: Any, shape: Any) -> None:
    torch.manual_seed(1)
    model = module.build(shape)
    people = crowd(4)
    first, second = (attack(recipes, model.state_dict(), shape.released(), people) for _ in range(2))
    for name in SCORES:
        assert set(first.values(name)) == {0, 1, 2, 3} and first.values(name) == second.values(name)
        assert len(set(first.values(name).values())) > 1
    assert first.of("artifact") == []


def test_a_voice_of_the_table_is_tried_with_every_row(recipes: Path) -> None:
    torch.manual_seed(1)
    shape = replace(SHAPE, voices=3)
    model = fastpitch.build(shape)
    said = opened(crowd(1)[0])
    alone = []
    for row in range(3):
        batch = batches.collate([fastpitch.example(shape, said, row)], voices=True)
        with torch.no_grad():
            alone.append(float(model.eval().train_step(batch, model.get_criterion())[1]["loss"]))
    found = membership.attacked(model.state_dict(), shape.released())(said)
    assert found is not None and found.total == pytest.approx(min(alone)) and len(set(alone)) == 3


def test_nobody_is_named_and_people_without_an_alignment_have_no_score(recipes: Path) -> None:
    people = [*crowd(3), utterance("r9", "spk_0009", "a" * 90, seconds=0.2)]
    model = fastpitch.build(SHAPE)
    found = attack(recipes, model.state_dict(), fastpitch.released(SHAPE), people)
    assert set(found.values(SCORES[0])) == {0, 1, 2} and found.values(PEOPLE) == {0: 4}
    assert not any("spk_" in str(frame.body) for frame in found.heard if frame.kind == "metric")


def test_a_model_of_no_known_kind_is_refused() -> None:
    with pytest.raises(RecipeError) as caught:
        membership.attacked({}, {"architecture": "tape"})
    assert caught.value.code == "recipe.model_shape"


def test_places_are_those_of_the_pseudonyms_in_order() -> None:
    records = [Record(f"r{n}", who, "en") for n, who in enumerate(("spk_b", "spk_a", "spk_b"))]
    assert membership.places(records) == {"spk_a": 0, "spk_b": 1}


def test_a_dry_run_has_nothing_to_attack(recipes: Path) -> None:
    found, _ = keeper(recipes / "membership", {}, utterances=crowd(2), kind=Kind.DRY)
    assert not found.run(recipes / "membership")
