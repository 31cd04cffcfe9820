"""Membership attacks judged: figures known by hand, bounds that hold as often as they say, and what is no proof."""

from __future__ import annotations

import math
import random
from dataclasses import replace
from typing import Any

import pytest

from sandbox.policy.guessing import at_least, at_most, auc, epsilon_at_least, roc, threshold, tpr_at
from sandbox.policy.membership import SCORES, Claim, claims, judge, refutes
from sandbox.runs import Grant, Privacy
from tests.fakes import grants

PRIVATE = Privacy("speaker", 2.0, 1e-5, 1.0, 0.5, 4, 1.5)


def test_a_curve_and_its_area_by_hand() -> None:
    """Of the four pairs the member scores above three times."""
    curve = roc([3.0, 1.0], [2.0, 0.0])
    assert curve == ((0.0, 0.0), (0.0, 0.5), (0.5, 0.5), (0.5, 1.0), (1.0, 1.0))
    assert auc(curve) == 0.75 and tpr_at(curve, 0.1) == 0.5 and tpr_at(curve, 0.5) == 1.0


@pytest.mark.parametrize(
    ("members", "others", "area"),
    [([2, 2], [1, 1], 1.0), ([1, 1], [2, 2], 0.0), ([1, 1, 1], [1, 1], 0.5), ([2, 1], [1, 0], 0.875)],
    ids=["apart", "the wrong way", "all alike", "one tie"],
)
def test_an_area_is_how_often_a_member_scores_above(members: Any, others: Any, area: float) -> None:
    assert auc(roc(members, others)) == pytest.approx(area)


def test_the_true_positive_rate_is_read_at_few_mistakes_and_never_between_points() -> None:
    curve = roc([9, 8, 7, 1], [6, *range(-99, 0)])
    assert tpr_at(curve, 0.01) == 1.0 and tpr_at(curve, 0.0) == 0.75
    assert tpr_at(roc([1], [2]), 0.5) == 0.0


# As R's binom.test(k, n) says at conf.level 0.95: (alpha / 2 on each side)
@pytest.mark.parametrize(
    ("k", "n", "low", "high"),
    [
        (10, 10, 0.6915029, 1.0),
        (0, 10, 0.0, 0.3084971),
        (5, 10, 0.1870860, 0.8129140),
        (81, 263, 0.2527, 0.3676),
    ],
)
def test_clopper_and_pearson(k: int, n: int, low: float, high: float) -> None:
    assert at_least(k, n, 0.025) == pytest.approx(low, abs=1e-4)
    assert at_most(k, n, 0.025) == pytest.approx(high, abs=1e-4)


def test_a_bound_is_its_closed_form_where_every_guess_is_right() -> None:
    """n of n, 0 of n: the rates are (alpha / 2)^(1/n) and one minus that."""
    rate = 0.025 ** (1 / 50)
    assert epsilon_at_least(50, 50, 0, 50, 0.0) == pytest.approx(math.log(rate / (1 - rate)))
    assert epsilon_at_least(50, 50, 0, 50, 0.01) == pytest.approx(math.log((rate - 0.01) / (1 - rate)))


@pytest.mark.parametrize("counts", [(5, 10, 5, 10), (0, 10, 10, 10), (0, 0, 0, 0), (1, 1, 0, 1)])
def test_what_proves_nothing_proves_nothing(counts: Any) -> None:
    assert epsilon_at_least(*counts, 1e-5) == 0.0


def test_a_delta_that_allows_as_much_as_was_seen_leaves_nothing_proved() -> None:
    assert epsilon_at_least(80, 100, 0, 100, 0.0) > 2.0
    assert epsilon_at_least(80, 100, 0, 100, 0.7) == epsilon_at_least(80, 100, 0, 100, 0.99) == 0.0


def test_those_who_were_left_out_count_as_much() -> None:
    """Half of the members are missed, but nobody else ever is: the second rate is what tells."""
    assert epsilon_at_least(400, 800, 0, 800, 0.0) == pytest.approx(
        epsilon_at_least(800, 800, 400, 800, 0.0), rel=1e-9
    )


def test_a_bound_is_above_the_truth_as_seldom_as_it_says() -> None:
    """Randomised response at epsilon 1, 300 times: at most one in twenty."""
    draw, truth = random.Random(7), 1.0
    right = math.e / (1 + math.e)
    wrong = 0
    for _ in range(300):
        true = sum(draw.random() < right for _ in range(60))
        false = sum(draw.random() >= right for _ in range(60))
        wrong += epsilon_at_least(true, 60, false, 60, 0.0) > truth
    assert wrong <= 15


def people(draw: random.Random, count: int, shift: float) -> dict[str, float]:
    return {f"spk_{n:04d}": draw.gauss(-shift if n < count // 2 else 0.0, 1.0) for n in range(count)}


def promise(count: int, claim: Claim | None = None) -> dict[str, Claim | None]:
    return {f"spk_{n:04d}": claim for n in range(count // 2)}


def test_what_nobody_learned_from_is_hardly_ever_a_proof() -> None:
    """Scores without a difference, two of them, 300 times: a bound above nothing in at most one of twenty."""
    draw, proofs, areas = random.Random(3), 0, list[float]()
    for _ in range(300):
        found = judge({name: people(draw, 60, 0.0) for name in SCORES}, promise(60))
        assert found is not None
        proofs += found.lower_bound > 0
        areas += [attack.auc for attack in found.attacks]
    assert proofs <= 15 and sum(areas) / len(areas) == pytest.approx(0.5, abs=0.02)


def test_the_threshold_is_counted_on_people_who_did_not_choose_it() -> None:
    """Members whose scores only the choosing half could have used."""
    members = {f"spk_{n:04d}": (-9.0 if n % 2 == 0 else 0.0) for n in range(40)}
    others = {f"spk_{n:04d}": 0.0 for n in range(40, 80)}
    found = judge({SCORES[0]: {**members, **others}}, dict.fromkeys(members))
    assert found is not None and found.attacks[0].auc == 0.75 and found.lower_bound == 0.0


def test_several_scores_share_what_may_go_wrong() -> None:
    losses = people(random.Random(1), 200, 9.0)
    one, two = (judge(dict.fromkeys(names, losses), promise(200)) for names in (SCORES[:1], SCORES))
    assert one is not None and two is not None and 0 < two.lower_bound < one.lower_bound


def test_a_claim_that_the_guesses_rule_out_is_refuted_and_one_without_a_claim_is_told_only() -> None:
    losses = {SCORES[0]: people(random.Random(2), 400, 9.0)}
    for claim, refuted in ((Claim(1.0, 1e-5), True), (Claim(9.0, 1e-5), False), (None, False)):
        found = judge(losses, promise(400, claim))
        assert found is not None and found.refutes is refuted and found.claim == claim
        assert (found.members, found.others) == (200, 200) and found.to_json()["refutes"] is refuted
    assert not refutes(1.0, 1.0) and refutes(1.0, 1.0001)


@pytest.mark.parametrize("inside", [0, 10], ids=["nobody", "everybody"])
def test_without_both_kinds_of_people_there_is_nothing_to_judge(inside: int) -> None:
    promised: dict[str, Claim | None] = {f"spk_{n:04d}": None for n in range(inside)}
    assert judge({SCORES[0]: people(random.Random(1), 10, 0.0)}, promised) is None
    assert judge({}, promised) is None


def grant(*subjects: str, privacy: Privacy | None = PRIVATE) -> Grant:
    return replace(grants.grant(), subjects=subjects, privacy=privacy)


def test_losses_of_all_runs_that_heard_somebody_add_up() -> None:
    found = claims([grant("spk_a", "spk_b"), grant("spk_a")], "digits")
    assert found == {"spk_a": Claim(4.0, 2e-5), "spk_b": Claim(2.0, 1e-5)}


@pytest.mark.parametrize(
    "weak", [None, replace(PRIVATE, unit="utterance")], ids=["no bound", "per recording"]
)
@pytest.mark.parametrize("first", [True, False])
def test_one_run_without_a_bound_for_people_leaves_nothing_promised(weak: Any, first: bool) -> None:
    line = [grant("spk_a"), grant("spk_a", "spk_c", privacy=weak)]
    found = claims(line if first else line[::-1], "digits")
    assert found == {"spk_a": None, "spk_c": None}


def test_a_pseudonym_of_another_dataset_is_somebody_else() -> None:
    """Whoever is called alike there was not in the model, and is promised nothing by what heard this one."""
    line = [grant("spk_a", "spk_b"), replace(grant("spk_a", "spk_c", privacy=None), dataset="voices")]
    assert claims(line, "digits") == {"spk_a": Claim(2.0, 1e-5), "spk_b": Claim(2.0, 1e-5)}
    assert claims(line, "voices") == {"spk_a": None, "spk_c": None}
    assert claims(line, "others") == {}


def test_people_who_were_heard_without_a_bound_do_not_speak_for_those_with_one() -> None:
    """A private fine-tune of a base that is not private: the base's people are neither members nor strangers."""
    draw = random.Random(5)
    losses = {f"spk_{n:04d}": draw.gauss(0.0, 1.0) for n in range(90)}
    promised: dict[str, Claim | None] = {f"spk_{n:04d}": Claim(1.0, 1e-5) for n in range(30)}
    base = {f"spk_{n:04d}": None for n in range(30, 60)}
    given = {**losses, **dict.fromkeys(base, -99.0)}
    found = judge({SCORES[0]: given}, {**promised, **base})
    assert found is not None and (found.members, found.others, found.refutes) == (30, 30, False)


def test_a_threshold_without_scores_is_no_fault() -> None:
    assert threshold([], []) == 0.0
