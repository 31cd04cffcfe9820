"""The demonstration's hands: every person is the real command line with a login of their own.

What is shown is what a reader can type; questions to the product go through ``--json``.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console

from sandbox.errors import SandboxError


@dataclass(frozen=True)
class Answer:
    """What a command answered: its exit code and its lines of JSON."""

    code: int
    lines: list[dict[str, Any]]
    text: str = field(repr=False)

    @property
    def last(self) -> dict[str, Any]:
        return self.lines[-1] if self.lines else {}

    def reasons(self) -> list[str]:
        """Codes of a refusal, the decision's own first."""
        error: dict[str, Any] = next((line["error"] for line in self.lines if "error" in line), {})
        codes = [reason["code"] for reason in error.get("reasons", [])]
        return codes or ([str(error["code"])] if "code" in error else [])


@dataclass(frozen=True)
class House:
    """One installation, and where its people keep their logins."""

    state: Path
    work: Path
    console: Console

    def say(self, person: str, *words: str, stdin: str | None = None) -> None:
        """Run a command as ``person``, its output on the terminal.

        Raises:
            SandboxError: it failed, and the demonstration needed it.
        """
        self.console.print(f"[dim]{person}[/dim] $ sandbox {' '.join(words)}", highlight=False)
        done = subprocess.run(
            self._argv(words), env=self._environment(person), input=stdin, text=True, check=False
        )
        if done.returncode != 0:
            raise SandboxError(f"sandbox {words[0]} ended with exit code {done.returncode}")

    def ask(self, person: str, *words: str, stdin: str | None = None) -> Answer:
        """Run a command as ``person`` with ``--json``, whatever its exit code."""
        done = subprocess.run(
            self._argv(["--json", *words]),
            env=self._environment(person),
            input=stdin,
            text=True,
            capture_output=True,
            check=False,
        )
        return Answer(done.returncode, _lines(done.stdout + "\n" + done.stderr), done.stdout + done.stderr)

    def tell(self, person: str, *words: str) -> list[str]:
        """The lines that a command says to people."""
        argv, environ = self._argv(words), self._environment(person)
        done = subprocess.run(argv, env=environ, text=True, capture_output=True, check=False)
        return [line for line in done.stdout.splitlines() if line.strip()]

    def login(self, person: str, password: str) -> None:
        self.say(person, "login", person, "--password-stdin", stdin=password + "\n")

    def _argv(self, words: Sequence[str]) -> list[str]:
        return [sys.executable, "-m", "sandbox.cli.main", "--state", str(self.state), *words]

    def _environment(self, person: str) -> dict[str, str]:
        runtime = self.work / "people" / person
        runtime.mkdir(mode=0o700, parents=True, exist_ok=True)
        return {**os.environ, "XDG_RUNTIME_DIR": str(runtime), "XDG_STATE_HOME": str(runtime)}


def _lines(text: str) -> list[dict[str, Any]]:
    """Every line that is a JSON object."""
    found = []
    for line in text.splitlines():
        try:
            value = json.loads(line)
        except ValueError:
            continue
        if isinstance(value, dict):
            found.append(value)
    return found
