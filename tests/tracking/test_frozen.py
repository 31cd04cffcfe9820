"""A frozen model carries the incidents that hold it, on run, version and logged model, until the last is resumed."""

from __future__ import annotations

from dataclasses import replace

from sandbox.tracking.reconcile import compare
from sandbox.tracking.survey import read_all
from sandbox.tracking.tags import FROZEN
from tests.tracking.test_withdrawn import EXPECTED

HELD = "i-2345 i-6789"
MARKED = tuple(replace(one, frozen=HELD) if one.model else one for one in EXPECTED)


def test_the_mark_comes_and_goes(shown) -> None:
    shown.mark_frozen("r-2345", "digits@1", HELD)
    assert compare(MARKED, read_all(shown)) == ()
    actual = read_all(shown)
    for found in (actual.versions[0], actual.logged[0], *(r for r in actual.runs if r.id == "r-2345")):
        assert found.tags[FROZEN] == HELD
    shown.mark_frozen("r-2345", "digits@1", "")
    assert compare(EXPECTED, read_all(shown)) == ()
    shown.mark_frozen("r-2345", "digits@1", "")  # a second time changes nothing


def test_a_mark_that_was_taken_away_is_named_and_put_back(shown) -> None:
    assert {found.kind for found in compare(MARKED, read_all(shown))} == {"tag.missing"}
    assert shown.repair(MARKED) == ()
