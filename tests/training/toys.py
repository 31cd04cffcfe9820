"""Small stand-ins: a channel that is two lists, a model of five numbers, people from whisper to shout."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sandbox.frames import KEEPER_TO_TRAINER, TRAINER_TO_KEEPER, Decoder, Frame, encode
from sandbox.runs import Artifact, Metric, Privacy
from sandbox.training.run import Job, Record, Utterance

PRIVACY = Privacy("speaker", 50.0, 1e-5, 1.0, 0.5, 4, 1.5, accept_noise=True)


@dataclass
class FakeChannel:
    """What was said, and what is yet to be heard; frames pass the real codec both ways."""

    to_hear: deque[Frame] = field(default_factory=deque)
    said: list[Frame] = field(default_factory=list)

    def hears(self, kind: str, /, **body: Any) -> None:
        self.to_hear.append(
            Decoder(KEEPER_TO_TRAINER).feed(encode(KEEPER_TO_TRAINER, Frame(kind, 1, body)))[0]
        )

    def send(self, kind: str, /, **body: Any) -> None:
        frame = Frame(kind, len(self.said) + 1, body)
        self.said += Decoder(TRAINER_TO_KEEPER).feed(encode(TRAINER_TO_KEEPER, frame))

    def receive(self) -> Frame:
        return self.to_hear.popleft()

    def pending(self) -> list[Frame]:
        frames = list(self.to_hear)
        self.to_hear.clear()
        return frames

    def of(self, kind: str) -> list[Mapping[str, Any]]:
        return [frame.body for frame in self.said if frame.kind == kind]


def job(
    *,
    metrics: Iterable[Metric] = (),
    artifacts: Iterable[Artifact] = (),
    records: Iterable[str] = (),
    inputs: Iterable[str] = (),
) -> Job:
    return Job(
        purpose="train",
        kind="run",
        parameters={},
        privacy=None,
        metrics={m.name: m for m in metrics},
        artifacts={a.path: a for a in artifacts},
        inputs=tuple(inputs),
        records=tuple(Record(name, "spk_0001", "en") for name in records),
    )


def seeded(seed: int) -> Callable[[int], bytes]:
    """A source of bytes that a test can repeat."""
    return np.random.default_rng(seed).bytes


class Linear(nn.Module):
    """Four numbers of sound in, one out."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 1)
        with torch.no_grad():
            self.layer.weight.copy_(torch.tensor([[0.5, -0.5, 0.25, 1.0]]))
            self.layer.bias.fill_(0.1)


def loss(model: nn.Module, utterance: Utterance) -> Tensor:
    x = torch.from_numpy(utterance.audio.copy())[:4]
    return (model.layer(x) - 1.0).square().mean()  # type: ignore[operator]


def person(seed: int, loudness: float = 1.0, recordings: int = 1) -> list[Utterance]:
    """One person's utterances; the gradient grows with the square of ``loudness``."""
    generator = np.random.default_rng(seed)
    return [
        Utterance(f"r{seed}-{n}", f"spk_{seed:04d}", "en", "seven", 16_000, sound.astype("<f4"))
        for n, sound in enumerate(loudness * generator.standard_normal((recordings, 4)))
    ]


def crowd() -> list[list[Utterance]]:
    """From a whisper whose gradient is far below any clip to a shout far above it."""
    return [person(n, 10.0**exponent, 1 + n % 3) for n, exponent in enumerate((-3, -1, 0, 0, 1, 3, 6))]


def norm(tensors: Iterable[Tensor]) -> float:
    """Euclidean norm over all of them, in float64: what is measured must not be rounded by the measure."""
    return float(torch.cat([t.detach().double().flatten() for t in tensors]).norm())
