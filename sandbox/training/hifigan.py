"""Coqui's HiFi-GAN: log-mel in, sound out, two kinds of discriminators beside it. A vocoder for every model here.

Kong, Kim, Bae 2020, "HiFi-GAN: Generative Adversarial Networks for Efficient and High Fidelity Speech Synthesis".
:data:`V1` is the paper's V1 as ``TTS/vocoder/configs/hifigan_config.py`` of coqui-tts 0.28 has it, but for 16 kHz and
our log-mel (:mod:`sandbox.training.sound`): it can be given what the acoustic models here say.

Released is all of it, generator and discriminators; :func:`restore` takes the generator alone, which is what speaks.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import pad
from torch.nn.utils import spectral_norm
from torch.nn.utils.parametrizations import weight_norm
from TTS.vocoder.configs.hifigan_config import HifiganConfig
from TTS.vocoder.layers.losses import DiscriminatorLoss, GeneratorLoss
from TTS.vocoder.models.base_vocoder import BaseVocoder
from TTS.vocoder.models.gan import GAN
from TTS.vocoder.models.hifigan_discriminator import (
    DiscriminatorP,
    DiscriminatorS,
    HifiganDiscriminator,
    MultiPeriodDiscriminator,
    MultiScaleDiscriminator,
)
from TTS.vocoder.models.hifigan_generator import HifiganGenerator

from sandbox.errors import RecipeError
from sandbox.training.run import Utterance
from sandbox.training.shapes import Kept, quiet
from sandbox.training.sound import FLOOR, HOP, MELS, SAMPLE_RATE, WINDOW, log_mel, mel_filters

DISCRIMINATOR, GENERATOR = 0, 1  # the order of the optimizers
_GENERATOR = "model_g."


@dataclass(frozen=True)
class Shape(Kept):
    """Sizes. Public constants, never fitted to data."""

    architecture = "hifigan"

    channels: int = 512  # of the generator's first layer; each upsampling halves them
    upsampling: tuple[int, ...] = (8, 8, 2, 2)  # together HOP
    upsampling_kernels: tuple[int, ...] = (16, 16, 4, 4)
    kernels: tuple[int, ...] = (3, 7, 11)
    periods: tuple[int, ...] = (2, 3, 5, 7, 11)
    scales: int = 3
    narrower: int = 1  # every width of the discriminators is divided by it
    segment: int = 32  # frames that are trained on at a time: 8192 samples


V1 = Shape()


def tiny(shape: Shape) -> Shape:
    """The same model, small enough for a test: nothing of it is fit to be heard."""
    return replace(shape, channels=64, kernels=(3,), periods=(2, 3), scales=2, narrower=8, segment=8)


@dataclass(frozen=True, eq=False)
class Clip:
    """One utterance, ready for a vocoder."""

    mel: Tensor  # [T, MELS], at least a segment
    audio: Tensor  # [T * HOP]
    text: str  # for a dry run, which looks a recording up by it


class Period(DiscriminatorP):
    """Coqui's, whose widths are written into its code, with all of them divided by ``narrower``."""

    def __init__(self, period: int, narrower: int) -> None:
        nn.Module.__init__(self)
        self.period = period
        widths = [1, *(n // narrower for n in (32, 128, 512, 1024, 1024))]
        self.convs = nn.ModuleList(
            weight_norm(nn.Conv2d(a, b, (5, 1), (stride, 1), padding=(2, 0)))
            for (a, b), stride in zip(pairwise(widths), (3, 3, 3, 3, 1), strict=True)
        )
        self.conv_post = weight_norm(nn.Conv2d(widths[-1], 1, (3, 1), 1, padding=(1, 0)))


class Scale(DiscriminatorS):
    """As :class:`Period`; the first of them is held in by its spectral norm, whose vectors move as it listens."""

    def __init__(self, narrower: int, *, first: bool) -> None:
        nn.Module.__init__(self)
        norm = spectral_norm if first else weight_norm
        widths = [1, *(n // narrower for n in (128, 128, 256, 512, 1024, 1024, 1024))]
        sizes = ((15, 1, 1), (41, 2, 4), (41, 2, 16), (41, 4, 16), (41, 4, 16), (41, 1, 16), (5, 1, 1))
        self.convs = nn.ModuleList(
            norm(nn.Conv1d(a, b, size, stride, groups=groups, padding=size // 2))
            for (a, b), (size, stride, groups) in zip(pairwise(widths), sizes, strict=True)
        )
        self.conv_post = norm(nn.Conv1d(widths[-1], 1, 3, 1, padding=1))


class Periods(MultiPeriodDiscriminator):
    def __init__(self, shape: Shape) -> None:
        nn.Module.__init__(self)
        self.discriminators = nn.ModuleList(Period(n, shape.narrower) for n in shape.periods)


class Scales(MultiScaleDiscriminator):
    def __init__(self, shape: Shape) -> None:
        nn.Module.__init__(self)
        self.discriminators = nn.ModuleList(Scale(shape.narrower, first=n == 0) for n in range(shape.scales))
        self.meanpools = nn.ModuleList(nn.AvgPool1d(4, 2, padding=2) for _ in range(shape.scales - 1))


class Discriminator(HifiganDiscriminator):
    """Coqui's, with the periods, scales and widths of a shape."""

    def __init__(self, shape: Shape) -> None:
        nn.Module.__init__(self)
        self.mpd, self.msd = Periods(shape), Scales(shape)


class Model(GAN):
    """Coqui's model: both networks train from the first step, a criterion for each, and nothing of a step is kept."""

    def __init__(self, config: HifiganConfig, shape: Shape) -> None:
        super(BaseVocoder, self).__init__()  # coqui's own would load librosa and compile numba for 15 s
        self.config = config
        self.model_g = _generator(shape)
        self.model_d = Discriminator(shape)
        self.train_disc = True  # coqui sets it in a Trainer callback
        self.model_outputs_cache = None  # by this the loop knows that both optimizers share one batch a step
        self.y_hat_g = self.y_hat_sub = self.y_sub_g = None

    def get_criterion(self) -> Any:
        """Coqui's losses: least squares, features that match (2, over all of them), L1 of the log-mel (45)."""
        loss = GeneratorLoss(self.config)
        stft = loss.l1_spec_loss.stft
        stft.use_mel, stft.mel_basis = True, mel_filters()  # coqui asks librosa for the same numbers
        device = next(self.parameters()).device
        return [DiscriminatorLoss(self.config).to(device), loss.to(device)]

    def train_step(self, batch: dict[str, Any], criterion: Any, optimizer_idx: int | None = None) -> Any:
        found = super().train_step(batch, criterion[optimizer_idx], optimizer_idx)
        if optimizer_idx == GENERATOR:
            self.y_hat_g = None  # the sound that the discriminator heard
            _forget(self)
        return found


def build(shape: Shape) -> Model:
    """The model with fresh weights from torch's global generator."""
    quiet()
    config = HifiganConfig()
    config.audio.sample_rate = SAMPLE_RATE
    config.l1_spec_loss_params = {
        "sample_rate": SAMPLE_RATE,
        "n_fft": WINDOW,
        "hop_length": HOP,
        "win_length": WINDOW,
        "n_mels": MELS,
        "use_mel": False,  # or it would ask librosa: see get_criterion
    }
    return Model(config, shape)


def _generator(shape: Shape) -> HifiganGenerator:
    return HifiganGenerator(
        in_channels=MELS,
        out_channels=1,
        resblock_type="1",
        resblock_dilation_sizes=[[1, 3, 5] for _ in shape.kernels],
        resblock_kernel_sizes=list(shape.kernels),
        upsample_kernel_sizes=list(shape.upsampling_kernels),
        upsample_initial_channel=shape.channels,
        upsample_factors=list(shape.upsampling),
    )


def example(utterance: Utterance) -> Clip:
    """Silence behind what is shorter than a segment of :data:`V1`. Raises RecipeError for another sample rate."""
    if utterance.sample_rate != SAMPLE_RATE:
        raise RecipeError(f"this model wants {SAMPLE_RATE} Hz", code="recipe.sample_rate")
    audio = torch.from_numpy(utterance.audio.copy())
    mel = log_mel(audio)
    frames = max(len(mel), V1.segment)
    mel = pad(mel, (0, 0, 0, frames - len(mel)), value=math.log(FLOOR))
    return Clip(mel, pad(audio, (0, frames * HOP - len(audio))), utterance.text)


def batch(shape: Shape, examples: Sequence[Clip], generator: torch.Generator) -> dict[str, Any]:
    """A segment of each as ``train_step`` reads it: mel [B, MELS, F] and sound [B, 1, F * HOP].

    Where a segment begins is drawn from ``generator``. With that of ``batches.Batches`` a checkpoint keeps it, and a
    training that goes on draws what it would have drawn.
    """
    first = [
        int(torch.randint(len(e.mel) - shape.segment + 1, (), generator=generator)) for e in examples
    ]  # one draw for each, however long it is
    mels = [e.mel[n : n + shape.segment].T for n, e in zip(first, examples, strict=True)]
    sounds = [
        e.audio[n * HOP : (n + shape.segment) * HOP][None] for n, e in zip(first, examples, strict=True)
    ]
    return {"input": torch.stack(mels), "waveform": torch.stack(sounds)}


def parameters(model: Model) -> tuple[list[Tensor], list[Tensor]]:
    """Those of the discriminator and those of the generator, for an optimizer each."""
    return list(model.model_d.parameters()), list(model.model_g.parameters())


def restore(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> tuple[Shape, HifiganGenerator]:
    """The generator of a model that :func:`build` made and a run saved, ready for :func:`sound`."""
    shape = Shape.of(metadata)
    quiet()
    model = _generator(shape)
    model.load_state_dict(
        {name.removeprefix(_GENERATOR): t for name, t in tensors.items() if name.startswith(_GENERATOR)}
    )
    model.remove_weight_norm()
    return shape, model.eval()


def sound(model: Model | HifiganGenerator, mel: Tensor) -> Tensor:
    """The sound whose :func:`~sandbox.training.sound.log_mel` is ``mel``. [frames, MELS] -> [(frames - 1) * HOP]"""
    generator = model.model_g if isinstance(model, Model) else model
    with torch.no_grad():
        made = generator(mel.T[None])[0, 0]  # no padding at the ends: training had none
    return made[: (len(mel) - 1) * HOP]


def _forget(model: nn.Module) -> None:
    """Drop the weights that a spectral norm computed last, and their graph: its hook computes them before each use."""
    for module in model.modules():
        if hasattr(module, "weight_orig"):
            module.__dict__.pop("weight", None)
