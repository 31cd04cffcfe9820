"""The purpose and the recipe: a closed list, a recipe bound to purposes, its exact bytes approved by two reviewers."""

from __future__ import annotations

from collections.abc import Iterator

from sandbox.policy.facts import Facts, speakers
from sandbox.policy.reviewed import RecipeFacts
from sandbox.policy.rule import AGREED, BOTH, Finding, Rule
from sandbox.runs import PURPOSES, Request

REVIEWERS = 2
SHOWN = 8  # files of a changed recipe that a refusal names


def _unknown(request: Request, facts: Facts) -> Iterator[Finding]:
    if facts.terms and (request.purpose not in facts.terms.purposes or request.purpose not in PURPOSES):
        yield Finding(
            request.purpose, f"the agreement's purposes are {', '.join(facts.terms.purposes) or '(none)'}"
        )


def _dataset(request: Request, facts: Facts) -> Iterator[Finding]:
    if facts.terms is None:
        return
    for name in sorted({dataset for dataset, _ in speakers(request, facts)}):
        limits = facts.terms.datasets.get(name)
        if limits and request.purpose in facts.terms.purposes and request.purpose not in limits.purposes:
            yield Finding(name, f"the agreement gives it for {', '.join(limits.purposes) or 'nothing'}")


def _manifest(request: Request, facts: Facts) -> Iterator[Finding]:
    found = facts.manifest
    limits = facts.terms.datasets.get(found.dataset) if found and facts.terms else None
    if found and limits and request.purpose in limits.purposes and request.purpose not in found.purposes:
        yield Finding(
            found.dataset, f"version {found.version} was sealed for {', '.join(found.purposes) or 'nothing'}"
        )


def _recipe(request: Request, facts: Facts) -> Iterator[Finding]:
    found = facts.recipe
    if found is None or found.digest != request.recipe_digest or found.name != request.recipe:
        yield Finding(request.recipe, f"no recipe has the digest {request.recipe_digest[:12]}… and this name")


def _recipe_purpose(request: Request, facts: Facts) -> Iterator[Finding]:
    if facts.recipe and request.purpose not in facts.recipe.purposes:
        yield Finding(
            request.recipe, f"made for {', '.join(facts.recipe.purposes)}, not for {request.purpose}"
        )


def _approved(request: Request, facts: Facts) -> Iterator[Finding]:
    if facts.recipe is None:
        return
    others = sorted(set(facts.recipe.approved_by) - {facts.name})
    if len(others) >= REVIEWERS:
        return
    by = ", ".join(others) or "nobody else"
    why = f"approved for {request.purpose} by {by}; {REVIEWERS} reviewers besides {facts.name} are needed"
    otherwise = sorted(set(facts.recipe.approved_otherwise) - {facts.name})
    if otherwise:
        why += f"; for other purposes only by {', '.join(otherwise)}"
    yield Finding(
        request.recipe, why + _differs(facts.recipe), f"sandbox recipe review {request.recipe_digest[:12]}"
    )


def _differs(recipe: RecipeFacts) -> str:
    """What the reviewers of the last version have not seen."""
    if not recipe.change.before:
        return "; no version of it was approved before"
    files = [f"{file.path} +{file.added} -{file.removed}" for file in recipe.change.files]
    more = f" and {len(files) - SHOWN} more" if len(files) > SHOWN else ""
    return f"; approved last: {recipe.change.before[:12]}…, it differs in {', '.join(files[:SHOWN])}{more}"


def _revoked(request: Request, facts: Facts) -> Iterator[Finding]:
    if facts.recipe and facts.recipe.revoked_by:
        by = ", ".join(facts.recipe.revoked_by)
        yield Finding(
            request.recipe,
            f"{by} revoked it",
            f"why stands in its history: sandbox recipe review {request.recipe_digest[:12]}",
        )


RULES = (
    Rule(
        "purpose.unknown", "4.1, 4.2", "The purpose is none of the agreement's.",
        "ask for one of its purposes; widening is a new signed version", _unknown,
    ),
    Rule(
        "purpose.not_for_dataset", "4.1 (V05)", "The dataset was not given for this purpose.",
        "use another dataset, or agree on a new version", _dataset,
    ),
    Rule(
        "purpose.not_sealed_for", "4.1", "This version of the dataset was sealed for other purposes.",
        "have the custodian seal a version for the purpose", _manifest,
    ),
    Rule(
        "recipe.unknown", "4.2; default deny 3", "No recipe with this name and digest was submitted.",
        "sandbox recipe submit recipes/NAME", _recipe, BOTH,
    ),
    Rule(
        "recipe.purpose", "4.2", "The recipe was made for other purposes.",
        "ask for a purpose that stands on its card", _recipe_purpose, BOTH,
    ),
    Rule(
        "recipe.unapproved", "3.2(a), 4.3", "Two reviewers have not approved these exact bytes for this purpose.",
        "have them look at it: sandbox recipe review NAME", _approved, AGREED,
    ),
    Rule(
        "recipe.revoked", "3.2(a), 4.3", "A reviewer revoked these exact bytes.",
        "run another version; who revoked it may approve it again", _revoked, AGREED,
    ),
)  # fmt: skip
