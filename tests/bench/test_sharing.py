"""What everything but the trainer takes of the processors, from looks at /proc."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from sandbox.bench import sharing
from sandbox.bench.figures import Unmeasured
from sandbox.bench.sharing import Look


def test_only_stretches_in_which_the_trainer_works_count() -> None:
    looks = [
        Look(0.0, 0.0, 0.0),
        Look(1.0, 2.0, 0.2),  # importing, beside a busy host
        Look(2.0, 3.95, 2.1),
        Look(3.0, 5.95, 4.0),
        Look(4.0, 6.0, 4.0),  # gone
    ]
    assert sharing.share(looks, 2) == pytest.approx(100 * (0.05 + 0.1) / 4)


@pytest.mark.parametrize(
    "looks", [[], [Look(0, 0, 0), Look(1, 2, 2)], [Look(n, 2.0 * n, 0) for n in range(9)]]
)
def test_a_trainer_that_was_hardly_seen_says_nothing(looks: list[Look]) -> None:
    with pytest.raises(Unmeasured):
        sharing.share(looks, 2)


@pytest.mark.parametrize(("shares", "holds"), [([2.0], True), ([1.0, 9.0, 2.1], False)])
def test_the_median_training_is_held_against_the_goal(shares: list[float], holds: bool) -> None:
    assert sharing.row("fastpitch tiny", shares).holds is holds


def test_a_look_reads_all_work_and_the_trainers_own(tmp_path: Path) -> None:
    (tmp_path / "stat").write_text("cpu  100 20 30 999999 77 1 2 0 0 0\ncpu0 1 1 1 1 1 1 1\n")
    for pid, words in (
        ("7", b"python\0-m\0sandbox.training.worker\x004"),
        ("8", b"python\0-m\0sandbox.runner"),
    ):
        (tmp_path / pid).mkdir()
        (tmp_path / pid / "cmdline").write_bytes(words)
        (tmp_path / pid / "stat").write_text(f"{pid} (py) thon) S " + " ".join(map(str, range(4, 54))))
    (tmp_path / "9").mkdir()  # one that ends while it is looked at
    eye = sharing.Eye(tmp_path)
    seen = eye.look()
    assert seen.busy == 153 / sharing._TICKS
    assert seen.trainer == (14 + 15) / sharing._TICKS  # fields 14 and 15 of proc(5)
    (tmp_path / "7" / "stat").unlink()
    assert eye.look().trainer == 0, "it is going"
    (tmp_path / "7" / "cmdline").unlink()
    (tmp_path / "8" / "cmdline").write_bytes(b"python\0-m\0sandbox.training.worker\x004")
    assert eye.look().trainer == seen.trainer, "the next one"


def test_looks_are_taken_until_what_is_watched_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sharing, "EVERY_S", 0.001)
    counted = itertools.count()
    with sharing.watched(lambda: Look(next(counted), 0, 0)) as looks:
        while len(looks) < 3:
            pass
    seen = len(looks)
    assert seen >= 3 and looks[2].at == 2
