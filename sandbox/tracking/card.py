"""A model's card as MLflow shows it: Markdown out of what was signed, so that ``reconcile`` can hold it to its word.

Headings follow Mitchell et al. 2019, "Model Cards for Model Reporting", as far as facts stand for them. What changes
later (taint, withdrawal, release) stands in the tags beside it, and quality in ``sandbox models show``. Pure.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable

from sandbox.lineage import public_base
from sandbox.runs import Grant, Privacy
from sandbox.tracking.tags import ModelRecord

PARAMETERS_MAX = 1000  # characters of 5000; they stand whole in MLflow's params
NO_BOUND = "Trained without differential privacy: nothing bounds what its weights tell of anybody whose voice it heard."
NO_PEOPLE = (
    "No voice of any dataset here was heard. Whose voices the published model was made from, and what its weights tell "
    "of them, is not known here."
)
NOT_THEIRS = (
    "It began from a model: of the people of that one this claim says nothing, and nothing bounds what is told of them "
    "unless its own card does."
)
NOTICE = (
    "**Confidential. Derivative result of Party A** under agreement `{agreement}`. Not to be disclosed, licensed or "
    "transferred without Party A's written consent (clause 3.3)."
)
LIMITS = (
    "A voice model is never anonymous: weights can memorise, and no test proves that they did not.",
    "It opens only inside a container run that names it as input and was admitted, or by a signed release.",
    "Whose consent is needed to use it: everybody's in its lineage, each time, for that purpose.",
)


def text(grant: Grant, model: ModelRecord) -> str:
    """The card of ``model``, which the run of ``grant`` made."""
    return "\n\n".join(
        [
            f"# {model.name} v{model.version}",
            NOTICE.format(agreement=grant.agreement),
            _section("Data", data(grant)),
            _section("Training", training(grant, model)),
            f"## Privacy\n\n{privacy(grant)}",
            "## Limits\n\n" + "\n".join(f"- {line}" for line in LIMITS),
        ]
    )


def data(grant: Grant) -> list[tuple[str, str]]:
    """Whose voices, by number; no pseudonym."""
    rows = []
    if grant.dataset is not None:
        rows += [
            ("dataset", f"{grant.dataset}, manifest sha256:{grant.manifest_digest}"),
            ("people", f"{len(grant.subjects)}, each of whom had consented to this purpose when it began"),
        ]
    if (base := public_base(grant)) is not None:
        rows.append(("public base", f"{base.model}, sha256:{base.sha256}"))
        rows.append(("licence, source", f"{base.licence}, {base.source}, by the word of {grant.person}"))
    rows += [
        ("made from", f"{item.origin} of {item.run}, sha256:{item.digest}; its people are in the lineage")
        for item in grant.inputs
        if not item.public
    ]
    return rows


def training(grant: Grant, model: ModelRecord) -> list[tuple[str, str]]:
    parameters = ", ".join(f"{name} {value}" for name, value in sorted(grant.parameters.items())) or "none"
    parameters = textwrap.shorten(parameters, PARAMETERS_MAX, placeholder=" …")
    return [
        ("purpose", grant.purpose),
        ("recipe", f"{grant.recipe}, sha256:{grant.recipe_digest}"),
        ("parameters", parameters),
        ("run", f"{grant.run}, grant {grant.grant}, asked by {grant.person}"),
        ("image", grant.image_id),
        ("artifact", f"{model.path}, step {model.step}, {model.size} bytes sealed, sha256:{model.sha256}"),
    ]


def privacy(grant: Grant) -> str:
    """The claim with its unit, or that there is none. Epsilon without a unit says nothing and is never written."""
    found = grant.privacy
    if found is None:
        return NO_BOUND if public_base(grant) is None else NO_PEOPLE
    return f"{_claim(found)} {NOT_THEIRS}" if grant.inputs else _claim(found)


def _claim(found: Privacy) -> str:
    return (
        f"Differentially private: what anybody can tell of one {found.unit} is bounded by epsilon {found.epsilon:g} "
        f"at delta {found.delta:g} for this run alone (sigma {found.sigma:g}, clip {found.clip:g}, sampling rate "
        f"{found.sample_rate:g}, {found.steps} steps; counted by PLD outside the training code). Runs add up: see the "
        "budget of each person."
    )


def _section(title: str, rows: Iterable[tuple[str, str]]) -> str:
    lines = "\n".join(f"| {name} | {_cell(value)} |" for name, value in rows)
    return f"## {title}\n\n| | |\n|---|---|\n{lines}"


def _cell(value: str) -> str:
    """A value inside a table: a parameter's text must not end its row."""
    return value.replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ").replace("<", "&lt;")
