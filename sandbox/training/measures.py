"""How far a sound that a model said is from the recording of the same words: spectrum, melody, length.

Pure functions of sounds [T] at 16 kHz. None of them says whether a voice sounds natural: only people can.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from sandbox.training.pitch import pitch
from sandbox.training.sound import HOP, MELS, WINDOW, log_mel

COEFFICIENTS = 13  # mel cepstra 1 to 13; 0, which is loudness, is left out
GROSS = 0.2  # of the recording's pitch: a frame that is further off is a gross error (Chu, Alwan 2009)
_QUIET = 10 ** (-40 / 20)  # of the loudest frame; below it at either end nothing was said yet, or any more
_LEVEL = 10 ** (-25 / 20)  # root mean square at which both are measured: floors are absolute
_DB = 10 / math.log(10)

Path = npt.NDArray[np.int64]  # [P, 2]: frame of the recording, frame of what was said


@dataclass(frozen=True)
class Melody:
    """How well the pitch was met, over all aligned frames. Chu, Alwan 2009, "Reducing F0 frame error"."""

    rmse_cents: float | None  # over frames that are voiced in both; None where there is none
    rmse_hz: float | None
    gross: float | None  # part of those frames that is further off than GROSS
    voicing: float  # part of all frames that is voiced in one and not in the other
    frame: float  # part of all frames that has either error


def compare(recorded: Tensor, said: Tensor) -> dict[str, float]:
    """Every measure of one pair that there is, by name; loudness, and silence at the ends, count for nothing."""
    recorded, said = trimmed(recorded), trimmed(said)
    lengths = len(recorded), len(said)
    recorded, said = levelled(recorded), levelled(said)
    a, b = cepstra(recorded), cepstra(said)
    path = align(distances(a, b))
    melody = melody_error(pitch(recorded)[path[:, 0]], pitch(said)[path[:, 1]])
    found = {
        "mcd_db": distortion(a[path[:, 0]], b[path[:, 1]]),
        "f0_rmse_cents": melody.rmse_cents,
        "f0_rmse_hz": melody.rmse_hz,
        "gross_pitch_error": melody.gross,
        "voicing_error": melody.voicing,
        "f0_frame_error": melody.frame,
        "duration_error": duration_error(*lengths),
    }
    return {name: value for name, value in found.items() if value is not None}


def trimmed(audio: Tensor) -> Tensor:
    """From the first frame that is within 40 dB of the loudest to the last. [T] -> [T']"""
    frames = torch.nn.functional.pad(audio, (0, -len(audio) % HOP)).view(-1, HOP)
    loud = frames.square().mean(1).sqrt()
    heard = torch.nonzero(loud > _QUIET * loud.max()).flatten()
    return audio[int(heard[0]) * HOP : (int(heard[-1]) + 1) * HOP] if len(heard) else audio


def levelled(audio: Tensor) -> Tensor:
    """At -25 dB of full scale, and long enough for one window. [T] -> [T']"""
    power = float(audio.square().mean().sqrt())
    return torch.nn.functional.pad(audio * (_LEVEL / max(power, 1e-6)), (0, max(0, WINDOW - len(audio))))


def cepstra(audio: Tensor) -> Tensor:
    """Mel cepstra 1 to 13 of the log-mel spectrum, 16 ms a frame. [T] -> [1 + T // HOP, COEFFICIENTS]

    In SPTK's scale, where ln|S| is the sum of c_d cos(d w): a difference is then one of decibels.
    """
    return log_mel(audio) @ _cosines()


def distances(a: Tensor, b: Tensor) -> npt.NDArray[np.float64]:
    """Of every frame to every other. [A, D], [B, D] -> [A, B]"""
    found: npt.NDArray[np.float64] = torch.cdist(a.double(), b.double()).numpy()
    return found


def align(cost: npt.NDArray[np.float64]) -> Path:
    """The cheapest way through ``cost`` [A, B] from corner to corner: either side one frame on, or both. -> [P, 2]

    Dynamic time warping, Sakoe, Chiba 1978, without slope constraint; computed an antidiagonal at a time.
    """
    rows, columns = cost.shape
    total = np.full((rows + columns + 1, rows + 1), np.inf)  # [i + j + 2, i + 1]
    total[0, 0] = 0.0
    for diagonal in range(rows + columns - 1):
        i = np.arange(max(0, diagonal - columns + 1), min(rows, diagonal + 1))
        before = np.minimum(total[diagonal + 1, i], total[diagonal + 1, i + 1])
        total[diagonal + 2, i + 1] = cost[i, diagonal - i] + np.minimum(before, total[diagonal, i])
    path, (i, j) = [(rows - 1, columns - 1)], (rows - 1, columns - 1)
    while (i, j) != (0, 0):
        steps = [(i - 1, j - 1), (i - 1, j), (i, j - 1)]
        i, j = min(steps, key=lambda at: total[at[0] + at[1] + 2, at[0] + 1] if min(at) >= 0 else np.inf)
        path.append((i, j))
    return np.array(path[::-1])


def distortion(a: Tensor, b: Tensor) -> float:
    """Mel-cepstral distortion of aligned frames in dB: 10 / ln 10 sqrt(2 sum (c - c')^2), their mean. [P, D] each

    Kubichek 1993, "Mel-cepstral distance measure for objective speech quality assessment".
    """
    return float(_DB * (2 * (a - b).square().sum(1)).sqrt().mean())


def melody_error(recorded: Tensor, said: Tensor) -> Melody:
    """Of aligned frames: Hz, and 0 where there is no pitch. [P] each"""
    both = (recorded > 0) & (said > 0)
    other = (recorded > 0) != (said > 0)
    a, b = recorded[both].double(), said[both].double()
    gross = (a - b).abs() > GROSS * a
    some = len(a) > 0
    return Melody(
        rmse_cents=float((1200 * torch.log2(b / a)).square().mean().sqrt()) if some else None,
        rmse_hz=float((a - b).square().mean().sqrt()) if some else None,
        gross=float(gross.double().mean()) if some else None,
        voicing=float(other.double().mean()),
        frame=float((int(gross.sum()) + int(other.sum())) / len(recorded)),
    )


def duration_error(recorded: float, said: float) -> float:
    """By how much of the recording's length what was said is longer or shorter."""
    return abs(said / recorded - 1)


@dataclass(frozen=True)
class Spread:
    """What may be told of many numbers."""

    count: int
    lower_quartile: float
    median: float
    upper_quartile: float


def spread(values: Sequence[float], decimals: int = 3) -> Spread:
    """Quartiles by linear interpolation, rounded: further digits would carry no more than noise, or a message."""
    lower, middle, upper = (round(float(q), decimals) for q in np.quantile(values, (0.25, 0.5, 0.75)))
    return Spread(len(values), lower, middle, upper)


@functools.cache
def _cosines() -> Tensor:
    """DCT-II, scaled. [MELS, COEFFICIENTS]"""
    band = (torch.arange(MELS) + 0.5)[:, None]
    return torch.cos(math.pi * band * torch.arange(1, COEFFICIENTS + 1) / MELS) * (2 / MELS)
