"""Models that a training starts from: published ones made into sealed bases, and those of runs before.

A published ``.pth`` is a pickle, so it is opened only here: in a container without data, by torch's ``weights_only``
reader, which builds tensors and plain values and calls nothing that the file names. What is kept are tensors by name.
"""

from __future__ import annotations

import hashlib
import io
import json
import pickle
import pickletools
import re
from collections import defaultdict
from collections.abc import Collection, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from sandbox.errors import RecipeError
from sandbox.runs import BASE
from sandbox.training.published import renamed
from sandbox.training.run import Loaded, Run
from sandbox.training.shapes import Kept

FORMAT = "base/1"
STATES = ("model", "generator", "state_dict")  # where published checkpoints keep their weights
# Tables of a vocabulary.
SYMBOLS = ("emb.weight", "embedding.weight", "encoder.emb.weight", "text_encoder.emb.weight")
VOICES = ("emb_g.weight", "speaker_embedding.weight")  # the table of voices: a training's own
STAGE = "frames"  # how many of them Tacotron 2 says at a time: a training's own too
CONFIG_MAX_BYTES = 1 << 20  # as it was published
CONFIG_KEPT_BYTES = 48 << 10  # as it is kept: what stands beside weights fits into one message of 64 KiB
_KINDS = (torch.float32, torch.float16, torch.int64, torch.int32, torch.uint8, torch.bool)
_CALLS = ("GLOBAL", "STACK_GLOBAL", "INST", "REDUCE")
_NAMES_CODE = re.compile(r"unsupported (global|class|type)|not an allowed global", re.IGNORECASE)


def load(model: nn.Module, loaded: Loaded, *, model_name: str, may_differ: Collection[str] = ()) -> None:
    """Put the weights of ``loaded`` into ``model``. A tensor that ``may_differ`` names stays fresh where it does.

    A name in ``may_differ`` that ends with a dot stands for all that begin with it. What the base has besides is left.

    Raises:
        RecipeError: it is a base of another model, or a tensor is missing or of another shape; nothing was changed.
    """
    found = name_of(loaded)
    if found != model_name:
        raise RecipeError(f"the base is of {found or 'no model'}, not of {model_name}", code="base.model")
    own, taken, tensors = model.state_dict(), dict[str, Tensor](), renamed(loaded.tensors)
    for name, tensor in own.items():
        given = tensors.get(name)
        if given is not None and given.shape == tensor.shape:
            taken[name] = given.to(tensor.dtype)
        elif not _among(name, may_differ):
            what = "is missing" if given is None else f"is {list(given.shape)}, not {list(tensor.shape)}"
            raise RecipeError(f"{name} {what} in the base", code="base.shape")
    model.load_state_dict({**own, **taken})


def start(run: Run, model: nn.Module, shape: Kept) -> bool:
    """Give ``model`` the weights of the run's base, where it has one; whether it had.

    Of a public base nothing tells which symbol is which row, so its vocabulary is learned anew.

    Raises RecipeError as :func:`load`, and ``base.shape`` for one of our own that has another vocabulary.
    """
    if BASE not in run.inputs:
        return False
    loaded, differs = run.input(BASE), [*VOICES, STAGE]
    if loaded.metadata.get("format") == FORMAT:
        differs += SYMBOLS
        kept = {name: tensor for name, tensor in loaded.tensors.items() if name not in SYMBOLS}
        loaded = Loaded(kept, loaded.metadata)
    elif name_of(loaded) == shape.architecture and not _speaks_like(shape, loaded.metadata):
        raise RecipeError("the base has another vocabulary", code="base.shape")
    load(model, loaded, model_name=shape.architecture, may_differ=differs)
    return True


def name_of(loaded: Loaded) -> str:
    """Which model a base is of, or a model that a run made; empty for what says neither."""
    told = "model" if loaded.metadata.get("format") == FORMAT else "architecture"
    return loaded.metadata.get(told, "")


def read(data: bytes) -> dict[str, Tensor]:
    """The weights of a published ``.pth``: plain tensors by name, nothing else of it.

    Raises:
        RecipeError: ``base.pickle`` where the file asks for code, ``base.malformed`` where it cannot be read or says
            more than it holds, ``base.empty`` where there is no tensor in it.
    """
    try:
        with torch.serialization.safe_globals(_plain()):
            held = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as fault:
        if _NAMES_CODE.search(str(fault)) or _asks(data):
            raise RecipeError("the file asks for code to be run", code="base.pickle") from None
        raise RecipeError("the file is no checkpoint", code="base.malformed") from None
    except Exception:  # noqa: BLE001 - torch raises many things on hostile bytes
        raise RecipeError("the file is no checkpoint", code="base.malformed") from None
    found = _weights(held)
    if not found:
        raise RecipeError("the file holds no tensor", code="base.empty")
    if sum(tensor.numel() * tensor.element_size() for tensor in found.values()) > 2 * len(data):
        raise RecipeError("the file's tensors say more than it holds", code="base.malformed")
    return {name: _kept(tensor) for name, tensor in found.items()}


def told(parameters: Mapping[str, Any], published: bytes) -> dict[str, str]:
    """What is saved beside the weights of a base: what it is, and where it came from as who brought it in said."""
    said = {name: str(parameters[name]) for name in ("model", "licence", "source")}
    return {"format": FORMAT, **said, "sha256": hashlib.sha256(published).hexdigest()}


def configuration(data: bytes) -> str:
    """A published ``config.json`` as one line. Raises RecipeError (``base.config``): no JSON object, or a long one."""
    try:
        value = json.loads(data) if len(data) <= CONFIG_MAX_BYTES else None
        if isinstance(value, dict) and len(line := json.dumps(value, sort_keys=True)) <= CONFIG_KEPT_BYTES:
            return line
    except (ValueError, RecursionError):
        pass
    raise RecipeError("the configuration is no JSON object, or too long a one", code="base.config")


def _weights(held: Any) -> dict[str, Tensor]:
    """Of a checkpoint its weights; of a bare state dictionary itself."""
    if not isinstance(held, Mapping):
        return {}
    inner = next((held[name] for name in STATES if isinstance(held.get(name), Mapping)), held)
    return {
        name: value
        for name, value in inner.items()
        if isinstance(name, str)
        and isinstance(value, Tensor)
        and value.layout is torch.strided
        and value.numel()
    }


def _kept(tensor: Tensor) -> Tensor:
    """A tensor of its own memory, of a kind that safetensors and the keeper know."""
    if tensor.is_quantized or tensor.is_complex() or tensor.device.type != "cpu":
        raise RecipeError("a tensor is of a kind that no model here has", code="base.malformed")
    kind = tensor.dtype
    if kind not in _KINDS:
        kind = torch.float32 if tensor.is_floating_point() else torch.int64
    return torch.empty(tensor.shape, dtype=kind).copy_(tensor.detach())


def _asks(data: bytes) -> bool:
    """Whether a bare pickle, of whatever protocol, names something to be called. Nothing of it is executed."""
    try:
        return any(code.name in _CALLS for code, _, _ in pickletools.genops(data))
    except Exception:  # noqa: BLE001 - the tools raise many things on hostile bytes
        return False


def _speaks_like(shape: Kept, metadata: Mapping[str, str]) -> bool:
    other = type(shape).of(metadata)
    return getattr(other, "characters", "") == getattr(shape, "characters", "")


def _among(name: str, wanted: Collection[str]) -> bool:
    return any(name == one or (one.endswith(".") and name.startswith(one)) for one in wanted)


def _plain() -> list[Any]:
    """What published checkpoints keep beside their weights, dropped with the rest: plain containers, the state of one
    of coqui's optimizers, and the configuration that XTTS files carry, under the name that its classes had.
    """
    from TTS.config.shared_configs import BaseDatasetConfig
    from TTS.tts.configs.xtts_config import XttsArgs, XttsAudioConfig, XttsConfig
    from TTS.utils.radam import RAdam

    before = "TTS.tts.models.xtts."
    legacy = [(XttsArgs, before + "XttsArgs"), (XttsAudioConfig, before + "XttsAudioConfig")]
    return [dict, defaultdict, RAdam, BaseDatasetConfig, XttsConfig, XttsArgs, XttsAudioConfig, *legacy]
