"""The curves on a run's page."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from sandbox.gate.console import pages
from sandbox.gate.console.curves import HEAD, HEIGHT, LEFT, MOST, WIDTH, curve, curves
from sandbox.gate.console.markup import HEADERS
from tests.fakes.keeper import Keeper, begin
from tests.gate.world import BEN, World, request, run_of


def drawn(points: list[dict[str, float]]) -> list[tuple[float, float]]:
    found = ET.fromstring(curve("loss", points))
    (line,) = found.iter("polyline")
    pairs = (pair.split(",") for pair in line.get("points", "").split())
    return [(float(x), float(y)) for x, y in pairs]


def test_a_falling_loss_falls_from_the_upper_left_to_the_lower_right() -> None:
    found = drawn([{"step": step, "value": 10.0 - step} for step in (1, 2, 5)])
    assert [*found[0], *found[-1]] == [LEFT, HEAD, LEFT + WIDTH, HEAD + HEIGHT]
    assert [y for _, y in found] == sorted(y for _, y in found)


def test_a_long_run_is_drawn_by_means() -> None:
    found = drawn([{"step": step, "value": float(step % 2)} for step in range(1, 20_001)])
    assert 2 < len(found) <= MOST and {y for _, y in found} == {found[0][1]}


@pytest.mark.parametrize("value", [0.0, -3.5])
def test_a_flat_curve_and_two_points_of_one_step_are_drawn(value: float) -> None:
    assert len(drawn([{"step": 7, "value": value}] * 2)) == 2


def test_what_was_said_once_is_no_curve() -> None:
    assert curves({"left_out": [{"step": 0, "value": 3.0}]}) == ""


def test_a_name_is_escaped() -> None:
    assert "<b>" not in curve("<b>", [{"step": 1, "value": 1.0}, {"step": 2, "value": 2.0}])


def says_three(keeper: Keeper) -> None:
    begin(keeper)
    for step, value in ((1, 0.75), (2, 0.5), (3, 0.25)):
        keeper.metric(step, value=value)
    keeper.finish()


def test_a_run_s_page_has_the_curve_and_no_script(world: World, gate) -> None:  # type: ignore[no-untyped-def]
    world.script = says_three
    run = run_of(gate, request(subjects=(BEN,)))
    body = bytes(pages._run(gate, run.id).body).decode()
    assert '<svg role="img" aria-label="loss: 0.25 at step 3"' in body and "<h2>Metrics</h2>" in body
    assert "<script" not in body and "script-src" not in HEADERS["Content-Security-Policy"]
