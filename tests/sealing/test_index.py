"""Columns: what is packed comes back, a bomb does not open, and a million rows are a matter of a second."""

import tracemalloc
import zlib
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.errors import SealBroken
from sandbox.records import IndexRow
from sandbox.sealing import index
from sandbox.sealing.rows import NO_ROWS, Rows, smallest


def row(number, **changes):
    held = {
        "record": f"u{number}",
        "subject": f"spk_{number % 3:02d}",
        "offset": number * 1024,
        "language": "en",
    }
    held |= {"revision": 1, "shard": 0, "length": 300, "tag": number.to_bytes(16, "little"), "samples": 800}
    return IndexRow(**{**held, "sample_rate": 16_000, "characters": 5, "key": 0, **changes})


ROWS = [row(n) for n in range(10)]


def test_what_is_packed_comes_back():
    assert list(index.unpack(index.pack(ROWS))) == ROWS
    assert list(index.unpack(index.pack(NO_ROWS))) == []


@given(
    st.lists(
        st.builds(
            row,
            st.integers(0, 1 << 60),
            offset=st.integers(0, (1 << 64) - 1),
            language=st.sampled_from(["en", "pt-BR", "cmn-Hans-CN"]),
            subject=st.from_regex(r"spk_[a-z0-9]{2,32}", fullmatch=True),
            record=st.from_regex(r"[a-z0-9][a-z0-9_-]{0,63}", fullmatch=True),
            tag=st.binary(min_size=16, max_size=16),
        )
    )
)
def test_any_rows_come_back(rows):
    assert list(index.unpack(index.pack(rows))) == rows


def test_rows_are_found_cut_and_put_together():
    rows = Rows.of(ROWS[:4]).extended(ROWS[4:])
    assert list(rows) == ROWS
    assert [rows.find(one.record) for one in ROWS] == list(range(10))
    assert [rows.find(name) for name in ("u99", "u10000", "", "ü1", "u1\0")] == [None] * 5
    left = rows.where(~rows.of_subjects(["spk_01"]))
    assert list(left) == [one for one in ROWS if one.subject != "spk_01"]
    assert left.names["subject"] == ("spk_00", "spk_02")  # who is gone is not named either
    assert left.counts() == {"spk_00": 4, "spk_02": 3}
    assert list(rows[2:4]) == ROWS[2:4]
    assert NO_ROWS.find("u1") is None


def test_a_record_that_stands_twice_is_found():
    assert Rows.of(ROWS).twice() is None
    assert Rows.of([*ROWS, ROWS[3]]).twice() == "u3"


def test_records_with_one_hash_are_told_apart(monkeypatch):
    monkeypatch.setattr("sandbox.sealing.rows._hashes", lambda records: np.zeros(len(records), np.uint64))
    monkeypatch.setattr("sandbox.sealing.rows._hash", lambda record, width: np.uint64(0))
    rows = Rows.of(ROWS)
    assert [rows.find(one.record) for one in ROWS] == list(range(10))
    assert rows.twice() is None
    assert Rows.of([*ROWS, ROWS[3]]).twice() == "u3"


@pytest.mark.parametrize("number", [-1, 1 << 64])
def test_no_column_holds_an_impossible_number(number):
    with pytest.raises(OverflowError):
        smallest([number])


def test_a_column_that_unpacks_to_more_than_its_rows_is_refused():
    said, columns = index.split(index.pack(ROWS))
    bomb = index.join(said, {**columns, "samples": ("u1", 1, zlib.compress(bytes(1 << 26)))})
    tracemalloc.start()
    with pytest.raises(SealBroken):
        index.unpack(bomb)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 20


@pytest.mark.parametrize("rows", [-1, 1 << 40, "10", None])
def test_an_impossible_number_of_rows_is_refused(rows):
    said, columns = index.split(index.pack(ROWS))
    with pytest.raises(SealBroken):
        index.unpack(index.join({**said, "rows": rows}, columns))


@given(st.binary(max_size=64), st.integers(0, 400))
def test_damaged_bytes_are_rows_or_a_clear_error(data, at):
    packed = bytearray(index.pack(ROWS))
    packed[at : at + len(data)] = data
    with suppress(SealBroken):
        list(index.unpack(bytes(packed)))
