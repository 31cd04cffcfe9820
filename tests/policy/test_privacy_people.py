"""Delta against the number of people: one in delta of them may be given away, so it stays below one over how many."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sandbox.policy.privacy import RULES
from tests.policy import cases
from tests.policy import world as w

(DELTA,) = [rule for rule in RULES if rule.code == "privacy.delta"]


@pytest.mark.parametrize(("people", "found"), [(99_999, 0), (100_000, 1), (100_001, 1)])
def test_a_delta_is_below_one_over_the_number_of_people(people: int, found: int) -> None:
    request, facts = cases.private(replace(w.PRIVATE, delta=1e-5))
    assert facts.manifest is not None
    many = replace(facts.manifest, subjects=tuple(f"spk_{n:06d}" for n in range(people)))
    assert len(list(DELTA.check(request, replace(facts, manifest=many)))) == found


def test_it_is_those_asked_for_who_count() -> None:
    request, facts = cases.private(replace(w.PRIVATE, delta=1e-5))
    assert facts.manifest is not None
    many = replace(facts.manifest, subjects=tuple(f"spk_{n:06d}" for n in range(200_000)))
    few = replace(request, subjects=many.subjects[:10])
    assert list(DELTA.check(few, replace(facts, manifest=many))) == []
