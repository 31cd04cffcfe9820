"""The trainer's story over a real socket pair."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save

from sandbox.errors import FrameError
from sandbox.runs import FLAC, JSON, SAFETENSORS, Artifact, Metric
from sandbox.training.pipe import Pipe
from tests.training.fake_keeper import FakeKeeper, utterance

Write = Callable[[str], Path]

LOSS = Metric("loss", 0, 100, 4, 1)


def test_a_run_says_ready_first_and_end_last(recipe: Write) -> None:
    keeper = FakeKeeper({}, torch=False)
    assert keeper.run(recipe("def main(run):\n    run.progress(1, 1)\n"))
    assert [f.kind for f in keeper.heard] == ["ready", "progress", "end"]
    assert [f.n for f in keeper.heard] == [1, 2, 3]


def test_utterances_arrive_in_the_order_asked_for(recipe: Write) -> None:
    names = [f"r{n:03d}" for n in range(100)]
    keeper = FakeKeeper({}, [LOSS], utterances=[utterance(n, seconds=0.01) for n in names], torch=False)
    source = """
def main(run):
    heard = run.utterances()
    assert [u.record for u in heard] == [r.record for r in run.records]
    assert heard[0].audio.dtype == "float32" and len(heard[0].audio) == 160
    some = [u.record for u in run.stream(list(run.records)[10:50])]
    run.log("loss", 1, len(heard) + (some[0] == "r010") + (len(some) == 40))
"""
    assert keeper.run(recipe(source))
    assert keeper.values("loss") == {1: 102}


def test_metrics_between_every_are_dropped(recipe: Write) -> None:
    keeper = FakeKeeper({}, [Metric("loss", 0, 100, 4, 10)], torch=False)
    assert keeper.run(recipe("def main(run):\n    for s in range(1, 31):\n        run.log('loss', s, s)\n"))
    assert keeper.values("loss") == {10: 10, 20: 20, 30: 30}


def test_artifacts_leave_as_declared(recipe: Write) -> None:
    artifacts = [
        Artifact("m.safetensors", (2,), SAFETENSORS, 1 << 20),
        Artifact("seven.flac", (), FLAC, 1 << 20),
        Artifact("report.json", (2,), JSON, 1 << 20),
    ]
    keeper = FakeKeeper({}, artifacts=artifacts, torch=False)
    source = """
import numpy as np
def main(run):
    assert run.due(1) == [] and run.due(2) == ["m.safetensors"]
    run.save("m.safetensors", 2, {"w": np.arange(6, dtype="float32").reshape(2, 3)}, {"shape": "small"})
    run.save_audio("seven.flac", 1, np.array([0.0, 2.0]), 16000)
    run.save_json("report.json", 2, {"heard": ["é"]})
"""
    assert keeper.run(recipe(source))
    assert keeper.tensors("m.safetensors")["w"].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert keeper.of("artifact")[0]["metadata"] == {"shape": "small"}
    assert np.frombuffer(keeper.of("sound")[0]["audio"], "<f4").tolist() == [0.0, 1.0]
    assert keeper.of("report")[0]["data"] == '{"heard": ["é"]}'.encode()
    assert [b["path"] for b in keeper.of("close")] == ["m.safetensors", "seven.flac", "report.json"]


def test_an_input_is_read_with_its_notes(recipe: Write) -> None:
    model = save({"w": np.ones((2, 2), np.float32)}, {"shape": "small"})
    keeper = FakeKeeper({}, [LOSS], inputs={"model": model})
    source = """
def main(run):
    given = run.input("model")
    assert given.metadata["shape"] == "small"
    run.log("loss", 1, given.tensors["w"].sum())
"""
    assert keeper.run(recipe(source))
    assert keeper.values("loss") == {1: 4}


def test_a_stop_is_seen(recipe: Write) -> None:
    keeper = FakeKeeper({}, torch=False, stop_at=1)
    source = """
import time
def main(run):
    run.progress(1, 10**6)
    deadline = time.monotonic() + 60
    while not run.stopping:
        assert time.monotonic() < deadline
"""
    assert keeper.run(recipe(source))


@pytest.mark.parametrize(
    ("source", "code"),
    [
        ("raise ValueError('seven seven')", "recipe.failed:ValueError:1"),
        ("def main(run):\n    run.parameters['seven seven']\n", "recipe.failed:KeyError:2"),
        (
            "class SevenSeven(Exception): pass\ndef main(run):\n    raise SevenSeven\n",
            "recipe.failed:Exception:3",
        ),
        ("raise type('ValueError', (Exception,), {})", "recipe.failed:Exception:1"),
        ("import sys\nsys.exit(7)", "recipe.failed:SystemExit:2"),
        ("from sandbox.errors import Usage\nraise Usage('x', code='seven seven')", "input.invalid"),
        ("class main", "recipe.failed:SyntaxError:0"),
        ("x = 1", "recipe.no_main"),
        ("def main(run):\n    run.log('other', 1, 1)\n", "recipe.metric_undeclared"),
        ("def main(run):\n    run.log('loss', 1, float('nan'))\n", "recipe.metric_not_finite"),
        ("def main(run):\n    run.save('m.safetensors', 1, {})\n", "recipe.artifact_undeclared"),
        ("def main(run):\n    run.input('model')\n", "recipe.input_undeclared"),
    ],
    ids=lambda value: value[-30:],
)
def test_a_failure_leaves_as_a_code_that_quotes_nothing(recipe: Write, source: str, code: str) -> None:
    keeper = FakeKeeper({}, [LOSS], torch=False)
    assert not keeper.run(recipe(source))
    assert keeper.of("failed") == [{"code": code}]
    assert keeper.of("text") == []
    assert not any(b"seven" in repr(frame).encode() for frame in keeper.heard)


def test_prints_and_logs_go_nowhere(recipe: Write, capfd: pytest.CaptureFixture[str]) -> None:
    source = """
import logging, sys, warnings
def main(run):
    print("seven seven"); sys.stderr.write("seven seven"); warnings.warn("seven seven", stacklevel=1)
    logging.getLogger("TTS.tts.utils.text.tokenizer").warning("seven seven")
"""
    keeper = FakeKeeper({}, torch=False)
    with pytest.warns(UserWarning, match="seven"):
        assert keeper.run(recipe(source))
    assert "seven" not in "".join(capfd.readouterr())
    assert keeper.of("text") == []


def test_a_dry_run_shows_prints_and_tracebacks(recipe: Write) -> None:
    keeper = FakeKeeper({}, torch=False, kind="dry-run")
    assert not keeper.run(recipe("def main(run):\n    print('step one')\n    raise ValueError('why')\n"))
    lines = [b["line"] for b in keeper.of("text")]
    assert "step one" in lines
    assert "ValueError: why" in lines


def test_a_trainer_starts_without_torch() -> None:
    code = (
        "import sys, sandbox.training.worker\n"
        "print([m for m in ('torch', 'TTS', 'opacus', 'trainer') if m in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_keeper_that_is_gone_is_noticed() -> None:
    ours, theirs = socket.socketpair()
    pipe = Pipe(theirs)
    ours.close()
    with pytest.raises(FrameError):
        pipe.receive()
    with pytest.raises(FrameError):
        pipe.send("progress", step=1, total=1, rate=0.0)
    theirs.close()
