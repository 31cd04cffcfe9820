"""Safetensors as the keeper writes them: the library reads them, and no model lies in memory twice."""

from __future__ import annotations

import json
import struct
import tracemalloc
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load

from sandbox.errors import RecipeError
from sandbox.frames import PIECE_BYTES
from sandbox.runner import tensors
from sandbox.runner.outgoing import Outgoing, Send
from sandbox.runs import SAFETENSORS, Artifact
from sandbox.sealing.artifacts import open_artifact, parse_header
from sandbox.statements import sha256

KEY = bytes(range(32))
PATH = "model.safetensors"
GRANT: Any = SimpleNamespace(
    run="r-abc234",
    grant="g-abc234",
    agreement="dsa-2026-0001",
    artifacts=[Artifact(PATH, (1,), SAFETENSORS, 1 << 30)],
)


def some(kind: str, *shape: int) -> np.ndarray[Any, Any]:
    dtype = np.dtype(tensors.KINDS[kind][0])
    values = np.random.default_rng(3).integers(0, 2, shape)
    return np.asarray(values.astype(dtype))


GIVEN = [
    pytest.param({}, {}, id="nothing"),
    pytest.param({"one": some("float32", 3)}, {}, id="one"),
    pytest.param({kind: some(kind, 3, 5) for kind in tensors.KINDS}, {"a": 'ü"\n'}, id="every kind"),
    pytest.param(
        {
            "scalar": some("int64"),
            "none": some("float32", 0, 7),
            "odd": some("bool", 3),
            "z": some("float32", 1),
        },
        {"step": "1"},
        id="odd shapes",
    ),
]


@pytest.mark.parametrize(("given", "metadata"), GIVEN)
def test_the_library_reads_what_is_written(
    given: dict[str, np.ndarray[Any, Any]], metadata: dict[str, str]
) -> None:
    file = b"".join(tensors.pieces(given, metadata))
    found = load(file)
    assert found.keys() == given.keys()
    for name, array in given.items():
        assert (found[name].dtype, found[name].shape) == (array.dtype, array.shape)
        assert found[name].tobytes() == array.tobytes()
    (length,) = struct.unpack("<Q", file[:8])
    header = json.loads(file[8 : 8 + length])
    assert header.get("__metadata__", {}) == metadata and length % 8 == 0
    for said in header.values():
        if "data_offsets" in said:
            width = {"F32": 4, "I32": 4, "I64": 8, "F16": 2}.get(said["dtype"], 1)
            assert said["data_offsets"][0] % width == 0


class Door:
    """What was sent; pieces must follow each other."""

    def __init__(self) -> None:
        self.told: dict[str, Any] = {}
        self.sealed = bytearray()

    def send(self, kind: str, /, **body: Any) -> None:
        if kind == "artifact":
            self.told = body
        else:
            assert type(body["data"]) is bytes and 0 < len(body["data"]) <= PIECE_BYTES
            assert body["offset"] == len(self.sealed)
            self.sealed += body["data"]


def leave(count: int, size: int, send: Send) -> Outgoing:
    key: Any = SimpleNamespace(key=KEY, wrapped="vault:v1:abc")
    outgoing = Outgoing(GRANT, {PATH: key}, send)
    outgoing.begin(PATH, 1, SAFETENSORS, {"step": "1"})
    for n in range(count):
        data = np.full(size, n, "<f4").tobytes()
        outgoing.tensor(PATH, f"t{n}", "float32", [size], data)
    return outgoing


def test_what_leaves_is_announced_by_its_digest_and_opens() -> None:
    door = Door()
    leave(5, 700_000, door.send).close(PATH)
    sealed = bytes(door.sealed)
    assert (door.told["size"], door.told["sha256"]) == (len(sealed), sha256(sealed))
    assert parse_header(sealed).header.length > 5 * 2_800_000
    found = load(open_artifact(sealed, KEY))
    assert {name: set(array.tolist()) for name, array in found.items()} == {f"t{n}": {n} for n in range(5)}


def test_a_model_lies_in_memory_once_while_it_leaves() -> None:
    outgoing = leave(16, 1 << 20, lambda kind, /, **body: None)  # 64 MiB
    tracemalloc.start()
    try:
        outgoing.close(PATH)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 16 << 20


def test_a_tensor_may_not_pass_for_the_metadata() -> None:
    outgoing = leave(0, 0, Door().send)
    with pytest.raises(RecipeError) as refused:
        outgoing.tensor(PATH, tensors.METADATA, "uint8", [2], b"{}")
    assert refused.value.code == "artifact.tensor"
