"""`sandbox privacy audit|membership`: figures beside the claim, a curve in text, and exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest

from sandbox.cli.roc_view import roc_lines
from tests.cli.conftest import Gate, Sandbox

ROOT = Path(__file__).parents[2]


def answers(gate: Gate, **figures: float) -> None:
    gate.answers["POST", "/v1/dry-runs"] = httpx.Response(200, json={"run": "r-7f3k9w"})
    said = [
        ("metric", json.dumps({"name": name, "step": 5, "value": value})) for name, value in figures.items()
    ]
    settled = {"state": "settled", "outcome": "finished"}
    gate.events("r-7f3k9w", *said, ("state", json.dumps(settled)))


@pytest.fixture(autouse=True)
def beside_the_recipes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


def test_a_claim_that_stands_is_told_with_what_was_proved(gate: Gate, sandbox: Sandbox) -> None:
    answers(gate, claim=1.0, lower_bound=0.31, guesses=200, correct=131)
    said = sandbox("privacy", "audit", "-p", "epsilon=1", "-p", "canaries=200")
    assert said.code == 0 and "0.31 (95 % confidence)" in said.out and "131 of 200 right" in said.out
    asked = json.loads(gate.asked[0].content)
    assert asked["parameters"] == {"epsilon": "1", "canaries": "200"} and "recipe.py" in asked["files"]


def test_a_claim_that_is_proved_false_is_no_success(gate: Gate, sandbox: Sandbox) -> None:
    answers(gate, claim=1.0, lower_bound=3.9, guesses=200, correct=200)
    said = sandbox("privacy", "audit", "-p", "noise=false")
    assert said.code == 6 and "epsilon is at least 3.9, and 1 is claimed" in said.err


def test_programs_read_the_figures(gate: Gate, sandbox: Sandbox) -> None:
    answers(gate, claim=1.0, lower_bound=0.31, guesses=200, correct=131)
    found = json.loads(sandbox("--json", "privacy", "audit").out)
    assert (found["kept"], found["lower_bound"], found["confidence"]) == (True, 0.31, 0.95)


def test_an_audit_that_says_nothing_is_no_audit(gate: Gate, sandbox: Sandbox) -> None:
    answers(gate, claim=1.0)
    assert sandbox("privacy", "audit").code == 4


def test_a_parameter_has_a_name_and_a_value(gate: Gate, sandbox: Sandbox) -> None:
    assert sandbox("privacy", "audit", "-p", "epsilon").code == 2 and gate.asked == []


# Attacks on a model


def attack(refutes: bool, **changes: object) -> dict[str, object]:
    curve = [[0.0, 0.0], [0.0, 0.5], [0.5, 0.75], [1.0, 1.0]]
    one = {
        "score": "person_loss",
        "auc": 0.78,
        "tpr_low": 0.5,
        "tpr_high": 0.5,
        "lower_bound": 0.9,
        "roc": curve,
    }
    found = {"run": "r-7f3k9w", "at": "2026-05-01T00:00:00Z", "members": 24, "others": 24, "attacks": [one]}
    found |= {
        "claim": {"epsilon": 0.5 if refutes else 8.0, "delta": 1e-5},
        "confidence": 0.95,
        "refutes": refutes,
    }
    return {**found, "lower_bound": 0.9, "incident": "i-abc234", **changes}


def card(gate: Gate, *attacks: dict[str, object]) -> None:
    gate.answers["GET", "/v1/models/voices-dp@1/card"] = httpx.Response(200, json={"attacks": list(attacks)})


def test_an_attack_is_told_with_its_curve_and_with_what_it_does_not_prove(
    gate: Gate, sandbox: Sandbox
) -> None:
    card(gate, attack(refutes=False))
    said = sandbox("privacy", "membership", "voices-dp@1")
    assert said.code == 0 and "24 in it, 24 not" in said.out and "AUC 0.78" in said.out
    assert "epsilon 8" in said.out and "epsilon 0.90 (95% confidence)" in said.out
    assert "An attack that fails proves nothing" in said.out
    assert [line for line in said.out.splitlines() if "*" in line and "|" in line]


def test_a_claim_that_an_attack_proved_false_is_no_success(gate: Gate, sandbox: Sandbox) -> None:
    card(gate, attack(refutes=False), attack(refutes=True))
    said = sandbox("privacy", "membership", "voices-dp@1")
    assert said.code == 6 and "THE CLAIM IS FALSE" in said.out
    assert "at least 0.9, and 0.5 is claimed" in said.err and "sandbox incident show i-abc234" in said.err


def test_a_model_without_a_claim_is_told_about_only(gate: Gate, sandbox: Sandbox) -> None:
    card(gate, attack(refutes=False, claim=None))
    said = sandbox("privacy", "membership", "voices-dp@1")
    assert said.code == 0 and "nothing, it has no bound" in said.out


@pytest.mark.parametrize(
    "found", [[], [{"run": "r-7f3k9w", "at": "", "of": "r-abc234", "why": "it met other people"}]]
)
def test_what_was_never_judged_says_why(gate: Gate, sandbox: Sandbox, found: list[dict[str, object]]) -> None:
    card(gate, *found)
    said = sandbox("privacy", "membership", "voices-dp@1")
    assert said.code == 0 and ("met other people" in said.out if found else "by nobody yet" in said.out)


def test_programs_read_every_attack(gate: Gate, sandbox: Sandbox) -> None:
    card(gate, attack(refutes=False))
    found = json.loads(sandbox("--json", "privacy", "membership", "voices-dp@1").out)
    assert found["attacks"][0]["roc"][0] == [0.0, 0.0] and found["lower_bound"] == 0.9


@pytest.mark.parametrize(
    ("curve", "corner"),
    [([(0.0, 0.0), (0.0, 1.0), (1.0, 1.0)], "*"), ([(0.0, 0.0), (1.0, 0.0), (1.0, 1.0)], " ")],
    ids=["everybody is caught", "nobody is"],
)
def test_a_curve_is_drawn_from_below_left_to_above_right(
    curve: list[tuple[float, float]], corner: str
) -> None:
    drawn = roc_lines("a score", curve)[1:12]
    top, bottom = drawn[0], drawn[-1]
    assert top[7] == corner and top[47] == "*" and bottom[7] == ("." if corner == "*" else "*")
    assert {len(line) for line in drawn} == {len(top)}
