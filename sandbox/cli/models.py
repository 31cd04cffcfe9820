"""`sandbox models list|show`: what was made, from how many voices, how well, and whether it may still be used."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import click

from sandbox.cli.context import Context, current
from sandbox.cli.show import grid, local_time


@click.group()
def models() -> None:
    """\b
    sandbox models list
    sandbox models show digits@1
    """


@models.command("list")
def list_() -> None:
    """\b
    sandbox models list

    Every model, the run that made it, and what keeps it from being used.
    """
    here = current()
    with here.gate() as gate:
        found = list(gate.pages("/v1/models"))
    if here.as_json:
        for entry in found:
            here.emit(entry)
        return
    rows = [
        (f"{one['name']}@{one['version']}", str(one["run"]), local_time(str(one["at"])), _state(one))
        for one in found
    ]
    grid(here.console, ("model", "made by", "at", "state"), rows)


@models.command()
@click.argument("model")
@click.option("--markdown", is_flag=True, help="The signed half, as MLflow shows it.")
def show(model: str, markdown: bool) -> None:
    """\b
    sandbox models show digits@1

    The model's card: data, training, privacy, limits, how it stands, and the numbers that evaluating runs reported.
    """
    here = current()
    with here.gate() as gate:
        card = gate.get(f"/v1/models/{model}/card")
    if here.as_json:
        here.emit(card)
    elif markdown:
        click.echo(card["text"])
    else:
        _show(here, card)


def _show(here: Context, card: dict[str, Any]) -> None:
    def section(title: str, rows: Iterable[Iterable[object]]) -> None:
        here.console.print(f"\n[bold]{title}[/bold]")
        grid(here.console, ("", ""), [[str(cell) for cell in row] for row in rows])

    here.console.print(f"{card['model']}   made by {card['run']} at {local_time(card['made_at'])}")
    section("Standing", card["standing"])
    section("Data", [*card["data"], ("voices in its lineage", card["people"])])
    section("Training", card["training"])
    section("Privacy", [("", card["privacy"])])
    here.console.print("\n[bold]Quality[/bold], as the runs' recipes reported it")
    rows = [
        (q["metric"], f"{q['value']:g}", str(int(q["step"])), q["purpose"], q["run"]) for q in card["quality"]
    ]
    grid(here.console, ("metric", "last value", "step", "purpose", "run"), rows)
    section("Limits", [("", line) for line in card["limits"]])


def _state(one: dict[str, Any]) -> str:
    marks = (("tainted: ", one.get("taint")), ("consent withdrawn: ", one.get("withdrawn")))
    return ", ".join(f"{word}{value}" for word, value in marks if value) or "confidential, release denied"


command = models
