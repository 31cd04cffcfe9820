"""What tests do with tiny bases: read one, change it, take what a run left as one."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Mapping

import torch
from safetensors.torch import load, save
from torch import Tensor

from sandbox.training.run import Loaded
from tests.training.fake_keeper import FakeKeeper


def loaded(base: bytes, **metadata: str) -> Loaded:
    """As ``run.input`` gives it, with ``metadata`` beside its papers."""
    header = json.loads(base[8 : 8 + struct.unpack("<Q", base[:8])[0]])
    return Loaded(load(base), header["__metadata__"] | metadata)


def changed(
    base: bytes, change: Callable[[dict[str, Tensor]], object] = lambda _: None, **metadata: str
) -> bytes:
    """A base whose tensors went through ``change``."""
    given = loaded(base, **metadata)
    tensors = dict(given.tensors)
    change(tensors)
    return save({name: tensor.contiguous() for name, tensor in tensors.items()}, dict(given.metadata))


def then(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The names of weight normalisation in files that were published before torch made it a parametrisation."""
    first, second = ".parametrizations.weight.original0", ".parametrizations.weight.original1"
    return {n.replace(first, ".weight_g").replace(second, ".weight_v"): t for n, t in tensors.items()}


def sealed(found: FakeKeeper, path: str) -> bytes:
    """An artifact of a run as the keeper puts it together."""
    (opened,) = [a for a in found.of("artifact") if a["path"] == path]
    arrays = {name: torch.tensor(array) for name, array in found.tensors(path).items()}
    return save(arrays, dict(opened["metadata"]))
