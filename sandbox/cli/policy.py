"""``sandbox policy explain|test``: a decision and its reasons once more, and cases decided before anybody asks."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from sandbox.cli.context import current
from sandbox.cli.show import Marks, grid, local_time, marks
from sandbox.errors import EvidenceMismatch

FILE = click.Path(path_type=Path, dir_okay=False, exists=True)


@click.group()
def policy() -> None:
    """\b
    sandbox policy explain d-55e1
    sandbox policy test configs/policy-tests/demo.yaml --agreement configs/agreements/demo.yaml
    """


@policy.command()
@click.argument("decision")
@click.option("--facts", is_flag=True, help="Every fact that it used, in full.")
def explain(decision: str, facts: bool) -> int:
    """\b
    sandbox policy explain d-55e1
    sandbox policy explain d-55e1 --facts --json

    The stored facts are decided once more, by the same pure rules: the answer must be the same. Exit code 6: it is not.
    """
    here = current()
    with here.gate() as gate:
        found = gate.get(f"/v1/decisions/{decision}")
        again = gate.get(f"/v1/decisions/{decision}/replay")
    code = 0 if again["same"] else EvidenceMismatch.exit_code
    if here.as_json:
        here.emit({**found, "replay": again} if facts else {**_brief(found), "replay": again})
        return code
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
    for what, at, why in _ends(found["facts"], again):
        here.console.print(f"{what} {local_time(at)} ({why})", markup=False, soft_wrap=True)
    here.console.print(f"decided again from the stored facts: {_compared(again, mark)}", markup=False)
    for fault in again.get("faults", ()):
        here.console.print(f"  {mark.bad} {fault}", markup=False, soft_wrap=True)
    if facts:
        import json

        here.console.print(json.dumps(found["facts"], indent=2, ensure_ascii=False), markup=False)
    return code


@policy.command()
@click.argument("cases", type=FILE)
@click.option("--agreement", required=True, type=FILE, help="The terms to decide under; a draft will do.")
def test(cases: Path, agreement: Path) -> int:
    """\b
    sandbox policy test configs/policy-tests/demo.yaml --agreement configs/agreements/demo.yaml

    Every case is decided by the rules that admit runs. Needs no service. Exit code 6: one came out otherwise.
    """
    from sandbox.cli.policy_cases import as_json, show
    from sandbox.policy.agreement import Agreement
    from sandbox.policy.cases import try_cases
    from sandbox.policy.documents import read
    from sandbox.policy.terms import Terms
    from sandbox.statements import sha256

    here, data = current(), agreement.read_bytes()
    terms = read(data, Terms, agreement.name)
    found = try_cases(cases.read_bytes(), cases.name, Agreement(terms, sha256(data)))
    if here.as_json:
        for outcome in found:
            here.emit(as_json(outcome))
    else:
        show(here.console, found, terms)
    return 0 if all(outcome.as_expected for outcome in found) else EvidenceMismatch.exit_code


def _ends(facts: Mapping[str, Any], again: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Until when the run may last, and which of the consents, the period told and the agreement ends first (2.3)."""
    from sandbox.policy.ends import of_facts
    from sandbox.policy.facts import Facts
    from sandbox.runs import utc

    if again.get("expires"):
        yield (
            "the run ends at the latest",
            str(again["expires"]),
            str(again.get("expires_why") or "as granted"),
        )
    try:
        end = of_facts(Facts.from_json(facts))
    except ValueError:  # the replay below says that they cannot be read
        return
    if end is not None:
        yield "the first of its voices ends", utc(end.at), end.why


def _compared(again: Mapping[str, Any], mark: Marks) -> str:
    if again["same"]:
        return f"{mark.good} the same answer"
    if again["now"] != again["then"]:
        return f"{mark.bad} another answer now: {again['now']}"
    return f"{mark.bad} not as it was logged"


def _brief(found: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in found.items() if name != "facts"}
