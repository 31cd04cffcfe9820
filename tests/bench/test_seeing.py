"""What is read off a run, a program outside, an engine's command line and ``openssl speed``."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sandbox.bench import decrypt, outside
from sandbox.bench.__main__ import arguments
from sandbox.bench.figures import Beat, Unmeasured
from sandbox.bench.ground import STATE, own_state
from sandbox.bench.launching import LABEL, first_word, idle
from sandbox.bench.watching import Seen
from sandbox.client import Event
from sandbox.errors import EngineError
from sandbox.isolation.podman import Podman
from sandbox.isolation.spec import COMMAND, Spec


def event(kind: str, **data: Any) -> Event:
    return Event("1", kind, data)


def test_states_and_progress_of_a_run_are_read_off_its_events() -> None:
    seen = Seen("r-1")
    seen.take(event("state", state="admitted"), 0.1)
    seen.take(event("state", state="training"), 1.4)
    seen.take(event("progress", step=1, total=20, rate=0.0), 1.5)
    seen.take(event("progress", step=20, total=20, rate=10.0), 3.5)
    seen.take(event("metric", name="loss", step=10, value=1.0), 3.6)
    seen.take(event("state", state="settled", outcome="finished"), 4.0)
    assert seen.after("training") == 1.4
    assert seen.beats == [Beat(20, 2.0)]
    assert seen.outcome == "finished"
    with pytest.raises(Unmeasured):
        seen.after("paused")


def test_a_bare_container_differs_in_its_entry_only() -> None:
    spec = Spec(run="r-abcdef", image_id="3" * 64, doors="/s/doors/bench", recipe="/s/recipe")
    full = Podman(Path("/s/seccomp.json"), Path("/s/containers.conf")).run(spec, LABEL)
    bare = idle(full)
    assert bare[: len(full) - 1] == full[:-1]
    assert f"--entrypoint={COMMAND[0]}" in bare
    assert bare[bare.index(spec.image_id) :] == [spec.image_id, "-I", "-S", "-c", "print()"]


def test_a_container_is_timed_until_its_first_word_not_its_end() -> None:
    code = "import sys, time; sys.stdout.write('x'); sys.stdout.flush(); time.sleep(4)"
    assert 0 < first_word([sys.executable, "-I", "-S", "-c", code], {}) < 4


@pytest.mark.parametrize(
    ("command", "what"),
    [
        ([sys.executable, "-c", "raise SystemExit('no such image')"], "no such image"),
        (["no-such-engine"], "cannot be started"),
    ],
    ids=["says nothing", "is not there"],
)
def test_a_container_that_does_not_start_is_no_figure(command: list[str], what: str) -> None:
    with pytest.raises(Unmeasured, match=what):
        first_word(command, {})


def stand_in(folder: Path, code: str) -> Any:
    """A repository whose training environment is this Python and whose program is ``code``."""
    python = folder / outside.PYTHON
    python.parent.mkdir(parents=True)
    python.symlink_to(sys.executable)
    (folder / "bench").mkdir()
    (folder / "bench" / "plain.py").write_text(code)

    class Here:
        source = folder

    return Here()


def test_a_program_outside_is_told_its_order_and_read(tmp_path: Path) -> None:
    code = """\
import json, sys
print("noise")
print(json.dumps({"step": json.load(sys.stdin)["steps"], "total": 9, "rate": 2.0}))
"""
    asked = {"keep": str(tmp_path / "keep"), "steps": 6}
    assert outside.train(stand_in(tmp_path, code), "plain", asked) == [Beat(6, 3.0)]


def test_a_program_that_fails_is_no_figure_and_is_quoted(tmp_path: Path) -> None:
    with pytest.raises(Unmeasured, match="no such speech"):
        outside.train(
            stand_in(tmp_path, "raise SystemExit('no such speech')"), "plain", {"keep": str(tmp_path)}
        )


def test_a_missing_environment_says_how_to_make_it(tmp_path: Path) -> None:
    class Here:
        source = tmp_path

    with pytest.raises(Unmeasured) as refused:
        outside.train(Here(), "plain", {"keep": str(tmp_path / "keep")})  # type: ignore[arg-type]
    assert refused.value.mend == "make train"
    assert refused.value.exit_code != 0


PRINTED = """\
version: 3.0.15
type         200000 bytes
AES-256-GCM  2450000.00k
"""


def test_the_speed_of_openssl_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    done = subprocess.CompletedProcess([], 0, stdout=PRINTED)
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: done)
    assert decrypt.openssl_speed() == pytest.approx(2450.0)


@pytest.mark.parametrize("printed", ["", "AES-256-GCM  fast\n"], ids=["nothing", "words"])
def test_another_openssl_is_an_error(printed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    done = subprocess.CompletedProcess([], 0, stdout=printed)
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: done)
    with pytest.raises(EngineError):
        decrypt.openssl_speed()


def test_the_bench_has_a_state_of_its_own() -> None:
    assert own_state(0) == STATE
    assert own_state(1000) != STATE
    assert "voice-sandbox-bench" in str(STATE)


def test_everything_is_measured_unless_asked_otherwise() -> None:
    assert set(arguments().parse_args([]).only) == {
        "decrypt", "seal", "store", "trainer", "resume", "private", "decide", "launch", "train", "recipes",
        "full", "save",
    }  # fmt: skip
    assert arguments().parse_args(["--only", "launch"]).only == ["launch"]
