"""Published checkpoints become bases without a line of theirs being run; trainings start from bases, or say why not."""

from __future__ import annotations

import hashlib
import io
import os
import pickle
from collections import OrderedDict, defaultdict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save as packed
from TTS.tts.configs.xtts_config import XttsConfig

from sandbox.errors import RecipeError
from sandbox.training import bases, fastpitch, glowtts, vits
from sandbox.training.run import Loaded
from tests.training.fake_keeper import FakeKeeper
from tests.training.real import numbers
from tests.training.test_recipes import card, keeper, kept
from tests.training.watching import Trainer, breaches, strace

PAPERS = {"model": "fastpitch", "licence": "MPL-2.0", "source": "https://example.org/model.pth"}
MARK = Path("/dev/shm") / f"vs-pickle-{os.getpid()}"
WEIGHTS = {"w": torch.arange(6.0).reshape(2, 3), "n": torch.tensor(4)}


class Malicious:
    """A pickle that makes a file when it is opened by whoever runs what it names."""

    def __reduce__(self) -> Any:
        return os.system, (f"touch {MARK}",)


def saved(value: Any, **how: Any) -> bytes:
    out = io.BytesIO()
    torch.save(value, out, **how)
    return out.getvalue()


def pickled(protocol: int) -> bytes:
    return pickle.dumps({"model": Malicious()}, protocol=protocol)


GOOD = saved({"model": WEIGHTS, "optimizer": {"m": torch.ones(9)}, "step": 7, "config": {"lr": 0.1}})
OLD = {"_use_new_zipfile_serialization": False}
REFUSED = {
    "empty file": (b"", "base.malformed"),
    "no checkpoint": (b"<html>not found</html>", "base.malformed"),
    "cut in half": (GOOD[: len(GOOD) // 2], "base.malformed"),
    "cut at its end": (GOOD[:-40], "base.malformed"),
    "old format, cut": (saved({"model": WEIGHTS}, **OLD)[:-9], "base.malformed"),
    "a zip of nothing": (b"PK\x03\x04" + bytes(400), "base.malformed"),
    "a plain pickle": (pickle.dumps({"a": 1}), "base.malformed"),
    "tensors larger than their file": (saved({"w": torch.ones(1).expand(1 << 20)}), "base.malformed"),
    "complex numbers": (saved({"w": torch.ones(9, dtype=torch.complex64)}), "base.malformed"),
    "no weights": (saved({"model": {}, "step": 7}), "base.empty"),
    "no tensor": (saved([1, 2]), "base.empty"),
    "a whole module": (saved(torch.nn.Linear(2, 2)), "base.pickle"),
    "code beside weights": (saved({"model": WEIGHTS, "extra": Malicious()}), "base.pickle"),
    "code in the old format": (saved({"model": WEIGHTS, "extra": Malicious()}, **OLD), "base.pickle"),
    "code alone, protocol 2": (pickled(2), "base.pickle"),
    "code alone, protocol 5": (pickled(5), "base.pickle"),
}


def test_the_malicious_pickle_is_one() -> None:
    """Whoever opens it as pickles are opened runs it."""
    try:
        pickle.loads(pickled(2))
        assert MARK.exists()
    finally:
        MARK.unlink(missing_ok=True)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize(("data", "code"), REFUSED.values(), ids=REFUSED)
def test_a_file_that_is_no_base_is_refused_and_nothing_of_it_is_run(data: bytes, code: str) -> None:
    with pytest.raises(RecipeError) as said:
        bases.read(data)
    assert said.value.code == code and not MARK.exists()


KEPT: dict[str, Any] = {
    "a checkpoint": {"model": WEIGHTS, "step": 7, "optimizer": {"m": torch.ones(2)}},
    "a state dictionary": OrderedDict(WEIGHTS),
    "of a generator": {"generator": WEIGHTS},
    "with an optimizer's defaults": {"model": WEIGHTS, "optimizer": {"state": defaultdict(dict)}},
    "with the configuration of XTTS": {"model": WEIGHTS, "config": XttsConfig()},
    "with more than tensors": {"model": {**WEIGHTS, "version": "1", "none": torch.empty(0)}},
}


@pytest.mark.parametrize("held", KEPT.values(), ids=KEPT)
def test_of_a_published_checkpoint_its_tensors_are_kept_and_nothing_else(held: Any) -> None:
    found = bases.read(saved(held))
    assert set(found) == set(WEIGHTS)
    assert all(torch.equal(found[name], tensor) for name, tensor in WEIGHTS.items())
    assert all(type(tensor) is torch.Tensor and tensor.is_contiguous() for tensor in found.values())


def test_kinds_that_safetensors_does_not_carry_here_are_made_into_ones_that_it_does() -> None:
    given = {"b": torch.bfloat16, "d": torch.float64, "s": torch.int16, "h": torch.float16}
    found = bases.read(saved({name: torch.ones(3, dtype=kind) for name, kind in given.items()}))
    kinds = {name: tensor.dtype for name, tensor in found.items()}
    assert kinds == {"b": torch.float32, "d": torch.float32, "s": torch.int64, "h": torch.float16}


@pytest.mark.parametrize(
    "data", [b"[1]", b"{", b"\xff", *(b'{"a": "' + b"x" * n + b'"}' for n in (60_000, 1 << 20))]
)
def test_a_configuration_that_is_none_is_refused(data: bytes) -> None:
    with pytest.raises(RecipeError) as said:
        bases.configuration(data)
    assert said.value.code == "base.config"


def imported(recipes: Path, data: bytes, **inputs: bytes) -> tuple[bool, FakeKeeper]:
    found, expanded = keeper(recipes / "import-base", PAPERS, inputs={"file": data, **inputs})
    ended = found.run(recipes / "import-base")
    if ended:
        kept(found, expanded)
    return ended, found


def test_the_recipe_saves_one_base_that_says_what_it_is_and_where_it_came_from(recipes: Path) -> None:
    ended, found = imported(recipes, GOOD, config=b'{"audio": {"sample_rate": 22050}}')
    assert ended, found.of("failed")
    (artifact,) = found.of("artifact")
    assert artifact["path"] == "base.safetensors"
    assert artifact["metadata"] == {
        "format": "base/1",
        **PAPERS,
        "sha256": hashlib.sha256(GOOD).hexdigest(),
        "config": '{"audio": {"sample_rate": 22050}}',
    }
    tensors = found.tensors("base.safetensors")
    assert set(tensors) == set(WEIGHTS) and tensors["w"].tolist() == WEIGHTS["w"].tolist()
    assert (found.values("tensors"), found.values("weights")) == ({0: 2}, {0: 7})


@pytest.mark.parametrize("name", ["cut in half", "no weights", "code beside weights"])
def test_a_file_that_is_no_base_leaves_nothing_but_its_code(recipes: Path, name: str) -> None:
    data, code = REFUSED[name]
    ended, found = imported(recipes, data)
    assert not ended and found.of("failed") == [{"code": code}]
    assert found.of("artifact") == [] and not MARK.exists()


WATCHED = {
    "a checkpoint": (GOOD, True),
    "a malicious one": (*REFUSED["code beside weights"][:1], False),
}


@pytest.mark.parametrize(("data", "ends"), WATCHED.values(), ids=WATCHED)
def test_nothing_is_opened_or_started_while_a_published_file_is_read(
    recipes: Path, tmp_path: Path, data: bytes, ends: bool
) -> None:
    """As Python tells it, and as the kernel shows it."""
    folder, trace = recipes / "import-base", tmp_path / "trace"
    for under in ((), strace(trace)):
        asked = keeper(folder, PAPERS, inputs={"file": data})[0]
        found = Trainer(asked, folder, tmp_path / "home", under=under)
        assert found.ended is ends and found.audited == [] and found.printed == b""
    assert breaches(trace.read_text(errors="replace").splitlines()) == []
    assert not MARK.exists()


def test_a_base_goes_into_its_model_whole_or_not_at_all() -> None:
    model = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.Linear(3, 1))
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    given = {name: torch.ones_like(tensor) for name, tensor in before.items()}
    metadata = {"format": "base/1", "model": "toy"}

    def refusal(tensors: dict[str, torch.Tensor], **how: Any) -> str:
        with pytest.raises(RecipeError) as said:
            bases.load(model, Loaded(tensors, metadata), **{"model_name": "toy", **how})
        assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
        return f"{said.value.code} {said.value.message}"

    assert refusal(given, model_name="other").startswith("base.model")
    assert (
        refusal({**given, "0.weight": torch.ones(3, 3)})
        == "base.shape 0.weight is [3, 3], not [3, 2] in the base"
    )
    assert (
        refusal({n: t for n, t in given.items() if n != "1.bias"})
        == "base.shape 1.bias is missing in the base"
    )
    assert "0.weight" in refusal({**given, "0.weight": torch.ones(3, 3)}, may_differ=("1.",))

    bases.load(model, Loaded({**given, "1.bias": torch.ones(7), "more": torch.ones(1)}, metadata), model_name="toy",
               may_differ=("1.",))  # fmt: skip
    after = model.state_dict()
    assert bool((after["0.weight"] == 1).all()) and torch.equal(after["1.bias"], before["1.bias"])


FAMILIES: dict[str, tuple[Any, Any]] = {
    "fastpitch": (fastpitch, fastpitch.FASTPITCH),
    "fastspeech2": (fastpitch, fastpitch.FASTSPEECH2),
    "glowtts": (glowtts, glowtts.GLOWTTS),
    "vits": (vits, vits.VITS),
}
STILL = {"size": "tiny", "steps": 1, "batch_size": 2, "learning_rate": 1e-7}


def made(name: str, **changes: Any) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """A model as a run of this recipe would have left it, with other weights than a fresh one gets."""
    family, full = FAMILIES[name]
    shape = replace(family.tiny(full), **changes)
    torch.manual_seed(99)
    tensors = {name: tensor.contiguous().clone() for name, tensor in family.build(shape).state_dict().items()}
    return tensors, dict(shape.released())


def tuned(recipes: Path, name: str, base: bytes, **changes: Any) -> tuple[bool, FakeKeeper]:
    found, _ = keeper(recipes / name, STILL | changes, utterances=numbers()[:4], inputs={"base": base})
    return found.run(recipes / name), found


@pytest.mark.parametrize("name", FAMILIES)
def test_a_training_starts_from_the_base_that_it_is_given(recipes: Path, name: str) -> None:
    tensors, metadata = made(name)
    ended, found = tuned(recipes, name, ours(tensors, metadata))
    assert ended, found.of("failed")
    after = found.tensors("model-1.safetensors")
    for tensor, kept_ in tensors.items():
        if tensor in after and kept_.is_floating_point():
            # one step of 1e-7: what started fresh would be elsewhere altogether
            assert torch.allclose(torch.tensor(after[tensor]), kept_, atol=1e-4), tensor


def ours(tensors: dict[str, torch.Tensor], metadata: dict[str, str]) -> bytes:
    return packed(tensors, metadata=metadata)


def as_base(tensors: dict[str, torch.Tensor], model: str) -> bytes:
    return packed(tensors, metadata={"format": "base/1", **PAPERS, "model": model, "sha256": "0" * 64})


def test_of_a_public_base_the_vocabulary_is_learned_anew(recipes: Path) -> None:
    tensors, _ = made("fastpitch")
    for symbols in (tensors["emb.weight"], torch.ones(7, 5)):
        ended, found = tuned(recipes, "fastpitch", as_base({**tensors, "emb.weight": symbols}, "fastpitch"))
        assert ended, found.of("failed")
        after = found.tensors("model-1.safetensors")
        assert torch.tensor(after["pitch_emb.weight"]).allclose(tensors["pitch_emb.weight"], atol=1e-4)
        assert not torch.tensor(after["emb.weight"]).allclose(tensors["emb.weight"], atol=1e-2)


REFUSING: dict[str, tuple[Callable[[], bytes], str]] = {
    "of another model": (lambda: as_base(made("glowtts")[0], "glowtts"), "base.model"),
    "of no model": (lambda: packed({"w": torch.ones(1)}), "base.model"),
    "of other sizes": (lambda: as_base(made("fastpitch", hidden=16)[0], "fastpitch"), "base.shape"),
    "without a tensor": (
        lambda: as_base({n: t for n, t in made("fastpitch")[0].items() if "pitch_emb" not in n}, "fastpitch"),
        "base.shape",
    ),
    "ours, of another vocabulary": (
        lambda: ours(*made("fastpitch", characters=fastpitch.FASTPITCH.characters[::-1])),
        "base.shape",
    ),
}


@pytest.mark.parametrize(("base", "code"), REFUSING.values(), ids=REFUSING)
def test_a_base_that_does_not_fit_is_refused_before_a_step(
    recipes: Path, base: Callable[[], bytes], code: str
) -> None:
    ended, found = tuned(recipes, "fastpitch", base())
    assert not ended and found.of("failed") == [{"code": code}]
    assert found.of("artifact") == [] and found.values("loss") == {}


def test_a_base_of_one_voice_starts_a_table_of_them(recipes: Path) -> None:
    tensors, metadata = made("fastpitch")
    ended, found = tuned(recipes, "fastpitch", ours(tensors, metadata), voices=2)
    assert ended, found.of("failed")
    assert found.tensors("model-1.safetensors")["emb_g.weight"].shape[0] == 2


def test_the_card_of_each_says_that_a_base_may_be_given(recipes: Path) -> None:
    for name in FAMILIES:
        assert {"resume", "base"} <= set(card(recipes / name).inputs)
