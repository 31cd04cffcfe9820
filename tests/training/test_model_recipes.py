"""The recipes of coqui's models, tiny, on real speech, through the real worker: what they learn and what leaves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load
from safetensors.torch import save as packed

from sandbox.policy.recipe import expand
from sandbox.runs import Kind, is_checkpoint
from sandbox.training import fastpitch, glowtts, phonemes, tacotron2, vits
from tests.training.fake_keeper import FakeKeeper
from tests.training.real import numbers
from tests.training.test_recipes import card, keeper, kept

FAST = {"size": "tiny", "batch_size": 4, "warmup_steps": 1, "learning_rate": 0.002}
TRAINED: dict[str, dict[str, Any]] = {
    "fastpitch": FAST | {"steps": 24},
    "fastspeech2": FAST | {"steps": 24},
    "glowtts": FAST | {"steps": 24},
    "tacotron2-ddc": FAST | {"steps": 24, "learning_rate": 0.08},
    "vits": {"size": "tiny", "batch_size": 2, "steps": 4},
}
FAMILIES: dict[str, Any] = {
    "fastpitch": fastpitch,
    "fastspeech2": fastpitch,
    "glowtts": glowtts,
    "tacotron2-ddc": tacotron2,
    "vits": vits,
}


def train(recipes: Path, name: str, said: Any = None, **changes: Any) -> FakeKeeper:
    kind = changes.pop("kind", Kind.AGREEMENT)
    given = numbers()[:8] if said is None else said
    found, expanded = keeper(recipes / name, TRAINED[name] | changes, kind=kind, utterances=given)
    assert found.run(recipes / name), found.of("failed")
    kept(found, expanded)
    return found


def model_of(found: FakeKeeper) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    last = [a for a in found.of("artifact") if not is_checkpoint(a["path"])][-1]
    return load(packed({n: torch.tensor(a) for n, a in found.tensors(last["path"]).items()})), last[
        "metadata"
    ]


@pytest.mark.parametrize("name", TRAINED)
def test_a_few_steps_on_real_speech_make_the_loss_fall(recipes: Path, name: str) -> None:
    found = train(recipes, name)
    losses = list(found.values("loss").values())
    third = max(1, len(losses) // 3)
    assert len(losses) == TRAINED[name]["steps"] and np.mean(losses[-third:]) < 0.97 * np.mean(losses[:third])
    assert found.values("left_out") == {0: 0}
    steps = TRAINED[name]["steps"]
    weights = [a["step"] for a in found.of("artifact") if not is_checkpoint(a["path"])]
    assert weights == [steps // 2, steps]
    norms = found.values("grad_norm")
    assert list(norms) == list(range(1, steps + 1)) and all(norm > 0 for norm in norms.values())

    assert phonemes._speaking == {}  # its espeak-ng ended with it
    family = FAMILIES[name]
    shape, model = family.restore(*model_of(found))
    assert family.build(shape).state_dict().keys() == model.state_dict().keys()
    phonemes.start(["en"])
    try:
        sound = family.speak(shape, model, "seven")
    finally:
        phonemes.stop()
    assert sound.dim() == 1 and len(sound) > 0 and bool(sound.isfinite().all())


@pytest.mark.parametrize("name", TRAINED)
def test_the_card_s_defaults_are_the_published_sizes(recipes: Path, name: str) -> None:
    assert expand(card(recipes / name), {}).parameters["size"] == "full"
    model = {
        "fastpitch": lambda: fastpitch.build(fastpitch.FASTPITCH),
        "fastspeech2": lambda: fastpitch.build(fastpitch.FASTSPEECH2),
        "glowtts": lambda: glowtts.build(glowtts.GLOWTTS),
        "tacotron2-ddc": lambda: tacotron2.build(tacotron2.TACOTRON2_DDC),
        "vits": lambda: vits.build(vits.VITS),
    }[name]
    found = sum(p.numel() for p in model().parameters())
    expected = {
        "fastpitch": 37.5e6,
        "fastspeech2": 38.0e6,
        "glowtts": 28.6e6,
        "tacotron2-ddc": 47.7e6,
        "vits": 83.1e6,
    }[name]
    assert found == pytest.approx(expected, rel=0.01)
    for artifact in expand(card(recipes / name), {"steps": 2}).artifacts:
        whole = 3 if is_checkpoint(artifact.path) else 1  # Adam keeps two moments of each parameter
        assert 4 * found * whole < artifact.max_bytes


@pytest.mark.parametrize("name", TRAINED)
def test_several_people_each_have_a_row_and_no_name(recipes: Path, name: str) -> None:
    said = [{**u, "subject": f"spk_{n % 3:04d}"} for n, u in enumerate(numbers()[:6])]
    found = train(recipes, name, said, voices=3, steps=1)
    tensors, metadata = model_of(found)
    table = "speaker_embedding.weight" if name == "tacotron2-ddc" else "emb_g.weight"
    assert "spk_" not in str(metadata) and tensors[table].shape[0] == 3


def test_more_people_than_rows_are_refused_before_a_voice_is_asked_for(recipes: Path) -> None:
    said = [{**u, "subject": f"spk_{n:04d}"} for n, u in enumerate(numbers()[:4])]
    found, _ = keeper(recipes / "glowtts", TRAINED["glowtts"] | {"voices": 3}, utterances=said)
    assert not found.run(recipes / "glowtts")
    assert found.of("failed") == [{"code": "recipe.voices"}] and found.of("want") == []


@pytest.mark.parametrize("name", TRAINED)
def test_a_text_that_is_longer_than_its_sound_is_left_out_and_counted(recipes: Path, name: str) -> None:
    """The alignment search would read memory that is not its own; and no other record takes the place."""
    said = [*numbers()[:3], {**numbers()[3], "record": "long", "text": "seven thousand and seventy " * 9}]
    found = train(recipes, name, said, steps=1)
    assert found.values("left_out") == {0: 1}
    asked = [record for body in found.of("want") for record in body["records"]]
    assert sorted(asked) == sorted(u["record"] for u in said)


def test_nothing_but_what_is_too_short_is_no_training(recipes: Path) -> None:
    said = [{**numbers()[0], "text": "seven thousand and seventy " * 9}]
    found, _ = keeper(recipes / "vits", TRAINED["vits"], utterances=said)
    assert not found.run(recipes / "vits")
    assert found.of("failed") == [{"code": "recipe.no_examples"}]


@pytest.mark.parametrize("name", TRAINED)
def test_a_dry_run_speaks_and_a_run_under_an_agreement_does_not(recipes: Path, name: str) -> None:
    for kind, sounds in ((Kind.AGREEMENT, []), (Kind.DRY, ["speech.flac"])):
        found = train(recipes, name, steps=1, speak="seven", kind=kind)
        assert [s["path"] for s in found.of("sound")] == sounds


def loose(model: torch.nn.Module) -> list[str]:
    """Tensors that hang on a model and are neither parameter nor buffer, by place."""
    found = []
    for name, module in model.named_modules():
        for key, value in vars(module).items():
            values = (
                value.values() if isinstance(value, dict) else value if isinstance(value, list) else [value]
            )
            values = [v for v in values if not isinstance(v, torch.nn.Parameter)]  # an LSTM lists its own
            if key not in ("_parameters", "_buffers") and any(isinstance(v, torch.Tensor) for v in values):
                found.append(f"{name}.{key}")
    return found


@pytest.mark.parametrize("name", TRAINED)
def test_after_a_run_nothing_of_a_batch_hangs_on_the_model(
    recipes: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """VITS keeps real audio in ``model_outputs_cache``; attention layers keep their last maps."""
    family, made = FAMILIES[name], list[Any]()
    build = family.build
    monkeypatch.setattr(family, "build", lambda shape: made.append(build(shape)) or made[-1])
    train(recipes, name, steps=1)
    assert loose(made[0]) == []
