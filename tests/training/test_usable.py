"""Recordings that cannot be learned from: named by their id, never quoted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sandbox.errors import RecordError
from sandbox.training.run import Utterance
from sandbox.training.usable import Wanted, check, fault_of, usable
from tests.training.fake_keeper import RATE, FakeKeeper, utterance

WANTED = Wanted(RATE, shortest_s=0.1, longest_s=2.0, characters="abcdefghijklmnopqrstuvwxyz ")
CANARY = "zanzibar heliotrope ±"
TONE = 0.3 * np.sin(np.arange(RATE) / 20)


def said(audio: Any = TONE, text: str = "Seven words", rate: int = RATE) -> Utterance:
    return Utterance("u00017", "spk_anna", "en", text, rate, np.asarray(audio, dtype="<f4"))


def loud(part: float) -> Any:
    audio = TONE.copy()
    audio[: int(part * RATE)] = 1.0
    return audio


FAULTS = [
    pytest.param(said(rate=22_050), "sample_rate", id="wrong rate"),
    pytest.param(said(TONE[:1000]), "too_short", id="too short"),
    pytest.param(said([]), "too_short", id="empty"),
    pytest.param(said(np.tile(TONE, 3)), "too_long", id="too long"),
    pytest.param(said(np.zeros(RATE)), "silent", id="silent"),
    pytest.param(said(TONE * 1e-3), "silent", id="next to silent"),
    pytest.param(said(TONE * np.nan), "silent", id="no number"),
    pytest.param(said(loud(0.05)), "clipped", id="clipped"),
    pytest.param(said(-loud(0.05)), "clipped", id="clipped below"),
    pytest.param(said(text=CANARY), "symbols", id="a symbol that the vocabulary lacks"),
]


@pytest.mark.parametrize(("found", "fault"), FAULTS)
def test_a_recording_that_cannot_be_learned_from_is_named_and_not_quoted(
    found: Utterance, fault: str
) -> None:
    assert fault_of(found, WANTED) == fault
    with pytest.raises(RecordError) as refused:
        check(found, WANTED)
    assert (refused.value.code, refused.value.record) == (f"record.{fault}", "u00017")
    assert "zanzibar" not in str(refused.value) and "±" not in str(refused.value)


@pytest.mark.parametrize(
    "found",
    [said(), said(TONE[:1700]), said(loud(0.005)), said(TONE * 0.01)],
    ids=["plain", "short", "loud", "quiet"],
)
def test_a_recording_that_is_merely_short_loud_or_quiet_is_taken(found: Utterance) -> None:
    assert list(usable([found], WANTED)) == [found]


def test_any_transcript_will_do_where_the_recipe_names_no_vocabulary() -> None:
    assert fault_of(said(text=CANARY), Wanted(RATE)) == ""


RECIPE = """
from sandbox.training.usable import Wanted, usable

def main(run):
    list(usable(run.stream(), Wanted(16_000, characters="seven ")))
"""
LYING = """
from sandbox.errors import RecordError

def main(run):
    raise RecordError.of("what-anna-said", "record.symbols")
"""


@pytest.mark.parametrize(
    ("source", "code"),
    [(RECIPE, "record.symbols:r2"), (LYING, "record.symbols")],
    ids=["a record", "something else"],
)
def test_only_an_id_of_the_runs_own_records_leaves_the_container(
    recipe: Callable[[str], Path], source: str, code: str
) -> None:
    spoken = [utterance("r1"), utterance("r2", text=CANARY), utterance("r3", text="nine")]
    found = FakeKeeper({}, utterances=spoken, torch=False)
    assert not found.run(recipe(source))
    assert found.of("failed") == [{"code": code}]
    assert "zanzibar" not in repr(found.of("failed")) and "anna" not in repr(found.of("failed"))
