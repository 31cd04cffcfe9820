"""From admitted to training, against a bare container of the same image with the same isolation."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Mapping, Sequence

from sandbox.bench import figures
from sandbox.bench.figures import Unmeasured
from sandbox.bench.ground import DATASET, Ground
from sandbox.bench.rounds import in_turns
from sandbox.bench.rows import Row, at_most
from sandbox.bench.watching import follow
from sandbox.client import Public
from sandbox.deployment.settings import Settings
from sandbox.isolation.engines import engine, environment
from sandbox.isolation.spec import COMMAND, Spec
from sandbox.runs import Request, new_id

RECIPE = "probe"
GOAL_S = 2.0
BUDGET_S = 120.0
LIMIT_S = 60.0
LABEL = "bench"  # of no installation, so no launcher counts it among its own


def measure(ground: Ground, times: int) -> Row:
    """How much longer it takes until the recipe may begin than until a bare container's first instruction."""
    request = ground.request(RECIPE, attempts=False, steps=1)

    def launched() -> float:
        seconds = follow(ground, request).after("training")
        ground.say(f"  admitted to training: {seconds:.2f} s")
        return seconds

    def started() -> float:
        seconds = bare(ground, request)
        ground.say(f"  a bare container: {seconds:.2f} s")
        return seconds

    return row(in_turns({"launch": launched, "bare": started}, times, BUDGET_S))


def row(found: dict[str, list[float]]) -> Row:
    launch, plain = figures.median(found["launch"]), figures.median(found["bare"])
    told = f"a bare container: {plain:.2f} s; admitted to training: {launch:.2f} s"
    told += f" ({figures.spread(found['launch'])})"
    return at_most("launch overhead", launch - plain, "s", GOAL_S, told, launch / plain)


def bare(ground: Ground, request: Request) -> float:
    """Seconds until the first instruction of an interpreter that then ends. Raises Unmeasured."""
    places = ground.places
    door = ground.work / "doors"  # among the gate's own it would be a run's that nobody knows
    door.mkdir(exist_ok=True)
    spec = Spec(
        run=new_id("r-"),
        image_id=Public.read(places.state).image_id.removeprefix("sha256:"),
        doors=str(door),
        data=str(places.sealed / DATASET),
        recipe=str(ground.source / "recipes" / RECIPE),
        engine=Settings.read(places).engine,
        cpus=request.compute.cpus,
        memory_bytes=request.compute.memory_bytes,
    )
    chosen = engine(spec.engine, places.app / "docker/seccomp.json", places.app / "docker/containers.conf")
    return first_word(idle(chosen.run(spec, LABEL)), environment(chosen))


def first_word(command: Sequence[str], environ: Mapping[str, str]) -> float:
    """Seconds from starting ``command`` until it says something. Raises Unmeasured when it says nothing, or stays."""
    started = time.monotonic()
    try:
        client = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=dict(environ),
        )
    except OSError:
        raise Unmeasured(f"{command[0]} cannot be started", mend=f"install {command[0]}") from None
    try:
        first = client.stdout.read(1) if client.stdout else b""
        seconds = time.monotonic() - started
        _, said = client.communicate(timeout=LIMIT_S)
    except subprocess.TimeoutExpired:
        client.kill()
        raise Unmeasured("a bare container did not end") from None
    if not first:
        raise Unmeasured(f"a bare container did not start: {said.decode('utf-8', 'replace').strip()[-300:]}")
    return seconds


def idle(command: Sequence[str]) -> list[str]:
    """The engine's command line with an entry that says one word, which is let out, and does nothing."""
    *options, image = command
    return [*options, "--attach=stdout", f"--entrypoint={COMMAND[0]}", image, "-I", "-S", "-c", "print()"]
