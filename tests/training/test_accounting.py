"""PRV in the container against PLD and RDP at the gate.

The gate's figures are recorded, made by ``sandbox.policy.epsilon`` (``spent`` and ``bound``, dp-accounting 0.6) on the
host: neither environment has both libraries.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from opacus.accountants import PRVAccountant

from sandbox.training.accounting import epsilon_of, spent, within

# sigma, rate, steps, delta, PLD, RDP; tests/policy/test_accountants.py holds the host's two to the same page
GATE = [
    pytest.param(1.0, 1.0, 1, 1e-5, 4.3772, 4.7527, id="once"),
    pytest.param(1.0, 0.1, 100, 1e-5, 7.0466, 7.9729, id="a tenth, a hundred times"),
    pytest.param(2.0, 0.25, 20, 1e-5, 2.7958, 3.1236, id="a quarter, twenty times"),
    pytest.param(0.8, 0.05, 200, 1e-5, 7.7022, 8.754, id="little noise"),
    pytest.param(4.0, 0.5, 40, 1e-6, 3.9433, 4.2551, id="half, much noise"),
    pytest.param(1.2, 0.02, 1000, 1e-6, 3.1767, 3.4573, id="a thousand steps"),
    pytest.param(0.6, 0.5, 4, 1e-5, 14.389, 16.3767, id="few people"),
    pytest.param(1.5, 1.0, 10, 1e-5, 10.6695, 11.4684, id="everybody"),
]


@pytest.mark.parametrize(("sigma", "rate", "steps", "delta", "pld", "rdp"), GATE)
def test_the_container_counts_what_the_gate_counts(
    sigma: float, rate: float, steps: int, delta: float, pld: float, rdp: float
) -> None:
    found = epsilon_of(sigma, rate, steps, delta)
    assert found == pytest.approx(pld, rel=0.01)
    assert found < rdp
    assert within(found, pld)


def test_the_page_tells_the_containers_own_figures() -> None:
    page = (Path(__file__).parents[2] / "docs" / "privacy.md").read_text("utf-8")
    for case in GATE:
        sigma, rate, steps, delta, pld, rdp = case.values
        prv = epsilon_of(sigma, rate, steps, delta)  # type: ignore[arg-type]
        assert f"| {sigma} | {rate} | {steps} | {delta:g} | {prv:.4f} | {pld:.4f} | {rdp:.4f} |" in page


def test_less_noise_than_anybody_may_ask_for_is_counted_without_a_grid() -> None:
    """PRV's grid would take all memory: RDP's bound is the answer, far over every target."""
    assert epsilon_of(0.3, 1.0, 10_000, 1e-9) > 1000


def test_nothing_spent_is_nothing() -> None:
    assert spent(PRVAccountant(), 1e-5) == 0.0


def test_a_loss_is_never_below_zero() -> None:
    assert epsilon_of(1000.0, 0.001, 1, 0.1) == 0.0


def test_steps_one_by_one_cost_what_they_cost_together() -> None:
    accountant = PRVAccountant()
    for _ in range(20):
        accountant.step(noise_multiplier=2.0, sample_rate=0.25)
    assert spent(accountant, 1e-5) == epsilon_of(2.0, 0.25, 20, 1e-5)


@pytest.mark.parametrize(
    ("epsilon", "kept"),
    [(8.0, True), (8.1, True), (8.25, False), (16.0, False)],
    ids=str,
)
def test_a_target_is_kept_but_for_what_two_accountants_differ_by(epsilon: float, kept: bool) -> None:
    assert within(epsilon, 8.0) is kept
