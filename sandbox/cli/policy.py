"""``sandbox policy explain``: a decision, its reasons, and whether the same facts still give the same answer."""

from __future__ import annotations

import sys
from typing import Any

import click

from sandbox.cli.context import current
from sandbox.cli.show import grid, local_time, marks


@click.group()
def policy() -> None:
    """\b
    sandbox policy explain d-55e1
    """


@policy.command()
@click.argument("decision")
@click.option("--facts", is_flag=True, help="Every fact that it used, in full.")
def explain(decision: str, facts: bool) -> None:
    """\b
    sandbox policy explain d-55e1
    sandbox policy explain d-55e1 --facts --json

    The stored facts are decided once more, by the same pure rules: the answer must be the same.
    """
    here = current()
    with here.gate() as gate:
        found = gate.get(f"/v1/decisions/{decision}")
        again = gate.get(f"/v1/decisions/{decision}/replay")
    if here.as_json:
        here.emit({**found, "replay": again} if facts else {**_brief(found), "replay": again})
        return
    mark = marks(sys.stdout)
    verdict = f"{mark.good} permitted" if found["permitted"] else f"{mark.bad} refused"
    here.console.print(
        f"{verdict}  {decision} {mark.dot} {found['person']} {mark.dot} {local_time(found['at'])}"
    )
    asked = found["request"]
    named = [
        (name, str(asked.get(name)))
        for name in ("recipe", "agreement", "purpose", "dataset")
        if asked.get(name)
    ]
    grid(here.console, ("asked for", ""), named)
    reasons = [(r["code"], r["about"], r["why"], r["clause"], r["mend"]) for r in found["reasons"]]
    if reasons:
        grid(here.console, ("reason", "about", "why", "clause", "mend"), reasons)
    same = (
        f"{mark.good} the same answer" if again["same"] else f"{mark.bad} another answer now: {again['now']}"
    )
    here.console.print(f"decided again from the stored facts: {same}", markup=False)
    if facts:
        import json

        here.console.print(json.dumps(found["facts"], indent=2, ensure_ascii=False), markup=False)


def _brief(found: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in found.items() if name != "facts"}
