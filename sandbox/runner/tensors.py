"""Safetensors in pieces, without a second copy of a model: the library builds the whole file in memory, twice.

u64 header length, little-endian | JSON header, padded with spaces to 8 bytes | tensors, the widest kinds first, each
where the last one ended (huggingface/safetensors, "Format"). What reads it is the library.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

METADATA = "__metadata__"
#: name in a frame -> (numpy's, of this byte order; safetensors')
KINDS = {
    "float32": ("<f4", "F32"), "float16": ("<f2", "F16"), "int64": ("<i8", "I64"), "int32": ("<i4", "I32"),
    "uint8": ("u1", "U8"), "bool": ("?", "BOOL"),
}  # fmt: skip
_SAID = {np.dtype(ours): theirs for ours, theirs in KINDS.values()}
_ALIGNED = 8


def tensor(dtype: str, shape: list[int], data: bytes) -> npt.NDArray[Any]:
    """The array that a frame holds, on its bytes. Raises KeyError, ValueError or TypeError where they do not fit."""
    return np.frombuffer(data, dtype=KINDS[dtype][0]).reshape(shape)


def pieces(tensors: Mapping[str, npt.NDArray[Any]], metadata: Mapping[str, str]) -> list[memoryview]:
    """The file, its tensors where they lie. Contiguous arrays of the kinds above; ``metadata`` of text."""
    ordered = sorted(tensors, key=lambda name: (-tensors[name].itemsize, name))
    header: dict[str, Any] = {METADATA: dict(metadata)} if metadata else {}
    end = 0
    for name in ordered:
        array, begin = tensors[name], end
        end += array.nbytes
        header[name] = {
            "dtype": _SAID[array.dtype], "shape": list(array.shape), "data_offsets": [begin, end]
        }  # fmt: skip
    told = json.dumps(header, separators=(",", ":")).encode()
    told += b" " * (-len(told) % _ALIGNED)
    first = memoryview(struct.pack("<Q", len(told)) + told)
    return [first, *(tensors[name].reshape(-1).view(np.uint8).data for name in ordered)]
