"""Programs outside the sandbox that need torch: started with the training environment's Python, read line by line."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

from sandbox.bench.figures import Beat, Unmeasured, beats, numbers
from sandbox.cli.recipe_files import files
from sandbox.demo import speech
from sandbox.demo.story import SUBJECTS
from sandbox.policy.recipe import expand, read_card
from sandbox.runs import Request

PYTHON = ".venv-train/bin/python"
LIMIT_S = 420.0
LAST_WORDS = 600  # characters


class Place(Protocol):
    """Where the clone is, and plain recordings."""

    @property
    def source(self) -> Path: ...
    @property
    def speech(self) -> Path: ...


@dataclass(frozen=True)
class Outdoors:
    """A place without an installation: the clone, and the recordings of ``digits`` as plain files."""

    source: Path
    work: Path

    @property
    def speech(self) -> Path:
        return self.work / "speech"


@contextmanager
def outdoors(source: Path, work: Path) -> Iterator[Outdoors]:
    """Public recordings, gathered, and removed in the end."""
    place = Outdoors(source, work)
    shutil.rmtree(work, ignore_errors=True)
    try:
        speech.gather_digits(place.speech, SUBJECTS["allison"])
        yield place
    finally:
        shutil.rmtree(work, ignore_errors=True)


@dataclass(frozen=True)
class Told:
    """What a program said: its progress, and numbers of its own by name."""

    beats: list[Beat]
    numbers: Mapping[str, float] = field(default_factory=dict)

    def number(self, name: str) -> float:
        """Raises Unmeasured when the program did not say it."""
        if name not in self.numbers:
            raise Unmeasured(f"the program outside said no {name}")
        return self.numbers[name]


def order(place: Place, request: Request, keep: Path, threads: int, **more: Any) -> dict[str, Any]:
    """What ``bench/*.py`` read: the request as a grant would say it, on plain files; ``more`` as of :func:`asked`."""
    return asked(place, request.recipe, request.parameters, keep, threads, **more)


def asked(
    place: Place,
    recipe: str,
    parameters: Mapping[str, Any],
    keep: Path,
    threads: int,
    inputs: Mapping[str, Path] | None = None,
    recipes: Path | None = None,
) -> dict[str, Any]:
    """As :func:`order`, of a recipe and its parameters.

    ``inputs`` are plain safetensors; ``recipes`` is where recipes are, if not in the clone.
    """
    folder = (recipes or place.source / "recipes") / recipe
    card = expand(read_card(files(folder)), parameters)
    return {
        "recipe": str(folder),
        "speech": str(place.speech),
        "inputs": {name: str(path) for name, path in (inputs or {}).items()},
        "keep": str(keep),
        "threads": threads,
        "parameters": dict(card.parameters),
        "metrics": [asdict(metric) for metric in card.metrics],
        "artifacts": [asdict(artifact) for artifact in card.artifacts],
    }


def train(place: Place, program: str, asked: Mapping[str, Any], limit_s: float = LIMIT_S) -> list[Beat]:
    """As :func:`run`; its progress only."""
    return run(place, program, asked, limit_s).beats


def run(place: Place, program: str, asked: Mapping[str, Any], limit_s: float = LIMIT_S) -> Told:
    """Run ``bench/PROGRAM.py`` to its end; what it printed. It is told when it was ``started``.

    Raises Unmeasured when it fails or takes too long, with its last words.
    """
    Path(asked["keep"]).mkdir(parents=True, exist_ok=True)
    told = json.dumps({**asked, "started": time.time()})
    lines = printed(place, program, told=told, limit_s=limit_s, mend="a quieter machine, or fewer --steps")
    return Told(beats(lines), numbers(lines))


def printed(
    place: Place, program: str, *words: str, told: str = "", limit_s: float = LIMIT_S, mend: str = ""
) -> list[str]:
    """The lines that ``bench/PROGRAM.py WORDS`` prints when it is ``told`` something by its standard input.

    Raises Unmeasured when it fails or takes too long, with its last words.
    """
    command = [str(place.source / PYTHON), str(place.source / "bench" / f"{program}.py"), *words]
    try:
        done = subprocess.run(
            command,
            input=told,
            capture_output=True,
            text=True,
            cwd=place.source,
            env={**os.environ, "PYTHONPATH": str(place.source)},
            timeout=limit_s,
            check=False,
        )
    except OSError:
        raise Unmeasured(f"{PYTHON} cannot be started", mend="make train") from None
    except subprocess.TimeoutExpired:
        raise Unmeasured(f"bench/{program}.py took more than {limit_s:.0f} s", mend=mend) from None
    if done.returncode != 0:
        raise Unmeasured(f"bench/{program}.py failed: {done.stderr.strip()[-LAST_WORDS:]}")
    return done.stdout.splitlines()
