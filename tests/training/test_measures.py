"""The measures of what a model says, on sounds whose answers are known."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from torch import Tensor

from sandbox.training import measures
from sandbox.training.sound import HOP
from tests.training import real

RATE = 16_000


def hum(hz: float, seconds: float = 1.0, loud: float = 0.3) -> Tensor:
    t = np.arange(int(seconds * RATE)) / RATE
    sound = loud * sum(np.sin(2 * np.pi * hz * k * t) / k for k in range(1, 9))
    return torch.from_numpy(np.asarray(sound, dtype=np.float32))


def recording(n: int) -> Tensor:
    return torch.from_numpy(np.frombuffer(real.numbers()[n]["audio"], dtype="<f4").copy())


SAME = {
    "mcd_db": 0.0, "f0_rmse_cents": 0.0, "f0_rmse_hz": 0.0, "gross_pitch_error": 0.0, "voicing_error": 0.0,
    "f0_frame_error": 0.0, "duration_error": 0.0,
}  # fmt: skip


def test_a_recording_is_no_way_from_itself() -> None:
    assert measures.compare(recording(7), recording(7)) == pytest.approx(SAME, abs=1e-4)


def test_loudness_and_silence_at_the_ends_count_for_nothing() -> None:
    padded = torch.cat([torch.zeros(20 * HOP), 0.5 * recording(7), torch.zeros(13 * HOP)])
    found = measures.compare(recording(7), padded)
    assert found["duration_error"] == 0.0 and found["mcd_db"] < 0.5


def test_another_word_is_further_than_the_same_one_with_noise() -> None:
    noisy = recording(7) + 1e-3 * torch.from_numpy(
        np.random.default_rng(1).standard_normal(len(recording(7)))
    )
    near, far = (measures.compare(recording(7), x.float()) for x in (noisy, recording(11)))
    assert 0 < near["mcd_db"] < far["mcd_db"]


def test_a_semitone_is_a_hundred_cents() -> None:
    found = measures.compare(hum(150), hum(150 * 2 ** (1 / 12)))
    assert found["f0_rmse_cents"] == pytest.approx(100, abs=2)
    assert found["f0_rmse_hz"] == pytest.approx(150 * (2 ** (1 / 12) - 1), abs=0.3)
    assert found["gross_pitch_error"] == 0.0 and found["duration_error"] == 0.0


@pytest.mark.parametrize("seconds", [0.5, 0.9, 1.0, 1.5, 2.0])
def test_what_is_longer_or_shorter_is_so_by_its_ratio(seconds: float) -> None:
    found = measures.compare(hum(150, 1.0), hum(150, seconds))
    assert found["duration_error"] == pytest.approx(abs(seconds - 1), abs=0.03)
    assert found["mcd_db"] < 0.3  # the same sound: where it is longer, frames are passed twice


def test_the_errors_of_a_melody_are_counted_as_their_paper_counts_them() -> None:
    recorded = torch.tensor([100.0, 100.0, 100.0, 0.0, 0.0, 100.0, 0.0, 100.0])
    said = torch.tensor([100.0, 119.0, 121.0, 0.0, 90.0, 0.0, 0.0, 200.0])
    found = measures.melody_error(recorded, said)
    assert found.gross == pytest.approx(2 / 4)  # 121 and 200, of four that are voiced in both
    assert found.voicing == pytest.approx(2 / 8)
    assert found.frame == pytest.approx(4 / 8)
    assert found.rmse_hz == pytest.approx(math.sqrt((19**2 + 21**2 + 100**2) / 4))


def test_without_a_voiced_frame_there_is_no_melody_to_miss() -> None:
    found = measures.melody_error(torch.zeros(3), torch.tensor([0.0, 0.0, 120.0]))
    assert (found.rmse_cents, found.rmse_hz, found.gross) == (None, None, None)
    assert found.voicing == found.frame == pytest.approx(1 / 3)
    noise = torch.from_numpy(np.random.default_rng(2).uniform(-0.3, 0.3, RATE).astype("f4"))
    assert "f0_rmse_cents" not in measures.compare(hum(150), noise)


@pytest.mark.parametrize("d", [1, 5, 13])
def test_a_ripple_of_the_spectrum_is_as_many_decibels_as_it_is_deep(d: int) -> None:
    """exp(a cos(w d)) over the mel bands: the root mean square of 20 log10 of it is 20 / ln 10 a / sqrt 2."""
    ripple = torch.cos(math.pi * d * (torch.arange(80) + 0.5) / 80) * 0.7
    a, b = (ripple @ measures._cosines())[None], torch.zeros(1, measures.COEFFICIENTS)
    assert measures.distortion(a, b) == pytest.approx(20 / math.log(10) * 0.7 / math.sqrt(2), rel=1e-4)


def test_loudness_and_what_is_finer_than_the_thirteenth_coefficient_are_not_heard() -> None:
    band = torch.arange(80) + 0.5
    for unheard in (torch.ones(80), torch.cos(math.pi * 14 * band / 80)):
        assert (unheard @ measures._cosines()).abs().max() < 1e-5


def cheapest(cost: np.ndarray) -> float:
    """Of all ways, each tried: right only, down only, or both."""
    rows, columns = cost.shape
    best = math.inf
    for length in range(max(rows, columns) - 1, rows + columns - 1):
        for steps in itertools.product([(1, 1), (1, 0), (0, 1)], repeat=length):
            if sum(s[0] for s in steps) == rows - 1 and sum(s[1] for s in steps) == columns - 1:
                i = j = 0
                total = cost[0, 0]
                for down, right in steps:
                    i, j = i + down, j + right
                    total += cost[i, j]
                best = min(best, total)
    return best


@pytest.mark.parametrize("shape", [(1, 1), (1, 4), (4, 1), (3, 4), (4, 4), (5, 3)])
def test_the_alignment_is_the_cheapest_of_all(shape: tuple[int, int]) -> None:
    cost = np.random.default_rng(sum(shape)).uniform(0, 1, shape)
    path = measures.align(cost)
    assert path[0].tolist() == [0, 0] and path[-1].tolist() == [shape[0] - 1, shape[1] - 1]
    steps = np.diff(path, axis=0)
    assert set(map(tuple, steps.tolist())) <= {(1, 1), (1, 0), (0, 1)}
    assert cost[path[:, 0], path[:, 1]].sum() == pytest.approx(cheapest(cost))


@pytest.mark.parametrize("length", [1, 300, 513, 2_000])
def test_the_shortest_sounds_are_measured_too(length: int) -> None:
    found = measures.compare(hum(150)[:length], hum(150)[:length])
    assert found["mcd_db"] == found["duration_error"] == 0.0
    assert measures.compare(torch.zeros(length), hum(150))["mcd_db"] > 0


def test_quartiles_are_rounded() -> None:
    found = measures.spread([1.0, 2.0, 3.0, 4.0, 5.00049])
    assert found == measures.Spread(5, 2.0, 3.0, 4.0)
    assert measures.spread([1 / 3]) == measures.Spread(1, 0.333, 0.333, 0.333)
