"""Reading a growing file on: across rotation, half-written lines, junk, and a file that was replaced."""

from __future__ import annotations

import os

import pytest

from sandbox.gate.alarms import audit_tail
from sandbox.gate.alarms.audit_tail import read_on


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "vault-audit.log"
    path.write_bytes(b"one\ntwo\n")
    return path


def append(path, data):
    with path.open("ab") as file:
        file.write(data)


def rotate(path, n, at):
    """As logrotate does it: rename; the server opens a new file on SIGHUP."""
    old = path.with_name(f"{path.name}.{n}")
    path.rename(old)
    os.utime(old, (at, at))
    path.write_bytes(b"")


def test_what_was_read_is_not_read_again(path):
    first = read_on(path, {})
    assert (first.lines, first.more, first.notes) == ((b"one", b"two"), False, ())
    append(path, b"three\n")
    assert read_on(path, first.position).lines == (b"three",)


def test_half_a_line_is_read_once_it_is_whole(path):
    append(path, b"thr")
    first = read_on(path, {})
    assert first.lines == (b"one", b"two")
    append(path, b"ee\n")
    assert read_on(path, first.position).lines == (b"three",)


def test_a_rotated_file_is_read_to_its_end_before_the_next(path):
    first = read_on(path, {})
    append(path, b"three\n")
    rotate(path, 1, at=1000)
    append(path, b"four\n")
    rotate(path, 2, at=2000)
    append(path, b"five\n")
    second = read_on(path, first.position)
    assert (second.lines, second.notes) == ((b"three", b"four", b"five"), ())
    assert read_on(path, second.position).lines == ()


def test_a_file_that_is_not_there_is_said(path):
    first = read_on(path, {})
    path.unlink()
    with pytest.raises(FileNotFoundError):
        read_on(path, first.position)


def test_a_file_that_was_replaced_is_said_and_read(path):
    first = read_on(path, {})
    other = path.with_name("other")
    other.write_bytes(b"three\n")
    other.replace(path)
    second = read_on(path, first.position)
    assert (second.lines, second.notes) == ((b"three",), ("lost",))


def test_a_file_that_was_cut_is_said_and_read_from_its_start(path):
    first = read_on(path, {})
    path.write_bytes(b"1\n")
    second = read_on(path, first.position)
    assert (second.lines, second.notes) == ((b"1",), ("cut",))


def test_a_large_file_is_read_in_pieces(path, monkeypatch):
    monkeypatch.setattr(audit_tail, "LINE_BYTES", 64)
    path.write_bytes(b"".join(b"line %04d\n" % n for n in range(1000)))
    found, position, turns = [], {}, 0
    while True:
        taken = read_on(path, position, 256)
        found += taken.lines
        position, turns = taken.position, turns + 1
        if not taken.more:
            break
    assert found == [b"line %04d" % n for n in range(1000)] and turns > 30


def test_a_line_that_never_ends_is_passed_over(path, monkeypatch):
    monkeypatch.setattr(audit_tail, "LINE_BYTES", 64)
    path.write_bytes(b"x" * 300 + b"\nsane\n")
    found, position, junk = [], {}, 0
    while True:
        taken = read_on(path, position, 64)
        found += taken.lines
        position, junk = taken.position, junk + taken.junk
        if not taken.more:
            break
    assert junk > 0 and found[-1] == b"sane"


def test_what_a_rotated_file_ends_in_is_a_line_too(path):
    append(path, b"torn")
    rotate(path, 1, at=1000)
    append(path, b"next\n")
    assert read_on(path, {}).lines == (b"one", b"two", b"torn", b"next")
