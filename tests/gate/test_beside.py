"""Effects beside each other: every one is answered once, and what hangs holds up nobody."""

from __future__ import annotations

import threading

from sandbox.gate.incidents.beside import each


def test_each_is_answered_once_with_its_own_fault():
    def effect(number: int) -> None:
        if number == 3:
            raise ValueError(number)

    found = dict(each(range(20), effect, limit_s=10.0))
    assert set(found) == set(range(20))
    assert {number for number, fault in found.items() if fault} == {3}


def test_what_hangs_is_late_and_holds_up_no_other():
    release = threading.Event()
    found = dict(each([0, 1, 2], lambda n: None if n else _wait(release), limit_s=2.0, width=2))
    release.set()
    assert isinstance(found[0], TimeoutError) and found[1] is None and found[2] is None


def test_nothing_to_do_is_done():
    assert list(each([], _wait, limit_s=1.0)) == []


def _wait(release: threading.Event) -> None:
    release.wait(60)
