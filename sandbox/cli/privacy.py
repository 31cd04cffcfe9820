"""`sandbox privacy audit|membership`: what guesses prove about the engine, or a model, beside what is claimed."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from sandbox.cli.context import Context, current
from sandbox.cli.recipe_files import bundle, files, find
from sandbox.cli.roc_view import roc_lines
from sandbox.cli.run_story import Story
from sandbox.cli.run_view import judge, until_settled
from sandbox.cli.show import grid, marks
from sandbox.errors import EvidenceMismatch, RunFailed
from sandbox.policy import membership

RECIPE = "privacy-audit"
FIGURES = ("claim", "lower_bound", "guesses", "correct")


@click.group()
def privacy() -> None:
    """\b
    sandbox privacy audit
    sandbox privacy audit -p model=fastpitch -p canaries=60
    sandbox privacy membership voices-dp@1
    """


@privacy.command()
@click.option(
    "-p", "parameters", multiple=True, metavar="NAME=VALUE", help="A parameter of recipes/privacy-audit."
)
def audit(parameters: tuple[str, ...]) -> None:
    """\b
    sandbox privacy audit
    sandbox privacy audit -p epsilon=2 -p canaries=400

    Trains privately on made-up people in the real container, half of them by a coin, and guesses from every update who
    was in. The guesses rule out, with 95 % confidence, every epsilon below a bound. A bound above the claim proves the
    claim false (exit 6); one below it proves nothing. Steinke, Nasr, Jagielski 2023.
    """
    here = current()
    asked = dict(_named(text) for text in parameters)
    found = _figures(here, asked)
    kept = found["lower_bound"] <= found["claim"]
    if here.as_json:
        here.emit({**found, "kept": kept, "confidence": 0.95})
    else:
        _show(here, found)
    if not kept:
        raise EvidenceMismatch(
            f"epsilon is at least {found['lower_bound']:g}, and {found['claim']:g} is claimed",
            code="privacy.claim_false",
            mend="train nothing privately until this is understood; sandbox incident kill --scope all",
        )


@privacy.command(name="membership")
@click.argument("model")
def membership_(model: str) -> None:
    """\b
    sandbox privacy membership voices-dp@1

    What attacks on a model found: who was in it, guessed by what it loses on each person's recordings, and the epsilon
    that the guesses rule out. A run of recipes/membership attacks it (configs/runs/membership.yaml); the gate, which
    knows who was in, judges. A bound above the claim stops the model (exit 6); one below it proves nothing.
    """
    here = current()
    with here.gate() as gate:
        found = list(gate.get(f"/v1/models/{model}/card")["attacks"])
    if here.as_json:
        for one in found:
            here.emit(one)
    else:
        for one in found or [{"run": "", "why": "by nobody yet: sandbox run configs/runs/membership.yaml"}]:
            here.console.print(f"\n[bold]{model}[/bold] {one['run']}", highlight=False)
            grid(here.console, ("", ""), membership.told(one))
            for attack in one.get("attacks", ()):
                here.console.print(
                    "\n".join(roc_lines(attack["score"], attack["roc"])), markup=False, highlight=False
                )
    if false := [one for one in found if one.get("refutes")]:
        worst = max(false, key=lambda one: float(one["lower_bound"]))
        held = worst["incident"]
        raise EvidenceMismatch(
            f"epsilon of {model} is at least {worst['lower_bound']:.3g}, and {worst['claim']['epsilon']:g} is claimed",
            code="privacy.claim_false",
            mend=f"it is no input while incident {held} is open: sandbox incident show {held}",
        )


def _named(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise click.BadParameter(f"{text!r} is not NAME=VALUE", param_hint="-p")
    return name, value


def _figures(here: Context, parameters: Mapping[str, Any]) -> dict[str, float]:
    """The four figures of a dry run. Raises RunFailed when it did not finish or said fewer."""
    folder = find(RECIPE, Path.cwd() / RECIPE, mend="go to the folder that holds recipes/, and ask again")
    with here.gate() as gate:
        run = str(gate.post("/v1/dry-runs", {**bundle(files(folder)), "parameters": dict(parameters)})["run"])
        story = Story(run, marks(sys.stdout))
        for event in until_settled(gate, story):
            story.update(event)
    judge(story)
    if not set(FIGURES) <= set(story.metrics):
        raise RunFailed("the audit said nothing", mend=f"sandbox runs show {run}")
    return {name: story.metrics[name] for name in FIGURES}


def _show(here: Context, found: Mapping[str, float]) -> None:
    grid(
        here.console,
        ("privacy", "epsilon"),
        [
            ("claimed", f"{found['claim']:g}"),
            ("proved at least", f"{found['lower_bound']:g} (95 % confidence)"),
            ("guesses", f"{found['correct']:g} of {found['guesses']:g} right"),
        ],
    )
