from __future__ import annotations

import math

import pytest

from sandbox.errors import Usage
from sandbox.policy import epsilon as counting
from sandbox.policy.epsilon import Mechanism, bound, disagreement, merged, resolve, sigma_for, spending, spent
from sandbox.runs import Privacy

RUN = Mechanism(1.0, 0.1, 100)
DELTA = 1e-5


def test_epsilon_is_that_of_the_literature() -> None:
    """A Gaussian mechanism once: Balle and Wang 2018, theorem 8; sigma 1 at delta 1e-5 costs 4.377."""
    assert spent([Mechanism(1.0, 1.0, 1)], DELTA) == pytest.approx(4.377, abs=0.005)


def test_the_second_accountant_is_never_below_the_first() -> None:
    assert spent([RUN], DELTA) == pytest.approx(7.05, abs=0.02)
    assert spent([RUN], DELTA) < bound([RUN], DELTA) < 1.25 * spent([RUN], DELTA)


def test_nothing_costs_nothing_and_no_noise_has_no_bound() -> None:
    assert spent([], DELTA) == 0 and bound([], DELTA) == 0
    assert spent([Mechanism(0.0, 0.1, 1)], DELTA) == math.inf == bound([Mechanism(0.0, 0.1, 1)], DELTA)


def test_runs_compose_and_their_order_does_not_matter() -> None:
    other = Mechanism(2.0, 0.2, 30)
    both = spent([RUN, other], DELTA)
    assert both == spent([other, RUN], DELTA)
    assert (
        max(spent([RUN], DELTA), spent([other], DELTA)) < both < spent([RUN], DELTA) + spent([other], DELTA)
    )


def test_equal_noise_is_merged() -> None:
    assert merged([RUN, Mechanism(1.0, 0.1, 50), RUN]) == (Mechanism(1.0, 0.1, 250),)


@pytest.mark.parametrize(("epsilon", "rate", "steps"), [(8.0, 0.1, 40), (1.0, 0.5, 20)])
def test_sigma_keeps_its_promise_and_wastes_little(epsilon: float, rate: float, steps: int) -> None:
    sigma = sigma_for(epsilon, DELTA, rate, steps)
    assert 0.97 * epsilon < spent([Mechanism(sigma, rate, steps)], DELTA) <= epsilon


def test_what_no_noise_gives_is_refused() -> None:
    with pytest.raises(Usage) as refused:
        sigma_for(1e-9, DELTA, 1.0, 1_000_000)
    assert refused.value.code == "privacy.unreachable"


def test_the_gate_derives_sigma_and_steps() -> None:
    found = resolve(Privacy("speaker", 8.0, DELTA, 1.0, 0.1), 40)
    assert (found.steps, found.epsilon) == (40, 8.0)
    assert found.sigma == sigma_for(8.0, DELTA, 0.1, 40)


def test_spending_knows_before_and_after() -> None:
    first, second = spending("voices", {"spk_bb": [RUN], "spk_aa": []}, RUN, DELTA)
    assert (first.subject, first.spent, first.after) == ("spk_aa", 0, spent([RUN], DELTA))
    assert second.spent == first.after < second.after


@pytest.mark.parametrize(
    "wrong", [Mechanism(1, 0, 1), Mechanism(1, 1.1, 1), Mechanism(1, 0.1, -1), Mechanism(-1, 0.1, 1)]
)
def test_what_is_no_mechanism_is_refused(wrong: Mechanism) -> None:
    with pytest.raises(Usage):
        spent([wrong], DELTA)


@pytest.mark.parametrize("delta", [0.0, 1.0])
def test_what_is_no_delta_is_refused(delta: float) -> None:
    with pytest.raises(Usage):
        spent([RUN], delta)


# What a trainer told, beside what is counted here


@pytest.mark.parametrize("far", [0.0, 0.009, -0.009])
def test_a_trainer_s_count_within_one_percent_agrees(far: float) -> None:
    assert disagreement(100, spent([RUN], DELTA) * (1 + far), RUN, DELTA) == ""
    assert disagreement(50, spent([Mechanism(1.0, 0.1, 50)], DELTA) * (1 + far), RUN, DELTA) == ""


@pytest.mark.parametrize("far", [0.011, -0.011, 1.0, math.inf, math.nan])
def test_a_trainer_s_count_beyond_one_percent_is_no_count(far: float) -> None:
    assert "by PRV" in disagreement(100, spent([RUN], DELTA) * (1 + far), RUN, DELTA)


def test_at_a_small_epsilon_prv_may_err_by_what_it_says_that_it_does() -> None:
    quiet = Mechanism(20.0, 0.1, 10)
    assert spent([quiet], DELTA) < 0.5
    assert disagreement(10, spent([quiet], DELTA) + 0.0105, quiet, DELTA) == ""
    assert disagreement(10, spent([quiet], DELTA) + 0.02, quiet, DELTA) != ""


@pytest.mark.parametrize("step", [0, -1, 101])
def test_an_epsilon_of_a_step_that_was_not_granted_is_none(step: int) -> None:
    assert "were granted" in disagreement(step, spent([RUN], DELTA), RUN, DELTA)


def test_an_upper_bound_that_lies_below_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    counted = spent([RUN], DELTA)
    monkeypatch.setattr(counting, "_rdp", lambda *_: counted * 0.99)
    assert "RDP" in disagreement(100, counted, RUN, DELTA)


@pytest.mark.parametrize("sigma", [0.5, 1.0, 4.0, 50.0])
@pytest.mark.parametrize(("rate", "steps"), [(0.01, 100), (0.5, 4), (1.0, 1)])
def test_the_bound_is_never_below_the_count(sigma: float, rate: float, steps: int) -> None:
    this = Mechanism(sigma, rate, steps)
    assert disagreement(steps, spent([this], DELTA), this, DELTA) == ""
