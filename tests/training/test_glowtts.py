"""Coqui's GlowTTS as we feed it: one initialisation by data, even frames, nothing kept."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from sandbox.errors import RecipeError
from sandbox.training import glowtts
from sandbox.training.run import Utterance
from tests.training.real import numbers

TINY = replace(glowtts.tiny(glowtts.GLOWTTS), phonemes=False, characters="abcdefghijklmnopqrstuvwxyz")


def examples(count: int = 4) -> list[glowtts.Example]:
    return [
        glowtts.example(TINY, Utterance(**{**u, "audio": np.frombuffer(u["audio"], "<f4")}))
        for u in numbers()[:count]
    ]


def normalisations(model: glowtts.Model) -> list[torch.Tensor]:
    return [flow.logs.detach().clone() for flow in model.decoder.flows if hasattr(flow, "logs")]


def test_only_being_initialised_looks_at_data_before_the_first_step() -> None:
    model = glowtts.build(TINY)
    assert all(not logs.any() for logs in normalisations(model))
    glowtts.initialise(model, glowtts.batch(TINY, examples()))
    assert all(bool(logs.any()) for logs in normalisations(model))


def test_coqui_s_ten_initialising_steps_end_where_one_does() -> None:
    torch.manual_seed(3)
    ours = glowtts.build(replace(TINY, dropout=0.0, flow_dropout=0.0))
    theirs = glowtts.build(replace(TINY, dropout=0.0, flow_dropout=0.0))
    theirs.load_state_dict(ours.state_dict())
    batches = [glowtts.batch(TINY, examples()[n : n + 2]) for n in (0, 1, 2)]
    theirs.run_data_dep_init = True
    for batch in batches:
        theirs.train().train_step(batch, theirs.get_criterion())
    glowtts.initialise(ours.train(), batches[-1])
    for mine, other in zip(normalisations(ours), normalisations(theirs), strict=True):
        torch.testing.assert_close(mine, other)


def test_a_step_moves_every_parameter_and_keeps_nothing() -> None:
    model = glowtts.build(TINY).train()
    batch = glowtts.batch(TINY, examples())
    glowtts.initialise(model, batch)
    model.train_step(batch, model.get_criterion())[1]["loss"].backward()
    assert all(p.grad is not None and bool(p.grad.isfinite().all()) for p in model.parameters())
    assert all(getattr(m, "attn", None) is None for m in model.modules())


def test_frames_come_in_pairs() -> None:
    assert all(len(e.mel) % 2 == 0 for e in examples(8))


def test_another_sample_rate_is_refused() -> None:
    said = {**numbers()[0], "audio": np.zeros(8000, "<f4"), "sample_rate": 8000}
    with pytest.raises(RecipeError) as refused:
        glowtts.example(TINY, Utterance(**said))
    assert refused.value.code == "recipe.sample_rate"
