"""YourTTS from a base: whose voice comes from memory, what the base must be, what is learned and what is not."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load
from TTS.tts.models.vits import VitsCharacters
from TTS.tts.utils.text import cleaners
from TTS.tts.utils.text.tokenizer import TTSTokenizer

from bench.small_bases import tiny_yourtts, xtts_base, yourtts_base
from sandbox.policy.recipe import expand
from sandbox.runs import Privacy, is_checkpoint
from sandbox.training import voiceprint, yourtts
from sandbox.training.run import Loaded
from tests.training.base_bytes import changed, loaded, sealed, then
from tests.training.fake_keeper import FakeKeeper
from tests.training.real import numbers
from tests.training.test_recipes import card
from tests.training.tuning import failure, from_base, said, spoiled

TINY = {"size": "tiny", "batch_size": 2, "learning_rate": 0.002}
PUBLISHED = 512  # numbers of the published base's voices


def run(recipes: Path, base: bytes | None, **asked: Any) -> FakeKeeper:
    return from_base(recipes / "yourtts", TINY, base, **asked)


def test_a_few_steps_from_a_base_make_the_loss_fall_and_the_model_speaks_in_any_voice(recipes: Path) -> None:
    found = run(recipes, yourtts_base(), steps=6)
    losses = list(found.values("loss").values())
    assert len(losses) == 6 and np.mean(losses[-2:]) < 0.9 * np.mean(losses[:2])
    assert found.values("left_out") == {0: 0}
    made = load(sealed(found, "model-6.safetensors"))
    metadata = next(a["metadata"] for a in found.of("artifact") if a["path"] == "model-6.safetensors")
    shape, model = yourtts.restore(made, metadata)
    assert shape == tiny_yourtts()
    sounds = []
    for voice in (1, 2):
        torch.manual_seed(1)
        sounds.append(
            yourtts.speak(shape, model, "seven", voiceprint.embed(torch.randn(16_000) * voice), "fr")
        )
    assert all(len(s) > 0 and bool(s.isfinite().all()) for s in sounds)


def test_it_starts_from_the_base_s_weights(recipes: Path) -> None:
    """A step so small that nothing moves far: what is saved is the base, whatever seed fresh weights had."""
    base = load(yourtts_base())
    found = run(recipes, yourtts_base(), steps=1, learning_rate=1e-7, seed=99)
    made = load(sealed(found, "model-1.safetensors"))
    assert made.keys() == base.keys()
    assert all(torch.allclose(made[name], tensor, atol=1e-5) for name, tensor in base.items())


def test_names_of_before_parametrisations_are_read(recipes: Path) -> None:
    old = then(load(yourtts_base()))
    assert sum(name.endswith(".weight_g") for name in old) > 20
    shape, model = tiny_yourtts(), yourtts.build(tiny_yourtts())
    yourtts.load(shape, model, Loaded(old, loaded(yourtts_base()).metadata))
    base = load(yourtts_base())
    assert all(torch.equal(tensor, base[name]) for name, tensor in model.state_dict().items())


REFUSED = [
    pytest.param(None, "recipe.input_undeclared", id="no base"),
    pytest.param({"model": "xtts"}, "base.model", id="a base of another model"),
    pytest.param(xtts_base, "base.model", id="the base of XTTS"),
    pytest.param("waveform_decoder.cond_layer.weight", "base.shape", id="a base that takes no voice"),
    pytest.param("emb_l.weight", "base.shape", id="a tensor is missing"),
    pytest.param({"config": "{}"}, "base.config", id="a configuration without symbols"),
    pytest.param({"config": "nonsense"}, "base.config", id="no configuration"),
]


@pytest.mark.parametrize(("what", "code"), REFUSED)
def test_a_base_that_is_not_one_is_refused_before_a_voice_is_asked_for(
    recipes: Path, what: Any, code: str
) -> None:
    found = run(recipes, spoiled(yourtts_base, what), steps=1)
    assert failure(found) == code and found.of("want") == []


def test_a_tensor_of_another_shape_is_refused(recipes: Path) -> None:
    def wider(tensors: dict[str, torch.Tensor]) -> None:
        tensors["text_encoder.emb.weight"] = torch.zeros(200, 32)

    assert failure(run(recipes, changed(yourtts_base(), wider), steps=1)) == "base.shape"


# Whose voice


def test_a_base_of_512_numbers_without_its_encoder_is_refused(recipes: Path) -> None:
    """Another encoder's vectors would say nothing to it, padded or not."""
    found = run(recipes, yourtts_base(PUBLISHED), steps=1)
    assert failure(found) == "base.speaker_encoder" and found.of("want") == []


def test_a_speaker_encoder_that_is_not_coqui_s_is_refused(recipes: Path) -> None:
    base = changed(yourtts_base(PUBLISHED, encoder=True), lambda t: t.pop(yourtts.ENCODER + "fc.weight"))
    assert failure(run(recipes, base, steps=1)) == "base.speaker_encoder"


def test_a_published_base_s_own_encoder_hears_and_does_not_learn(recipes: Path) -> None:
    base = loaded(yourtts_base(PUBLISHED, encoder=True))
    shape, model = tiny_yourtts(PUBLISHED), yourtts.build(tiny_yourtts(PUBLISHED))
    voice = yourtts.load(shape, model, base)
    examples = [yourtts.example(shape, said(n), voice) for n in (3, 7)]
    expected = voice.encoder.compute_embedding(torch.from_numpy(said(3).audio.copy())[None])  # type: ignore[union-attr]
    torch.testing.assert_close(examples[0].d_vector, expected[0].clone())
    assert examples[0].d_vector.shape == (PUBLISHED,) and float(examples[0].d_vector.norm()) == pytest.approx(
        1, abs=0.1
    )

    before = {name: tensor.clone() for name, tensor in model.speaker_encoder.state_dict().items()}
    model.train()
    criterion, batch = model.get_criterion(), yourtts.batch(shape, examples)
    optimizers = [torch.optim.AdamW(part, lr=0.01) for part in yourtts.parameters(model)]
    for index, optimizer in enumerate(optimizers):
        losses = model.train_step(batch, criterion, index)[1]
        losses["loss"].backward()
        optimizer.step()
    assert -yourtts.CONSISTENCY <= float(losses["loss_spk_encoder"].detach()) < 0
    after = model.speaker_encoder.state_dict()
    assert all(torch.equal(tensor, after[name]) for name, tensor in before.items())
    assert not any(name.startswith(yourtts.ENCODER) for name in model.state_dict())
    inside = {id(p) for p in model.speaker_encoder.parameters()}
    assert not inside & {id(p) for part in yourtts.parameters(model) for p in part}


def test_a_base_of_256_numbers_is_told_the_installed_encoder_s_voice() -> None:
    base = loaded(yourtts_base())
    voice = yourtts.Voice.of(tiny_yourtts(), base)
    found = yourtts.example(tiny_yourtts(), said(4), voice)
    assert torch.equal(found.d_vector, voiceprint.embed(torch.from_numpy(said(4).audio.copy())))


def test_whose_voice_it_is_reaches_the_sound() -> None:
    shape = tiny_yourtts()
    model = yourtts.build(shape)
    yourtts.load(shape, model, loaded(yourtts_base()))
    heard = []
    for number in (0, 200):
        torch.manual_seed(1)
        heard.append(yourtts.speak(shape, model.eval(), "seven", torch.eye(voiceprint.SIZE)[number]))
    assert heard[0].shape != heard[1].shape or not torch.equal(*heard)


# What is read


def test_letters_are_counted_as_coqui_counts_them() -> None:
    shape = yourtts.YOURTTS
    theirs = TTSTokenizer(
        text_cleaner=cleaners.multilingual_cleaners,
        characters=VitsCharacters(
            graphemes=shape.characters, ipa_characters="", punctuations=shape.punctuation, pad="_"
        ),
        add_blank=True,
    )
    assert theirs.characters.num_chars == 165  # the published embedding's rows
    for text, language in (
        ("Où est-ce ? Ça, là!", "fr"),
        ("It's seven – he said; naïve", "en"),
        ("Семь", "ru"),
    ):
        assert yourtts.ids(shape, text, language).tolist() == theirs.text_to_ids(text, language)


def test_a_language_is_found_by_name_or_without_its_region() -> None:
    shape = yourtts.YOURTTS
    asked = ("en", "fr-fr", "fr", "pt", "en-us")
    assert [yourtts.language_of(shape, name) for name in asked] == [0, 1, 1, 2, 0]


def test_a_language_that_the_base_never_learned_is_refused(recipes: Path) -> None:
    found = run(recipes, yourtts_base(), steps=1, said=[{**numbers()[0], "language": "de"}])
    assert failure(found) == "base.language"


def test_the_base_s_configuration_says_its_symbols_and_languages() -> None:
    told = {"characters": {"characters": "abc", "punctuations": "! ", "phonemes": None}, "languages": ["de"]}
    shape = yourtts.shape_of(loaded(yourtts_base(), config=json.dumps(told)), yourtts.tiny(yourtts.YOURTTS))
    assert shape == replace(tiny_yourtts(), characters="abc", punctuation="! ", languages=("de",))
    assert yourtts.build(shape).text_encoder.emb.weight.shape[0] == 1 + 2 + 3 + 1


# The run


def test_the_card_s_defaults_are_the_published_sizes(recipes: Path) -> None:
    its = card(recipes / "yourtts")
    assert its.clones and its.inputs == ("base", "resume") and its.purposes == ("optimise",)
    found = sum(p.numel() for p in yourtts.build(yourtts.YOURTTS).parameters())
    assert found == pytest.approx(86.8e6, rel=0.01)
    for artifact in expand(its, {"steps": 2}).artifacts:
        whole = 3 if is_checkpoint(artifact.path) else 1  # Adam keeps two moments of each parameter
        assert 4 * found * whole < artifact.max_bytes


def test_going_on_from_a_checkpoint_and_the_base_is_one_training(recipes: Path) -> None:
    whole = run(recipes, yourtts_base(), steps=4)
    resumed = run(recipes, yourtts_base(), steps=4, resume=sealed(whole, "checkpoint-2.safetensors"))
    assert list(resumed.values("loss")) == [3, 4]
    first, second = (load(sealed(found, "model-4.safetensors")) for found in (whole, resumed))
    assert first.keys() == second.keys() and all(torch.equal(first[n], second[n]) for n in first)


def test_no_pseudonym_and_no_voice_of_a_person_is_in_what_is_released(recipes: Path) -> None:
    found = run(recipes, yourtts_base(), steps=1)
    (metadata,) = [a["metadata"] for a in found.of("artifact") if a["path"] == "model-1.safetensors"]
    assert metadata.keys() == {"architecture", "shape"} and "spk_" not in str(metadata)
    assert load(sealed(found, "model-1.safetensors")).keys() == load(yourtts_base()).keys()


def test_under_differential_privacy_the_recipe_is_refused(recipes: Path) -> None:
    """It gives the engine no model and no loss; what the engine would do with this one: test_privacy."""
    target = Privacy("speaker", 50.0, 1e-5, 1.0, 0.5, 2, 1.5, accept_noise=True)
    found = run(recipes, yourtts_base(), steps=2, privacy=target)
    assert failure(found) == "privacy.recipe" and found.of("want") == []
