"""How a table of cases looks once it was decided: every case with its answer, and what came out otherwise."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sandbox.cli.show import grid, marks

if TYPE_CHECKING:
    from rich.console import Console

    from sandbox.policy.cases import Outcome
    from sandbox.policy.terms import Terms


def show(screen: Console, found: Sequence[Outcome], terms: Terms) -> None:
    from rich.markup import escape

    mark = marks(screen.file)
    rows = [
        (
            f"{mark.good if one.as_expected else mark.bad} {one.line}",
            escape(one.case),
            said(one.codes) if one.as_expected else f"{said(one.codes)}; expected {said(one.expected)}",
        )
        for one in found
    ]
    grid(screen, ("  line", "case", "the rules say"), rows)
    for one in found:
        if not one.as_expected:
            for reason in one.reasons:
                if reason.code not in one.expected:
                    screen.print(
                        f"  {mark.bad} {one.line} {reason.code}: {reason.about}: {reason.why}",
                        markup=False,
                        soft_wrap=True,
                    )
    well = sum(one.as_expected for one in found)
    screen.print(
        f"{well} of {len(found)} cases as expected under {terms.metadata.id} v{terms.metadata.version}"
    )


def said(codes: Sequence[str]) -> str:
    return ", ".join(codes) or "permitted"


def as_json(one: Outcome) -> dict[str, Any]:
    return {
        "case": one.case,
        "line": one.line,
        "as_expected": one.as_expected,
        "expected": list(one.expected),
        "permitted": not one.codes,
        "codes": list(one.codes),
    }
