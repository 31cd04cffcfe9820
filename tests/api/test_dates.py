"""A time has one spelling: years that have two, or that leave the calendar in another zone, are refused."""

from __future__ import annotations

import pytest

from sandbox.policy.fields import moment, moment_or_day
from sandbox.runs import from_utc, utc


@pytest.mark.parametrize(
    "odd", ["0050-01-01", "0001-01-01T00:00:00+14:00", "9999-12-31", "9999-12-31T23:59:59-12:00"]
)
def test_a_year_out_of_bounds_is_refused(odd):
    with pytest.raises(ValueError, match="lies between"):
        moment_or_day(odd)


@pytest.mark.parametrize("plain", ["1900-01-02", "9998-12-31T23:59:59-12:00"])
def test_every_other_is_read_back_as_itself(plain):
    found = moment_or_day(plain)
    assert from_utc(utc(found)) == moment(found)
