"""Memory is closed to others, in no core dump, and overwritten once it is freed; each seen without its measure."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from sandbox.errors import IsolationMismatch
from sandbox.memory import OVERWRITE_FREED, empty_core_dumps, keep_out_of_swap

ROOT = Path(__file__).parents[1]
MASK = 0x5A  # what is looked for is kept under it: the search must not find itself

#: Makes a text under MASK readable, forgets it, and counts it in its own memory.
FORGET = """
import os, sys
hidden, mask = bytes.fromhex(sys.argv[1]), int(sys.argv[2])
def use():
    plain = bytes(c ^ mask for c in hidden).decode()
    return [f"{n} {plain}" for n in range(500)][0][0]
use()
found = 0
with open("/proc/self/maps") as maps, open("/proc/self/mem", "rb") as memory:
    for line in maps:
        if " rw" in line:
            start, end = (int(x, 16) for x in line.split()[0].split("-"))
            try:
                masked = bytes(c ^ mask for c in os.pread(memory.fileno(), end - start, start))
            except OSError:
                continue
            found += masked.count(hidden)
print(found)
"""

#: Holds a text and crashes where a core dump would be written.
CRASH = """
import os, resource, sys
sys.path.insert(0, sys.argv[3])
from sandbox.memory import become_undumpable, empty_core_dumps
hidden, measure = bytes.fromhex(sys.argv[1]), sys.argv[2]
resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY,) * 2)
if measure != "none":
    {"empty": empty_core_dumps, "undumpable": become_undumpable}[measure]()
plain = bytes(c ^ 0x5A for c in hidden)
if measure == "empty":  # the filter is its child's too
    again = "import os, sys; kept = bytes(c ^ 0x5A for c in bytes.fromhex(sys.argv[1])); os.abort()"
    os.execv(sys.executable, [sys.executable, "-c", again, sys.argv[1]])
os.abort()
"""


def secret() -> tuple[bytes, str]:
    """A text like no other, and the same under MASK, in hexadecimal."""
    plain = f"a quiet canary {os.urandom(12).hex()}".encode()
    return plain, bytes(c ^ MASK for c in plain).hex()


def run(code: str, *words: str, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, **options)  # type: ignore[call-overload,no-any-return]


@pytest.mark.parametrize(("measure", "found"), [(OVERWRITE_FREED, False), ({}, True)], ids=["with", "without"])
def test_a_text_that_was_let_go_is_overwritten(measure: dict[str, str], found: bool) -> None:
    _, hidden = secret()
    assert (int(run(FORGET, hidden, str(MASK), env=dict(measure)).stdout) > 0) is found


@pytest.mark.parametrize(
    ("measure", "dumped", "holds"),
    [("none", True, True), ("empty", True, False), ("undumpable", False, False)],
)
def test_a_crash_dumps_no_memory(tmp_path: Path, measure: str, dumped: bool, holds: bool) -> None:
    if Path("/proc/sys/kernel/core_pattern").read_text().strip() != "core":
        pytest.skip("this machine keeps core dumps elsewhere")
    plain, hidden = secret()
    assert run(CRASH, hidden, measure, str(ROOT), cwd=tmp_path).returncode == -signal.SIGABRT
    cores = list(tmp_path.glob("core*"))
    assert bool(cores) is dumped
    assert any(plain in core.read_bytes() for core in cores) is holds


LOCK = """
import resource, sys
sys.path.insert(0, sys.argv[1])
from sandbox.memory import keep_out_of_swap
resource.getrlimit = lambda which: (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
locked = keep_out_of_swap()
later = bytearray(b"x") * (64 << 20)
with open("/proc/self/status") as status:
    kilobytes = next(int(line.split()[1]) for line in status if line.startswith("VmLck:"))
print(locked, kilobytes > 64 << 10)
"""


@pytest.mark.skipif(os.getuid() != 0, reason="locks memory beyond a limit")
def test_memory_is_locked_as_it_comes_into_use() -> None:
    assert run(LOCK, str(ROOT)).stdout.split() == ["True", "True"]


def test_under_a_limit_nothing_is_locked(monkeypatch: pytest.MonkeyPatch) -> None:
    """A program whose memory is locked up to a limit dies when it reaches it."""
    monkeypatch.setattr("resource.getrlimit", lambda which: (8 << 20, 8 << 20))
    assert keep_out_of_swap() is False


def test_a_kernel_that_does_not_obey_is_refused(tmp_path: Path) -> None:
    empty_core_dumps(tmp_path / "no such filter")
    with pytest.raises(IsolationMismatch):
        empty_core_dumps(tmp_path)  # a folder: cannot be written
