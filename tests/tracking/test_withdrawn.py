"""MLflow shows whose consent a model outlived; taken away or made up, the mark is named and put right."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sandbox.tracking.reconcile import compare
from sandbox.tracking.survey import read_all, repair
from sandbox.tracking.tags import WITHDRAWN
from tests.tracking.runs import EXPECTED
from tests.tracking.test_reconcile import place

WHOSE = "digits/spk_7f3a"
MARKED = tuple(replace(one, withdrawn=WHOSE) if one.model else one for one in EXPECTED)


@pytest.fixture
def marked(shown):
    shown.mark_withdrawn("r-2345", "digits@1", WHOSE)
    return shown


def test_the_mark_stands_on_run_version_and_logged_model(marked) -> None:
    assert compare(MARKED, read_all(marked)) == ()
    actual = read_all(marked)
    for found in (actual.versions[0], actual.logged[0], *(r for r in actual.runs if r.id == "r-2345")):
        assert found.tags[WITHDRAWN] == WHOSE and found.tags["gov.taint"] == "none"


def test_a_mark_that_was_taken_away_is_named_and_put_back(marked) -> None:
    marked.client.delete_tag(place(marked), WITHDRAWN)
    marked.client.set_model_version_tag("digits", "1", WITHDRAWN, "nobody")
    assert {found.kind for found in compare(MARKED, read_all(marked))} == {"tag.missing", "tag.forged"}
    assert repair(marked, MARKED) == ()


def test_a_mark_that_the_log_does_not_tell_is_named(marked) -> None:
    assert {found.kind for found in compare(EXPECTED, read_all(marked))} == {"tag.unknown"}
