"""What a run derives, on its way out: assembled, sealed with a key of its own, sent in pieces.

The keeper writes the container format (safetensors, FLAC, JSON), so no pickle and no foreign header leaves; the sealed
bytes leave through the events door. A dry run makes no model: its sounds and reports leave as text, weights never do.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import soundfile

from sandbox.errors import RecipeError
from sandbox.frames import PIECE_BYTES
from sandbox.runner import aigc, tensors
from sandbox.runs import FLAC, JSON, SAFETENSORS, Artifact, Grant
from sandbox.sealing.artifacts import ArtifactHeader, cut, seal_pieces
from sandbox.vault.session import ArtifactKey

SHOWN = "::file"  # a line of a dry run: this word, a path, base64 of the next bytes of that file
_LINE_BYTES = 30_000

Send = Callable[..., None]


@dataclass
class _Draft:
    artifact: Artifact
    step: int
    metadata: dict[str, str]
    tensors: dict[str, np.ndarray[Any, Any]] = field(default_factory=dict)
    body: bytes | None = None
    size: int = 0


class Outgoing:
    """Every artifact of the grant may leave once, at one of its steps, within its size."""

    def __init__(self, grant: Grant, keys: Mapping[str, ArtifactKey], send: Send) -> None:
        self._grant, self._keys, self._send = grant, dict(keys), send
        self._allowed = {artifact.path: artifact for artifact in grant.artifacts}
        self._drafts: dict[str, _Draft] = {}
        self._gone: set[str] = set()

    def begin(self, path: str, step: int, media_type: str, metadata: Mapping[str, Any]) -> None:
        """Open a draft. Raises RecipeError for what the grant does not name, or names for another step or kind."""
        artifact = self._allowed.get(path)
        if (
            artifact is None
            or artifact.media_type != media_type
            or path in self._gone
            or path in self._drafts
        ):
            raise RecipeError(
                "the recipe offered an artifact that is not in its grant", code="artifact.undeclared"
            )
        if artifact.steps and step not in artifact.steps:
            raise RecipeError("the recipe offered an artifact outside its schedule", code="artifact.schedule")
        if not all(isinstance(v, str) for v in metadata.values()):
            raise RecipeError("artifact metadata is text", code="artifact.metadata")
        self._drafts[path] = _Draft(artifact, step, {str(k): v for k, v in metadata.items()})

    def tensor(self, path: str, name: str, dtype: str, shape: list[int], data: bytes) -> None:
        """Add one tensor, little-endian and contiguous."""
        draft = self._draft(path, SAFETENSORS)
        self._grow(draft, len(data))
        try:
            if name in draft.tensors or name == tensors.METADATA:
                raise ValueError
            draft.tensors[name] = tensors.tensor(dtype, shape, data)
        except (KeyError, ValueError, TypeError):
            raise RecipeError("a tensor's bytes do not fit its shape", code="artifact.tensor") from None

    def sound(self, path: str, sample_rate: int, audio: bytes) -> None:
        """Encode mono float32 audio [T] at ``sample_rate`` Hz as 16-bit FLAC that says that a program made it."""
        draft = self._draft(path, FLAC)
        self._grow(draft, len(audio))
        samples = np.frombuffer(audio, dtype="<f4")
        if not np.isfinite(samples).all():
            raise RecipeError("audio with values that are no numbers", code="artifact.sound")
        buffer = io.BytesIO()
        soundfile.write(buffer, np.clip(samples, -1.0, 1.0), sample_rate, format="FLAC", subtype="PCM_16")
        made = aigc.label(self._grant.agreement, self._grant.run, path)
        draft.body = aigc.labelled(buffer.getvalue(), made)

    def report(self, path: str, data: bytes) -> None:
        """Take a JSON document."""
        draft = self._draft(path, JSON)
        self._grow(draft, len(data))
        try:
            json.loads(data)
        except ValueError:
            raise RecipeError("a report that is not JSON", code="artifact.report") from None
        draft.body = data

    def close(self, path: str) -> None:
        """Seal the draft and send it: one ``artifact`` frame, then its pieces.

        It is sealed twice, since the frame says the digest of what follows it: the bytes are the same each time, and
        neither the file nor its sealed bytes ever lie in memory as a whole.
        """
        draft = self._drafts.pop(path, None)
        if draft is None:
            raise RecipeError("an artifact was closed that was never opened", code="artifact.undeclared")
        self._gone.add(path)
        plain = _assembled(draft)
        length = sum(map(len, plain))
        if length > draft.artifact.max_bytes:
            raise RecipeError("an artifact is larger than its grant allows", code="artifact.size")
        key = self._keys.pop(path, None)
        if key is None:
            self._show(draft, plain)
            return
        header = ArtifactHeader(
            run=self._grant.run,
            grant=self._grant.grant,
            agreement=self._grant.agreement,
            path=path,
            step=draft.step,
            media_type=draft.artifact.media_type,
            wrapped_key=key.wrapped,
            length=length,
        )
        whole, size = hashlib.sha256(), 0
        for sealed in seal_pieces(header, key.key, plain):
            whole.update(sealed)
            size += len(sealed)
        self._send(
            "artifact",
            path=path,
            step=draft.step,
            media_type=draft.artifact.media_type,
            size=size,
            sha256=whole.hexdigest(),
        )
        offset = 0
        for piece in cut(seal_pieces(header, key.key, plain), PIECE_BYTES):
            self._send("piece", path=path, offset=offset, data=bytes(piece))
            offset += len(piece)

    def _show(self, draft: _Draft, plain: Sequence[memoryview]) -> None:
        """A dry run keeps nothing that it derives; what can be heard or read is shown, line by line."""
        if draft.artifact.media_type == SAFETENSORS:
            return
        for piece in cut(plain, _LINE_BYTES):
            line = base64.b64encode(piece).decode()
            self._send("text", line=f"{SHOWN} {draft.artifact.path} {line}")

    def _draft(self, path: str, media_type: str) -> _Draft:
        draft = self._drafts.get(path)
        if draft is None or draft.artifact.media_type != media_type:
            raise RecipeError("content for an artifact that is not open", code="artifact.undeclared")
        return draft

    def _grow(self, draft: _Draft, size: int) -> None:
        draft.size += size
        if (
            draft.size > 8 * draft.artifact.max_bytes
        ):  # plain audio shrinks in FLAC; the final size is checked again
            raise RecipeError("an artifact is larger than its grant allows", code="artifact.size")


def _assembled(draft: _Draft) -> Sequence[memoryview]:
    """The artifact's plain bytes, in pieces."""
    if draft.artifact.media_type == SAFETENSORS:
        return tensors.pieces(draft.tensors, draft.metadata)
    if draft.body is None:
        raise RecipeError("an artifact without content", code="artifact.empty")
    return [memoryview(draft.body)]
