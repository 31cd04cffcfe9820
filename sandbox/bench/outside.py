"""Programs outside the sandbox that need torch: started with the training environment's Python, read line by line."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sandbox.bench.figures import Beat, Unmeasured, beats
from sandbox.bench.ground import Ground
from sandbox.cli.recipe_files import files
from sandbox.policy.recipe import expand, read_card
from sandbox.runs import Request

PYTHON = ".venv-train/bin/python"
LIMIT_S = 420.0
LAST_WORDS = 600  # characters


def order(ground: Ground, request: Request, keep: Path, threads: int) -> dict[str, Any]:
    """What ``bench/*.py`` read: the request as a grant would say it, on plain files."""
    folder = ground.source / "recipes" / request.recipe
    card = expand(read_card(files(folder)), request.parameters)
    return {
        "recipe": str(folder),
        "speech": str(ground.speech),
        "keep": str(keep),
        "threads": threads,
        "parameters": dict(card.parameters),
        "metrics": [asdict(metric) for metric in card.metrics],
        "artifacts": [asdict(artifact) for artifact in card.artifacts],
    }


def train(ground: Ground, program: str, asked: Mapping[str, Any]) -> list[Beat]:
    """Run ``bench/PROGRAM.py`` to its end; the beats it printed.

    Raises Unmeasured when it fails or takes too long, with its last words.
    """
    Path(asked["keep"]).mkdir(parents=True, exist_ok=True)
    command = [str(ground.source / PYTHON), str(ground.source / "bench" / f"{program}.py")]
    try:
        done = subprocess.run(
            command,
            input=json.dumps(asked),
            capture_output=True,
            text=True,
            cwd=ground.source,
            env={**os.environ, "PYTHONPATH": str(ground.source)},
            timeout=LIMIT_S,
            check=False,
        )
    except OSError:
        raise Unmeasured(f"{PYTHON} cannot be started", mend="make train") from None
    except subprocess.TimeoutExpired:
        raise Unmeasured(
            f"bench/{program}.py took more than {LIMIT_S:.0f} s", mend="a quieter machine, or fewer --steps"
        ) from None
    if done.returncode != 0:
        raise Unmeasured(f"bench/{program}.py failed: {done.stderr.strip()[-LAST_WORDS:]}")
    return beats(done.stdout.splitlines())
