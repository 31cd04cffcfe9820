"""The real keeper and the real trainer, in two processes, over the real pipe: what one says the other understands."""

from __future__ import annotations

import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from sandbox.runner.keeping import Keeping
from sandbox.runner.pipe import Pipe
from sandbox.runner.unlock import Unlocked
from sandbox.runs import Grant
from sandbox.vault.session import ArtifactKey
from tests.fakes.grants import grant
from tests.runner.test_keeping import KEY, Ear, Speech

RECIPE = """
import numpy as np

def main(run):
    heard = run.utterances()
    run.log("loss", 4, sum(float(np.abs(u.audio).max()) for u in heard))
    run.progress(4, 4)
    for path in run.due(4):
        run.save(path, 4, {"w": np.ones(3, dtype=np.float32)}, {"made": "here"})
"""
START = """
import socket, sys
from pathlib import Path
from sandbox.training.pipe import Pipe
from sandbox.training.worker import serve
with socket.socket(fileno=int(sys.argv[1])) as connection:
    sys.exit(not serve(Pipe(connection), Path(sys.argv[2])))
"""


def test_a_recipe_is_fed_and_what_it_makes_leaves_sealed(tmp_path: Path) -> None:
    (tmp_path / "recipe.py").write_text(RECIPE)
    given = replace(grant(), engine="none")
    ours, theirs = socket.socketpair()
    argv = [sys.executable, "-c", START, str(theirs.fileno()), str(tmp_path)]
    with ours, subprocess.Popen(argv, pass_fds=[theirs.fileno()]) as worker:
        theirs.close()
        door = _converse(given, ours)
        assert worker.wait(60) == 0
    said = [kind for kind, _ in door.heard]
    assert said[:2] == ["metric", "progress"] and "artifact" in said and said[-1] == "piece"
    assert door.heard[0][1] == {"name": "loss", "step": 4, "value": 1.0}


def _converse(given: Grant, ours: socket.socket) -> Ear:
    door, pipe = Ear(), Pipe(ours)
    keys = {artifact.path: ArtifactKey(KEY, "vault:v1:w") for artifact in given.artifacts}
    pipe.send("prepare", torch=False, threads=1)
    keeping = Keeping(given, Unlocked(Speech(), keys, {}, 1), door, pipe)  # type: ignore[arg-type]
    keeping.begin()
    keeping.converse()
    return door
