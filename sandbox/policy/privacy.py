"""Differential privacy: asked for where the agreement requires it, for the person as the unit, within its caps."""

from __future__ import annotations

from collections.abc import Iterator

from sandbox.policy.facts import Facts, chosen
from sandbox.policy.rule import Finding, Rule
from sandbox.runs import Request


def _required(request: Request, facts: Facts) -> Iterator[Finding]:
    if facts.terms and facts.terms.dp_required and request.privacy is None and request.dataset is not None:
        yield Finding(request.agreement, "it requires differential privacy")


def _unit(request: Request, _: Facts) -> Iterator[Finding]:
    if request.privacy and request.privacy.unit != "speaker":
        yield Finding(request.privacy.unit, "an epsilon per recording protects no person")


def _unsupported(request: Request, facts: Facts) -> Iterator[Finding]:
    if request.privacy and facts.recipe and facts.recipe.dp != "supported":
        yield Finding(request.recipe, "it cannot train with differential privacy")


def _epsilon(request: Request, facts: Facts) -> Iterator[Finding]:
    if request.privacy and facts.terms and not 0 < request.privacy.epsilon <= facts.terms.max_epsilon:
        yield Finding(
            "epsilon", f"{request.privacy.epsilon:g} is asked for, {facts.terms.max_epsilon:g} is the most"
        )


def _delta(request: Request, facts: Facts) -> Iterator[Finding]:
    if request.privacy and facts.terms and not 0 < request.privacy.delta <= facts.terms.max_delta:
        yield Finding(
            "delta", f"{request.privacy.delta:g} is asked for, {facts.terms.max_delta:g} is the most"
        )
    people = len(chosen(request, facts)) if request.privacy and facts.manifest else 0
    if request.privacy and request.privacy.delta * people >= 1:  # one of them could be given away outright
        yield Finding("delta", f"{request.privacy.delta:g} is not below one over {people} people")


RULES = (
    Rule(
        "privacy.required", "3.2(c) (V28)", "The agreement requires differential privacy.",
        "set privacy: {unit: speaker, epsilon: …}", _required,
    ),
    Rule("privacy.unit", "3.2(c) (V28)", "The unit of privacy is not the person.", "unit: speaker", _unit),
    Rule(
        "privacy.unsupported", "3.2(c)", "The recipe has no private way to train.",
        "use a recipe whose card says dp: supported", _unsupported,
    ),
    Rule(
        "privacy.epsilon", "3.2(c)", "More privacy loss is asked for than the agreement allows in all.",
        "ask for a smaller epsilon", _epsilon,
    ),
    Rule(
        "privacy.delta", "3.2(c)", "A larger delta is asked for than the agreement or the number of people allows.",
        "ask for a smaller delta", _delta,
    ),
)  # fmt: skip
