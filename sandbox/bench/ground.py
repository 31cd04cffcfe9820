"""Where it is measured: an installation of the bench's own, set up by the real command line and taken down again."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console

from sandbox.cli.run import read
from sandbox.client import Login, Service, gate
from sandbox.demo import speech, story
from sandbox.demo.house import House
from sandbox.demo.report import Report
from sandbox.demo.story import Stage
from sandbox.deployment.places import Places
from sandbox.errors import SandboxError
from sandbox.runs import Request

STATE = Path("/var/lib/voice-sandbox-bench")
DATASET = "digits"
OPERATOR = "operator"
CLONING = ("--scope", "clone_identifiable_voice")  # yourtts and xtts imitate


def own_state(uid: int) -> Path:
    """A state directory of the bench's own, so that it never touches another installation."""
    if uid == 0:
        return STATE
    return Path(os.environ.get("XDG_STATE_HOME", Path.home() / ".local/state")) / "vs-bench"


@dataclass(frozen=True)
class Ground:
    """A running installation with one sealed dataset, and the same recordings as plain files."""

    stage: Stage

    @property
    def places(self) -> Places:
        return Places(self.stage.house.state)

    @property
    def source(self) -> Path:
        return self.stage.source

    @property
    def work(self) -> Path:
        return self.stage.work

    @property
    def speech(self) -> Path:
        return self.work / "speech" / DATASET

    def say(self, text: str) -> None:
        self.stage.house.console.print(text, style="dim", highlight=False)

    def doing(self, what: str) -> AbstractContextManager[object]:
        """What is going on, on a terminal, until it is done."""
        return self.stage.house.console.status(what)

    def gate(self) -> Service:
        """The gate, asked as the engineer."""
        runtime = {"XDG_RUNTIME_DIR": str(self.work / "people" / story.ENGINEER)}
        state = self.stage.house.state
        return gate(state, bearer=Login.at(state, runtime))

    def request(
        self, name: str, compute: Mapping[str, object] | None = None, **parameters: object
    ) -> Request:
        """What ``configs/runs/NAME.yaml`` asks for, with other compute and parameters."""
        kept = yaml.safe_load((self.source / "configs/runs" / f"{name}.yaml").read_text())
        changed: dict[str, Any] = {
            "compute": {**kept["compute"], **(compute or {})},
            "parameters": {**(kept["parameters"] or {}), **parameters},
        }
        return self.asked(name, **changed)

    def asked(self, name: str, recipes: Path | None = None, **changes: Any) -> Request:
        """What ``configs/runs/NAME.yaml`` asks for, with some of its keys changed; ``recipes`` if not the clone's."""
        return read(self.stage.config(name, **changes), recipes or self.source / "recipes")[0]


@contextmanager
def prepared(
    state: Path, source: Path, work: Path, console: Console, *, stay: bool = False
) -> Iterator[Ground]:
    """Bring it up, seal, hand it out, and take it down, whatever happened; ``stay`` leaves it to look at."""
    stage = Stage(House(state, work, console), source, work, Report())
    if state.exists():
        stage.house.say(OPERATOR, "down", "--purge", "--yes")
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(mode=0o700, parents=True)
    try:
        stage.house.say(OPERATOR, "up", "--vault-port", "0", "--web-port", "0")
        yield furnished(stage)
    finally:
        if not stay and state.exists():
            leave(stage)


def furnished(stage: Stage) -> Ground:
    """Agreement, people and recipes as in the demonstration, and one sealed dataset."""
    story.agreement(stage)
    story.people(stage)
    ground, subject = Ground(stage), story.SUBJECTS["allison"]
    speech.gather_digits(ground.speech, subject)
    say = stage.house.say
    say(story.STEWARD, "consent", "give", subject, "--dataset", DATASET, *story.CONSENT, *CLONING)
    say(
        story.STEWARD, "data", "seal", str(ground.speech), "--dataset", DATASET, "--agreement", story.AGREEMENT,
    )  # fmt: skip
    return ground


def leave(stage: Stage) -> None:
    """A fault while taking it down is said, and hides no other."""
    try:
        stage.house.say(OPERATOR, "down", "--purge", "--yes")
    except SandboxError as fault:
        stage.house.console.print(f"✘ {fault.message}", markup=False)
