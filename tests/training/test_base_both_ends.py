"""A published file through the real keeper and the real trainer, in two processes: sealed in the end, or a code."""

from __future__ import annotations

import hashlib
import json
import socket
import struct
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from safetensors.torch import load

from sandbox.errors import RecipeError
from sandbox.policy.recipe import expand
from sandbox.runner.keeping import Keeping
from sandbox.runner.pipe import Pipe
from sandbox.runner.unlock import PublicFile, Unlocked
from sandbox.runs import PYTORCH, Input
from sandbox.sealing.artifacts import open_artifact
from sandbox.vault.session import ArtifactKey
from tests.fakes.grants import grant
from tests.runner.test_both_ends import START
from tests.runner.test_keeping import KEY, Ear
from tests.training.test_bases import GOOD, MARK, PAPERS, REFUSED, WEIGHTS
from tests.training.test_recipes import card


def told(recipes: Path, data: bytes) -> Ear:
    """Everything that left. Raises RecipeError with the code that the trainer said."""
    folder, given = recipes / "import-base", Input("file", hashlib.sha256(data).hexdigest(), "", "")
    its = expand(card(folder), PAPERS)
    granted = replace(
        grant(),
        dataset=None,
        engine="torch",
        inputs=(given,),
        parameters=its.parameters,
        metrics=its.metrics,
        artifacts=its.artifacts,
    )
    door, keys = Ear(), {artifact.path: ArtifactKey(KEY, "vault:v1:w") for artifact in its.artifacts}
    ours, theirs = socket.socketpair()
    argv = [sys.executable, "-c", START, str(theirs.fileno()), str(folder)]
    with ours, subprocess.Popen(argv, pass_fds=[theirs.fileno()]) as worker:
        theirs.close()
        pipe = Pipe(ours)
        pipe.send("prepare", torch=True, threads=1)
        unlocked = Unlocked(None, keys, {"file": PublicFile(data, PYTORCH)}, 0)
        keeping = Keeping(granted, unlocked, door, pipe)  # type: ignore[arg-type]
        keeping.begin()
        try:
            keeping.converse()
        finally:
            worker.wait(30)
    return door


def test_its_tensors_and_its_papers_leave_sealed(recipes: Path) -> None:
    door = told(recipes, GOOD)
    assert {kind for kind, _ in door.heard} == {"metric", "artifact", "piece"}
    sealed = b"".join(body["data"] for kind, body in door.heard if kind == "piece")
    assert WEIGHTS["w"].numpy().tobytes() not in sealed
    plain = open_artifact(sealed, KEY)
    assert load(plain)["w"].equal(WEIGHTS["w"])
    said = json.loads(plain[8 : 8 + struct.unpack("<Q", plain[:8])[0]])["__metadata__"]
    assert said == {"format": "base/1", **PAPERS, "sha256": hashlib.sha256(GOOD).hexdigest()}


@pytest.mark.parametrize("name", ["code beside weights", "cut in half", "no weights"])
def test_a_file_that_is_no_base_is_a_code_and_nothing_else(recipes: Path, name: str) -> None:
    data, code = REFUSED[name]
    with pytest.raises(RecipeError) as said:
        told(recipes, data)
    assert said.value.code == code and not MARK.exists()
