"""The rows about training: cases, steady rates, Trainer, privacy, resuming, quality; and what programs outside say."""

from __future__ import annotations

import argparse
import io
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from sandbox.bench import (
    figures,
    outside,
    private,
    quality,
    recipes,
    resuming,
    saving,
    trainers,
    training,
)
from sandbox.bench.__main__ import (
    ALONE,
    LONG,
    MINUTES,
    OUTDOORS,
    PARTS,
    arguments,
    cases,
    estimate,
    one_by_one,
)
from sandbox.bench.figures import Beat, Unmeasured
from sandbox.bench.ground import Ground
from sandbox.bench.private import Cost
from sandbox.bench.quality import Trained
from sandbox.bench.recipes import Case
from sandbox.bench.rows import Row, at_most_times, below
from sandbox.bench.saving import Spent
from sandbox.bench.watching import Seen
from sandbox.cli.recipe_files import files
from sandbox.client import Event
from sandbox.demo.house import House
from sandbox.demo.report import Report
from sandbox.demo.story import SUBJECTS, Stage
from sandbox.policy.recipe import expand, read_card
from sandbox.runs import Request

SOURCE = Path(__file__).parents[2]


@pytest.mark.parametrize(("ours", "holds"), [(1.7, True), (1.71, False)])
def test_a_multiple_is_kept_or_missed(ours: float, holds: bool) -> None:
    row = at_most_times("private", ours, "s", "not private", 1.0, 1.7)
    assert (row.holds, row.ratio, row.goal) == (holds, pytest.approx(ours), "<= 1.7x")


@pytest.mark.parametrize(("ours", "holds"), [(9.0, True), (10.0, False), (11.0, False)])
def test_less_is_less_and_not_as_much(ours: float, holds: bool) -> None:
    assert below("memory", ours, "MB", "theirs", 10.0).holds is holds


def test_a_save_does_not_move_the_steady_rate_but_the_whole_one() -> None:
    found = [Beat(step, float(step)) for step in range(1, 8)] + [Beat(8, 20.0), Beat(9, 21.0)]
    assert figures.steady(found, 1) == pytest.approx(1.0)
    assert figures.rate(found, 1) < 0.5
    with pytest.raises(Unmeasured):
        figures.steady(found, 8)


def test_numbers_are_told_from_progress_and_noise() -> None:
    lines = ["noise", '{"step": 1, "rate": 2.0}', '{"peak_mb": 5}', '{"peak_mb": 7.5, "word": "x"}', "[1]"]
    assert figures.numbers(lines) == {"peak_mb": 7.5}
    told = outside.Told([], figures.numbers(lines))
    assert told.number("peak_mb") == 7.5
    with pytest.raises(Unmeasured, match="waited_s"):
        told.number("waited_s")


def test_a_recipe_row_holds_the_medians_against_each_other() -> None:
    case = Case("vits", "tiny", 24)
    row = recipes.row(case, {"sandbox": [9.9, 9.7, 1.0], "plain": [10.0, 10.0, 9.0]})
    assert (row.name, row.ratio, row.holds) == ("train vits tiny, sealed / same loop", 0.97, False)


@pytest.mark.parametrize(("third", "holds"), [(1.2, True), (1.1, False)])
def test_the_recipes_together_are_held_against_the_goal_by_their_geometric_mean(
    third: float, holds: bool
) -> None:
    speeds = [Row("a", 1, "", "", ratio) for ratio in (0.8, 1.0, third)]
    (mean,) = recipes.together([*speeds, Row("b", 1, "")])
    assert mean.ratio == pytest.approx((0.8 * third) ** (1 / 3)) and mean.holds is holds
    assert recipes.together(speeds[:1]) == []


def test_the_cards_of_the_rows_keep_one_model_and_no_checkpoint_before_the_end(tmp_path: Path) -> None:
    cases = [*recipes.TINY, *recipes.FULL]
    copies = recipes.without_checkpoints(SOURCE / "recipes", tmp_path, cases)
    for case in cases:
        mine, theirs = files(copies / case.recipe), files(SOURCE / "recipes" / case.recipe)
        kept = {
            artifact.path: artifact.steps for artifact in expand(read_card(mine), {"steps": 40}).artifacts
        }
        assert kept == {"model-40.safetensors": (40,), "checkpoint.safetensors": ()}
        assert len(expand(read_card(theirs), {"steps": 40}).artifacts) > 2
        assert {**mine, "recipe.yaml": b""} == {**theirs, "recipe.yaml": b""}
        before, after = (read_card(one).model_dump(exclude={"artifacts"}) for one in (theirs, mine))
        assert before == after


def test_what_saving_costs_is_what_a_training_takes_longer_with_it() -> None:
    sealed = {"with": [Spent(30.0, 2600.0), Spent(50.0, 2600.0)], "without": [Spent(10.0, 200.0)] * 2}
    plain = {"with": [Spent(14.0, 2600.0), Spent(14.0, 2600.0)], "without": [Spent(10.0, 200.0)] * 2}
    row = saving.row(sealed, plain)
    assert (row.value, row.ratio, row.holds) == (90.0, 0.15, None) and "2400 MB in all" in row.against
    with pytest.raises(Unmeasured):
        saving.speeds({"with": [Spent(9.0, 2.0)], "without": [Spent(9.0, 1.0)]})


@pytest.mark.parametrize("case", [*recipes.TINY, *recipes.FULL], ids=lambda case: str(case.name))
def test_every_case_is_a_recipe_that_takes_what_is_asked(case: Case, tmp_path: Path) -> None:
    parameters = {"steps": case.steps, "size": case.size, "batch_size": case.batch_size}
    place = outside.Outdoors(SOURCE, tmp_path)
    asked = outside.asked(place, case.recipe, parameters, tmp_path, 2, {"resume": tmp_path / "c"})
    assert parameters.items() <= asked["parameters"].items()
    assert json.loads(json.dumps(asked))["inputs"] == {"resume": str(tmp_path / "c")}
    assert asked["speech"] == str(place.speech)


def test_cases_are_chosen_by_name_or_all() -> None:
    assert recipes.chosen(recipes.TINY, ()) == list(recipes.TINY)
    assert [c.name for c in recipes.chosen(recipes.TINY, cases("vits-tiny,glowtts-tiny"))] == [
        "glowtts-tiny", "vits-tiny",
    ]  # fmt: skip
    with pytest.raises(argparse.ArgumentTypeError, match="no case nobody; there are fastpitch-tiny"):
        cases("vits-tiny,nobody")


def test_the_long_part_is_measured_only_when_asked_for() -> None:
    given = arguments().parse_args([])
    assert set(given.only) == set(PARTS) - set(LONG) and given.seeds == [1, 2, 3, 4, 5]
    assert arguments().parse_args(["--only", "quality", "--seeds", "7"]).seeds == [7]


def test_the_estimate_counts_an_installation_where_one_is_set_up() -> None:
    assert estimate(["decrypt"]) == MINUTES["decrypt"]
    assert estimate(["trainer", "decrypt"]) == MINUTES["trainer"] + MINUTES["decrypt"]
    assert estimate(["launch"]) > MINUTES["launch"]
    assert {*ALONE, *OUTDOORS, *LONG} < set(PARTS)


def test_the_rows_of_a_part_are_shown_before_the_next_one_begins() -> None:
    console = Console(record=True, width=100, file=io.StringIO())
    shown: list[bool] = []

    def second() -> list[Row]:
        shown.append("the first figure" in console.export_text(clear=False))
        return [Row("the second figure", 2.0, "s")]

    parts = {
        "a": lambda: [Row("the first figure", 1.0, "s")],
        "left out": lambda: [Row("none", 0.0, "s")],
        "b": second,
    }
    assert [row.value for row in one_by_one(parts, ["b", "a"], console)] == [1.0, 2.0]
    assert shown == [True]


def test_the_trainer_rows_hold_speed_memory_and_waiting() -> None:
    rows = trainers.rows(
        "glowtts",
        {"plain": [10.0, 11.0, 9.0], "by_trainer": [9.0, 10.5, 8.0]},
        {"plain": [300.0], "by_trainer": [301.0]},
        [0.4, 1.2, 0.6],
    )
    assert [row.holds for row in rows] == [True, True, True]
    assert [row.ratio for row in rows[:2]] == pytest.approx([10 / 9, 300 / 301]) and rows[2].value == 0.6
    slow = trainers.rows(
        "glowtts", {"plain": [8.0], "by_trainer": [9.0]}, {"plain": [5.0], "by_trainer": [5.0]}, [1.1]
    )
    assert [row.holds for row in slow] == [False, False, False]


@pytest.mark.parametrize(("ours", "holds"), [([500.0, 900.0, 400.0], True), ([601.0], False)])
def test_the_memory_of_whole_processes_is_held_against_the_trainer_as_it_is_used(
    ours: list[float], holds: bool
) -> None:
    row = training.memory({"plain": ours, "coqui": [600.0, 600.0, 600.0]})
    assert row.holds is holds and "600 MB" in row.against


def test_the_first_step_is_counted_from_asking() -> None:
    seen = Seen("r-1", asked_s=0.5)
    with pytest.raises(Unmeasured):
        seen.first_step()
    seen.take(Event("1", "progress", {"step": 1, "total": 9, "rate": 0.0}), 4.0)
    seen.take(Event("2", "progress", {"step": 9, "total": 9, "rate": 2.0}), 8.0)
    assert seen.first_step() == 4.5
    row = training.until_first_step({"sandbox": [4.5, 9.0, 4.0], "coqui": [9.0, 8.0, 10.0]})
    assert (row.value, row.holds) == (4.5, True)


PRINTED = """\
{"mode": "non-private", "seconds_per_step": 2.0, "peak_mb": 1000, "accepted": "not private"}
{"mode": "streaming", "seconds_per_step": 3.0, "peak_mb": 1100, "accepted": "accepted"}
{"mode": "hooks", "seconds_per_step": 4.0, "peak_mb": 3000, "accepted": "privacy.mode_gradient"}
{"mode": "ghost", "size": "full", "failed": -9}
"""


def test_the_private_rows_hold_time_and_memory_and_show_what_there_is_beside() -> None:
    time, memory, hooks = private.rows(private.read(PRINTED.splitlines()), "FastPitch")
    assert (time.ratio, time.holds) == (1.5, True)
    assert (memory.ratio, memory.holds) == (pytest.approx(1.1), True)
    assert "Opacus' hooks, refused to recipes (privacy.mode_gradient): 4 s, 3000 MB" in hooks.against
    assert hooks.holds is True


@pytest.mark.parametrize("missing", [private.PLAIN, private.OURS])
def test_without_either_side_nothing_is_said_of_a_private_step(missing: str) -> None:
    found = {name: Cost(1.0, 1.0) for name in (private.PLAIN, private.OURS) if name != missing}
    with pytest.raises(Unmeasured):
        private.rows(found, "FastPitch")


def test_a_tensor_differs_by_a_bit_a_kind_or_by_not_being_there() -> None:
    one = {"a": np.ones(3, np.float32), "b": np.zeros(2)}
    assert resuming.differ(one, {name: value.copy() for name, value in one.items()}) == 0
    assert resuming.differ(one, {**one, "a": np.nextafter(one["a"], np.float32(2))}) == 1
    assert resuming.differ(one, {**one, "a": one["a"].astype(np.float64)}) == 1
    assert resuming.differ(one, {"a": one["a"], "c": one["b"]}) == 2


def test_the_quality_rows_show_each_seed_and_take_the_median() -> None:
    trained = [Trained(m, {"understood": n}) for n, m in ((21, 3.0), (18, 9.0), (20, 4.0))]
    words, time = quality.digits(trained)
    assert (words.value, words.holds) == (20, True) and "21, 18, 20" in words.against
    assert (time.value, time.holds) == (9.0, True)
    words, time = quality.digits([Trained(10.1, {"understood": 19})])
    assert (words.holds, time.holds) == (False, False)


def test_sentences_are_told_beside_the_recordings_and_without_a_goal() -> None:
    numbers = {"said": 28, "word_accuracy": 0.25, "word_accuracy_recorded": 0.9, "mcd_db": 9.0}
    rows = quality.sentences(Trained(9.5, numbers))
    assert [(row.value, row.goal, row.holds) for row in rows] == [(25.0, "", None), (9.0, "", None)]
    assert "the recordings: 90 %; 28 sentences that were held out, after 9.5 minutes" in rows[0].against


def ground(work: Path) -> Ground:
    """Where nothing runs: what would be asked for is still made as for a real installation."""
    return Ground(Stage(House(work / "state", work, Console()), SOURCE, work, Report()))


def settled(asked: Request) -> Mapping[str, object]:
    """Every parameter as the recipe would get it."""
    return expand(read_card(files(SOURCE / "recipes" / asked.recipe)), asked.parameters).parameters


@pytest.mark.parametrize("case", [*recipes.TINY, *recipes.FULL], ids=lambda case: str(case.name))
def test_what_is_asked_for_a_case_is_within_what_a_gate_allows(case: Case, tmp_path: Path) -> None:
    asked = recipes.request(ground(tmp_path), case, 2, base="import-base@1")
    purpose = "optimise" if case.tuned else "train"
    assert (asked.recipe, asked.purpose, asked.dataset) == (case.recipe, purpose, "digits")
    assert asked.inputs == ({"base": "import-base@1"} if case.tuned else {})
    told = settled(asked)
    assert (told["steps"], told["size"], told["batch_size"]) == (case.steps, case.size, case.batch_size)
    assert asked.compute.memory_bytes == (12 << 30 if case.name == "vits-full" else 8 << 30)
    assert recipes.LIMIT_S < asked.compute.time_limit_s < 4 * 3600  # as configs/gate.yaml has it


def test_what_quality_asks_for_is_what_the_recipes_take(tmp_path: Path) -> None:
    here = ground(tmp_path)
    digits = settled(here.request("digits", {"cpus": 2.0}, seed=3))
    assert (digits["seed"], digits["steps"]) == (3, 2400)
    sentences = here.request("sentences", {"cpus": 2.0})
    assert sentences.dataset == quality.DATASET and sentences.subjects == (SUBJECTS["allison"],)
    evaluated = here.asked(
        "evaluate",
        inputs={"model": "sentences@1"},
        dataset=quality.DATASET,
        parameters={"held_out": quality.HELD_OUT},
    )
    assert evaluated.inputs == {"model": "sentences@1"} and evaluated.purpose == "evaluate"
    assert settled(evaluated)["held_out"] == quality.HELD_OUT
    assert settled(sentences)["size"] == "full"
