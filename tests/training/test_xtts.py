"""XTTS's GPT from a base: what it reads, its losses beside coqui's, what the base must be, what it learns."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load
from torch import Tensor

from bench.small_bases import tiny_xtts, vocabulary, xtts_base, yourtts_base
from sandbox.errors import RecipeError
from sandbox.policy.recipe import expand
from sandbox.runs import Privacy, is_checkpoint
from sandbox.training import bases, codes, xtts
from sandbox.training.codes import CODE, LONGEST, RATE, SAMPLE_MAX, SAMPLE_MIN, Ears
from tests.training.base_bytes import changed, loaded, sealed
from tests.training.fake_keeper import FakeKeeper
from tests.training.real import numbers
from tests.training.test_recipes import card, keeper
from tests.training.tuning import failure, from_base, said, spoiled

TINY = {"size": "tiny", "batch_size": 3, "accumulate": 1, "learning_rate": 0.002}


def run(recipes: Path, base: bytes | None, **asked: Any) -> FakeKeeper:
    return from_base(recipes / "xtts", TINY, base, **asked)


@pytest.fixture
def tuned() -> tuple[xtts.Model, Ears]:
    model = xtts.build(tiny_xtts())
    return model, xtts.load(tiny_xtts(), model, loaded(xtts_base()))


def some(ears: Ears, *indices: int) -> list[xtts.Coded]:
    tokenizer = xtts.vocabulary_of(loaded(xtts_base()))
    found = [xtts.example(tokenizer, ears, said(index)) for index in indices]
    assert None not in found
    return found  # type: ignore[return-value]


def test_a_few_steps_from_a_base_make_the_loss_fall(recipes: Path) -> None:
    found = run(recipes, xtts_base(), steps=12)
    losses = list(found.values("loss").values())
    assert len(losses) == 12 and np.mean(losses[-4:]) < 0.97 * np.mean(losses[:4])
    assert found.values("left_out") == {0: 0}
    made = load(sealed(found, "model-12.safetensors"))
    (metadata,) = [a["metadata"] for a in found.of("artifact") if a["path"] == "model-12.safetensors"]
    shape, model = xtts.restore(made, metadata)
    assert shape == tiny_xtts() and model.state_dict().keys() == made.keys()
    assert metadata.keys() == {"architecture", "shape"} and "spk_" not in str(metadata)


def test_it_starts_from_the_base_s_weights_and_releases_the_gpt_alone(recipes: Path) -> None:
    base = {name.removeprefix("xtts."): tensor for name, tensor in load(xtts_base()).items()}
    made = load(
        sealed(run(recipes, xtts_base(), steps=1, learning_rate=1e-7, seed=99), "model-1.safetensors")
    )
    assert made.keys() == {name for name in base if name.startswith("gpt.")}
    assert all(torch.allclose(tensor, base[name], atol=1e-6) for name, tensor in made.items())


# What the base must be

REFUSED = [
    pytest.param(None, "recipe.input_undeclared", id="no base"),
    pytest.param({"model": "yourtts"}, "base.model", id="a base of another model"),
    pytest.param(yourtts_base, "base.model", id="the base of YourTTS"),
    pytest.param({"tokenizer": ""}, "base.tokenizer", id="no vocabulary"),
    pytest.param({"tokenizer": "[]"}, "base.tokenizer", id="a vocabulary that is none"),
    pytest.param({"tokenizer": vocabulary().replace("[START]", "[FIRST]")}, "base.tokenizer", id="no start"),
    pytest.param("xtts.gpt.text_head.weight", "base.shape", id="a tensor of the GPT is missing"),
    pytest.param("dvae.codebook.embed", "base.shape", id="the autoencoder is not whole"),
    pytest.param("xtts.mel_stats", "base.shape", id="the mels' statistics are missing"),
]


@pytest.mark.parametrize(("what", "code"), REFUSED)
def test_a_base_that_is_not_one_is_refused_before_a_voice_is_asked_for(
    recipes: Path, what: Any, code: str
) -> None:
    found = run(recipes, spoiled(xtts_base, what), steps=1)
    assert failure(found) == code and found.of("want") == []


def test_another_vocabulary_than_the_gpt_s_is_refused(recipes: Path) -> None:
    short = json.loads(vocabulary())
    short["model"]["vocab"].pop("en")
    short["model"]["merges"].pop()
    assert failure(run(recipes, changed(xtts_base(), tokenizer=json.dumps(short)), steps=1)) == "base.shape"


def test_published_files_put_together_as_the_manual_says_are_a_base_once_they_are_brought_in(
    recipes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manual = (recipes.parent / "docs" / "recipes.md").read_text()
    (program,) = re.findall(r"```python\n(.*?)```", manual, re.DOTALL)
    whole = load(xtts_base())
    torch.save(
        {"model": {n: t for n, t in whole.items() if not n.startswith("dvae.")}}, tmp_path / "model.pth"
    )
    torch.save({n[5:]: t for n, t in whole.items() if n.startswith("dvae.")}, tmp_path / "dvae.pth")
    (tmp_path / "vocab.json").write_text(vocabulary() + " " * 400_000)  # as large as the published one
    monkeypatch.chdir(tmp_path)
    exec(program, {})

    papers = {"model": "xtts", "licence": "none", "source": "tests"}
    file = {"file": (tmp_path / "xtts.pth").read_bytes()}
    brought, _ = keeper(recipes / "import-base", papers, inputs=file)
    assert brought.run(recipes / "import-base"), brought.of("failed")
    found = run(recipes, sealed(brought, "base.safetensors"), steps=1)
    assert found.of("failed") == [] and len(found.of("artifact")) > 0


def test_the_vocabulary_may_stand_in_the_configuration() -> None:
    config = bases.configuration(json.dumps({"tokenizer": json.loads(vocabulary())}).encode())
    found = xtts.vocabulary_of(loaded(xtts_base(), tokenizer="", config=config))
    assert xtts.shape_of(found, xtts.tiny(xtts.XTTS)) == tiny_xtts()


# What it reads


def test_a_text_is_read_behind_its_language() -> None:
    tokenizer = xtts.vocabulary_of(loaded(xtts_base()))
    signs = json.loads(vocabulary())["model"]["vocab"]
    expected = [signs[s] for s in ("[en]", "th", "e", "[SPACE]", "t", "en")]
    assert xtts.ids(tokenizer, "The 10", "en-us").tolist() == expected  # cleaned as coqui cleans it
    with pytest.raises(RecipeError) as refused:
        xtts.ids(tokenizer, "seven", "tlh")
    assert refused.value.code == "base.language"


def test_a_recording_has_a_code_for_each_1024_samples_of_it(tuned: tuple[xtts.Model, Ears]) -> None:
    _, ears = tuned
    audio = codes.resampled(torch.from_numpy(said(7).audio.copy()))
    assert len(audio) == pytest.approx(len(said(7).audio) * RATE / 16_000, abs=1)
    for length in (CODE * 9, CODE * 9 + 1, CODE * 10 - 1, len(audio)):
        found = ears.codes(audio[:length])
        assert len(found) == -(-length // CODE)
        assert int(found.min()) >= 0 and int(found.max()) < tiny_xtts().codes


def test_the_statistics_of_the_mels_are_the_base_s(tuned: tuple[xtts.Model, Ears]) -> None:
    _, ears = tuned
    audio = torch.randn(CODE * 4)
    plain = torch.log(ears._mel.mel_stft(audio[None]).clamp(min=1e-5))
    torch.testing.assert_close(ears._mel(audio[None]) * 2.0, plain)
    assert ears.sample(audio).shape == (
        80,
        1 + SAMPLE_MAX // 256,
    )  # of one length, whoever it is batched with


LEFT_OUT: list[Any] = [
    pytest.param({"text": "сто"}, id="signs that the vocabulary lacks"),
    pytest.param({"text": "seven and " * 60}, id="a text that is too long"),
    pytest.param({"audio": np.full(7_000, 0.1, "<f4")}, id="less than half a second"),
    pytest.param({"audio": np.full(LONGEST * 16_000 // RATE + 10, 0.1, "<f4")}, id="more than 11.6 s"),
]


@pytest.mark.parametrize("change", LEFT_OUT)
def test_what_does_not_fit_is_left_out_and_counted(recipes: Path, change: dict[str, Any]) -> None:
    odd = {**numbers()[0], "record": "odd", **change}
    odd["audio"] = bytes(odd["audio"])
    found = run(recipes, xtts_base(), steps=1, said=[numbers()[1], odd, numbers()[2]])
    assert found.values("left_out") == {0: 1}
    asked = [record for body in found.of("want") for record in body["records"]]
    assert asked == [numbers()[1]["record"], "odd", numbers()[2]["record"]]  # each once, and no other instead
    alone = run(recipes, xtts_base(), steps=1, said=[odd])
    assert failure(alone) == "recipe.no_examples"


# Its losses


def test_without_a_sample_the_losses_are_coqui_s(tuned: tuple[xtts.Model, Ears]) -> None:
    model, ears = tuned
    batch = xtts.batch(ears, some(ears, 3, 14))
    batch["told"] = torch.zeros(2, 2, dtype=torch.long)
    model.eval()
    _, losses = model.train_step(batch)
    text, sound, _ = model.gpt(
        batch["text"], batch["text_lengths"], batch["codes"], batch["code_lengths"] * CODE, cond_mels=batch["samples"]
    )  # fmt: skip
    torch.testing.assert_close(losses["loss_text_ce"], 0.01 * text)
    torch.testing.assert_close(losses["loss_mel_ce"], sound)
    torch.testing.assert_close(losses["loss"], 0.01 * text + sound)


def test_no_example_is_asked_for_what_it_was_told(tuned: tuple[xtts.Model, Ears]) -> None:
    model, _ = tuned
    stop = tiny_xtts().codes + 1
    found = model.targets(
        torch.tensor([[7, 8, 9, 0], [4, 5, 6, 3]]), torch.tensor([3, 4]), torch.tensor([[1, 2], [0, 3]]), 9
    )
    assert found.tolist() == [
        [7, -1, 9, stop, stop, stop, stop, -1, -1],
        [-1, -1, -1, 3, stop, stop, stop, stop, -1],
    ]


def test_a_sample_is_3_to_6_seconds_or_half_of_what_is_shorter() -> None:
    for length in (10_000, SAMPLE_MIN, 100_000, LONGEST):
        parts = [xtts._part(length) for _ in range(50)]
        assert all(0 <= first < last <= length for first, last in parts)
        sizes = {last - first for first, last in parts}
        assert min(sizes) >= min(SAMPLE_MIN, length // 2) and max(sizes) <= SAMPLE_MAX
        assert len({first for first, _ in parts}) > 1


def test_who_is_beside_it_does_not_change_an_example(tuned: tuple[xtts.Model, Ears]) -> None:
    model, ears = tuned
    model.eval()
    examples = some(ears, 3, 15)
    together = xtts.batch(ears, examples)
    logits: Callable[[dict[str, Tensor]], Tensor] = lambda b: model.gpt(  # noqa: E731
        b["text"], b["text_lengths"], b["codes"], b["code_lengths"] * CODE, cond_mels=b["samples"]
    )[2]
    alone = {**xtts.batch(ears, examples[:1]), "samples": together["samples"][:1]}
    length = len(examples[0].codes)
    torch.testing.assert_close(
        logits(together)[0, :, :length], logits(alone)[0, :, :length], atol=1e-4, rtol=1e-3
    )


def test_weights_decay_and_nothing_else_does(tuned: tuple[xtts.Model, Ears]) -> None:
    model, _ = tuned
    decaying, others = xtts.groups(model)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    assert len(decaying["params"]) + len(others["params"]) == len(names)
    assert (decaying["weight_decay"], others["weight_decay"]) == (0.01, 0.0)
    kept = {names[id(parameter)] for parameter in others["params"]}
    assert {"gpt.text_embedding.weight", "gpt.final_norm.weight", "gpt.mel_head.bias"} <= kept
    assert not any("c_attn.weight" in name or "mel_head.weight" in name for name in kept)


# The run


def test_the_card_s_defaults_are_the_published_ones(recipes: Path) -> None:
    its = card(recipes / "xtts")
    assert its.clones and its.inputs == ("base", "resume") and its.purposes == ("optimise",)
    asked = expand(its, {}).parameters
    assert (asked["batch_size"], asked["accumulate"], asked["learning_rate"]) == (3, 84, 5e-6)
    with torch.device("meta"):
        found = sum(p.numel() for p in xtts.Model(xtts.XTTS).parameters())
    assert found == pytest.approx(441.0e6, rel=0.001)
    for artifact in expand(its, {"steps": 2}).artifacts:
        whole = 3 if is_checkpoint(artifact.path) else 1  # Adam keeps two moments of each parameter
        assert 4 * found * whole < artifact.max_bytes


def test_going_on_from_a_checkpoint_and_the_base_is_one_training(recipes: Path) -> None:
    """The samples that are drawn of each recording go on too."""
    asked: dict[str, Any] = {"steps": 4, "accumulate": 2, "batch_size": 2}
    whole = run(recipes, xtts_base(), **asked)
    resumed = run(recipes, xtts_base(), resume=sealed(whole, "checkpoint-2.safetensors"), **asked)
    assert list(resumed.values("loss")) == [3, 4]
    first, second = (load(sealed(found, "model-4.safetensors")) for found in (whole, resumed))
    assert first.keys() == second.keys() and all(torch.equal(first[n], second[n]) for n in first)


def test_under_differential_privacy_the_recipe_is_refused(recipes: Path) -> None:
    """It gives the engine no model and no loss; what the engine would do with this one: test_privacy."""
    target = Privacy("speaker", 50.0, 1e-5, 1.0, 0.5, 2, 1.5, accept_noise=True)
    found = run(recipes, xtts_base(), steps=2, privacy=target)
    assert failure(found) == "privacy.recipe" and found.of("want") == []


def test_another_sample_rate_is_refused(tuned: tuple[xtts.Model, Ears]) -> None:
    tokenizer = xtts.vocabulary_of(loaded(xtts_base()))
    with pytest.raises(RecipeError) as refused:
        xtts.example(tokenizer, tuned[1], replace(said(1), sample_rate=22_050))
    assert refused.value.code == "recipe.sample_rate"
