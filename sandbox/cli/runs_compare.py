"""`sandbox runs compare`: what differs between runs, and how their metrics went, side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import click

from sandbox.cli.context import Context, current
from sandbox.cli.show import grid
from sandbox.errors import Usage

Run = Mapping[str, Any]
FACTS = ("recipe", "recipe_digest", "purpose", "dataset", "manifest_digest", "agreement", "image_id")
BARS = "▁▂▃▄▅▆▇█"
WIDTH = 24


@click.command()
@click.argument("names", nargs=-1, required=True, metavar="RUN RUN…")
@click.option("--all", "everything", is_flag=True, help="Also what is the same in all of them.")
def compare(names: tuple[str, ...], everything: bool) -> None:
    """\b
    sandbox runs compare r-7f3k9w r-8g4m2q

    Parameters, data, recipe and privacy where they differ; then each metric: how it went, and where it ended.
    """
    if len(set(names)) < 2:
        raise Usage("comparing takes two runs or more", mend="sandbox runs list")
    here = current()
    with here.gate() as gate:
        found = [gate.get(f"/v1/runs/{name}") for name in names]
    facts = [row for row in rows(found) if everything or len(set(row[1:])) > 1]
    curves = metrics(found)
    if here.as_json:
        here.emit({"runs": list(names), "facts": facts, "metrics": curves})
        return
    grid(here.console, ("", *names), facts or [("(the same)", *("" for _ in names))])
    here.console.print("")
    curved = fits(here)
    for name, of_runs in curves.items():
        lines = [
            (run, f"{points[-1]['value']:g} at {points[-1]['step']:g}", spark(points) if curved else "")
            for run, points in of_runs.items()
        ]
        grid(here.console, (name, "last", ""), lines)


def fits(here: Context) -> bool:
    """Whether the screen can write the bars of a curve."""
    return (here.console.encoding or "").lower().startswith("utf")


def rows(found: Sequence[Run]) -> list[tuple[str, ...]]:
    """A line a fact, a column a run; what a run does not have is empty."""
    told = [_facts(run) for run in found]
    names = list(dict.fromkeys(name for one in told for name in one))
    return [(name, *(one.get(name, "") for one in told)) for name in names]


def _facts(run: Run) -> dict[str, str]:
    plan = run["plan"]
    facts = {"state": str(run.get("outcome") or run["state"]), "failure": str(run.get("failure") or "")}
    facts |= {name: _short(plan.get(name)) for name in FACTS}
    facts |= {
        "people": str(len(plan["subjects"])),
        "inputs": " ".join(_short(i["digest"]) for i in plan["inputs"]),
    }
    facts |= {f"parameters.{name}": str(value) for name, value in sorted(plan["parameters"].items())}
    facts |= {f"privacy.{name}": str(value) for name, value in (plan.get("privacy") or {}).items()}
    facts["epsilon"] = "no DP" if run.get("epsilon") is None else f"{run['epsilon']:.4g} a person"
    return facts


def _short(value: object) -> str:
    text = "" if value is None else str(value)
    return f"{text[:12]}…" if len(text) == 64 else text


def metrics(found: Sequence[Run]) -> dict[str, dict[str, list[dict[str, float]]]]:
    """metric -> run -> its points, in order."""
    curves: dict[str, dict[str, list[dict[str, float]]]] = {}
    for run in found:
        for name, points in run["metrics"].items():
            curves.setdefault(name, {})[str(run["id"])] = points
    return curves


def spark(points: Sequence[Mapping[str, float]], width: int = WIDTH) -> str:
    """The curve as at most ``width`` bars, each the mean of its share of the points."""
    values = [float(point["value"]) for point in points]
    size = max(1, -(-len(values) // width))
    means = [sum(part) / len(part) for part in (values[i : i + size] for i in range(0, len(values), size))]
    low, high = min(means), max(means)
    span = high - low or 1.0
    return "".join(BARS[round((mean - low) / span * (len(BARS) - 1))] for mean in means)
