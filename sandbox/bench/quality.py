"""What comes out: digits over several seeds, and sentences that were never heard, by numbers from sealed runs.

Heavy: each seed is a whole training. Words are counted by a recogniser that met neither voice nor model.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sandbox.bench.figures import Unmeasured, median
from sandbox.bench.ground import Ground
from sandbox.bench.recipes import approve
from sandbox.bench.rows import Row, at_most
from sandbox.bench.watching import Seen, follow
from sandbox.demo import speech, story

WORDS, WORDS_GOAL = 21, 20
TIME_GOAL_MIN = 10.0
HELD_OUT = 8  # one sentence in so many: the rule of recipe sentences
DATASET = "voices"
RECIPES = ("digits", "digits-evaluate", "sentences", "evaluate")


@dataclass(frozen=True)
class Trained:
    """A training, and the numbers of the run that evaluated it, by metric: their last values."""

    minutes: float
    numbers: Mapping[str, float]


def measure(ground: Ground, seeds: Sequence[int]) -> list[Row]:
    """Digits first; then sentences, once."""
    approve(ground, [ground.source / "recipes" / name for name in RECIPES])
    trained = [_digits(ground, seed) for seed in seeds]
    return [*digits(trained), *sentences(_sentences(ground))]


def digits(trained: Sequence[Trained]) -> list[Row]:
    """The median of the seeds, all of them shown; the longest training."""
    understood = [found.numbers["understood"] for found in trained]
    middle, each = median(understood), ", ".join(f"{n:.0f}" for n in understood)
    longest = max(found.minutes for found in trained)
    return [
        Row(
            f"digits, words of {WORDS} understood", middle, "words", f"each of {len(trained)} seeds: {each}",
            None, f">= {WORDS_GOAL}", middle >= WORDS_GOAL,
        ),
        at_most(
            "its longest training", longest, "min", TIME_GOAL_MIN,
            f"{', '.join(f'{found.minutes:.1f}' for found in trained)} min",
        ),
    ]  # fmt: skip


def sentences(found: Trained) -> list[Row]:
    """No goal: what ten minutes give, beside what the recordings themselves would."""
    numbers = found.numbers
    said = f"{numbers['said']:.0f} sentences that were held out, after {found.minutes:.1f} minutes"
    rows = [
        Row(
            "sentences, words understood", 100 * numbers["word_accuracy"], "%",
            f"the recordings: {100 * numbers['word_accuracy_recorded']:.0f} %; {said}",
        )
    ] if "word_accuracy" in numbers else []  # fmt: skip
    for name, what, unit in (
        ("mcd_db", "their mel-cepstral distortion", "dB"),
        ("f0_rmse_cents", "their pitch is off by", "cents"),
        ("duration_error", "their length is off by", "of it"),
    ):
        if name in numbers:
            rows.append(Row(what, numbers[name], unit, "medians over sentences"))
    return rows


def _digits(ground: Ground, seed: int) -> Trained:
    compute = {"cpus": float(len(os.sched_getaffinity(0)))}
    made = follow(ground, ground.request("digits", compute, seed=seed))
    found = Trained(_minutes(made), _evaluated(ground, "digits-evaluate", made))
    ground.say(f"  digits, seed {seed}: {found.numbers['understood']:.0f} words, {found.minutes:.1f} minutes")
    return found


def _sentences(ground: Ground) -> Trained:
    subject, folder = story.SUBJECTS["allison"], ground.work / "speech" / "sentences"
    say = ground.stage.house.say
    speech.gather_sentences(folder, subject)
    say(story.STEWARD, "consent", "give", subject, "--dataset", DATASET, *story.CONSENT)
    say(
        story.STEWARD, "data", "seal", str(folder), "--dataset", DATASET, "--agreement", story.AGREEMENT,
    )  # fmt: skip
    made = follow(ground, ground.request("sentences", {"cpus": float(len(os.sched_getaffinity(0)))}))
    told = _evaluated(ground, "evaluate", made, dataset=DATASET, parameters={"held_out": HELD_OUT})
    return Trained(_minutes(made), told)


def _minutes(seen: Seen) -> float:
    """From the state ``training`` to the last word of the trainer; reading all recordings is in it."""
    return (seen.after("ended") - seen.after("training")) / 60


def _evaluated(ground: Ground, name: str, made: Seen, **changes: Any) -> dict[str, float]:
    """Have ``name`` evaluate the model that the run made; the last value of each metric."""
    with ground.gate() as gate:
        models = [one for one in gate.pages("/v1/models") if one["run"] == made.run]
    if not models:
        raise Unmeasured(f"run {made.run} made no model")
    model = f"{models[0]['name']}@{models[0]['version']}"
    seen = follow(ground, ground.asked(name, inputs={"model": model}, **changes))
    with ground.gate() as gate:
        shown = gate.get(f"/v1/runs/{seen.run}")
    return {metric: float(points[-1]["value"]) for metric, points in shown["metrics"].items() if points}
