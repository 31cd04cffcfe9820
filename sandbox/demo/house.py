"""The demonstration's hands: every person is the real command line with a login of their own.

What is shown is what a reader can type; questions to the product go through ``--json``.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyotp
from rich.console import Console

from sandbox.errors import SandboxError

#: What asks for a code of its own; a login asks for one after the password.
FRESH = frozenset({("login",), ("erase",), ("data", "destroy"), ("incident", "kill"), ("incident", "resume")})


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
    apps: dict[str, str] = field(
        default_factory=dict, repr=False
    )  # person -> what their authenticator app keeps
    shown: set[str] = field(default_factory=set, repr=False)  # codes that were used: each works once

    def say(self, person: str, *words: str, stdin: str | None = None) -> None:
        """Run a command as ``person``, its output on the terminal.

        Raises:
            SandboxError: it failed, and the demonstration needed it.
        """
        words, stdin = self._with_code(person, words, stdin)
        self.console.print(f"[dim]{person}[/dim] $ sandbox {' '.join(words)}", highlight=False)
        done = subprocess.run(
            self._argv(words), env=self._environment(person), input=stdin, text=True, check=False
        )
        if done.returncode != 0:
            raise SandboxError(f"sandbox {words[0]} ended with exit code {done.returncode}")

    def ask(self, person: str, *words: str, stdin: str | None = None) -> Answer:
        """Run a command as ``person`` with ``--json``, whatever its exit code."""
        words, stdin = self._with_code(person, words, stdin)
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

    def enrol(self, person: str, password: str) -> str:
        """Log in and add an authenticator app; its ``otpauth://`` address, which an app would keep.

        Raises:
            SandboxError: it failed.
        """
        words = ("login", person, "--password-stdin", "--enrol")
        self.console.print(f"[dim]{person}[/dim] $ sandbox {' '.join(words)}", highlight=False)
        with subprocess.Popen(
            self._argv(["--json", *words]),
            env=self._environment(person),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as asking:
            if asking.stdin is None or asking.stdout is None:
                raise SandboxError("the command line has no standard streams")
            asking.stdin.write(password + "\n")
            asking.stdin.flush()
            shown = _lines(asking.stdout.readline())
            address = str(shown[0].get("address", "")) if shown else ""
            if address:
                self.apps[person] = address
                asking.stdin.write(self.code(person) + "\n")
            asking.stdin.close()
            asking.stdout.read()
        if asking.returncode != 0 or not address:
            raise SandboxError(f"sandbox login --enrol ended with exit code {asking.returncode}")
        return address

    def code(self, person: str) -> str:
        """A code of ``person``'s app that was not used yet; waits for the next one where it has to."""
        while True:
            for away_s in (0.0, 30.0):  # Vault takes the next one, too; the last one may come too late
                code = code_now(self.apps[person], away_s)
                if f"{person} {code}" not in self.shown:
                    self.shown.add(f"{person} {code}")
                    return code
            time.sleep(1.0)

    def _with_code(
        self, person: str, words: tuple[str, ...], stdin: str | None
    ) -> tuple[tuple[str, ...], str | None]:
        """What wants a fresh second factor gets one of whoever enrolled, as their app would show it."""
        fresh = words[:2] in FRESH or words[:1] in FRESH
        if not fresh or person not in self.apps or "--totp-stdin" in words:
            return words, stdin
        return (*words, "--totp-stdin"), (stdin or "") + self.code(person) + "\n"

    def _argv(self, words: Sequence[str]) -> list[str]:
        return [sys.executable, "-m", "sandbox.cli.main", "--state", str(self.state), *words]

    def _environment(self, person: str) -> dict[str, str]:
        runtime = self.work / "people" / person
        runtime.mkdir(mode=0o700, parents=True, exist_ok=True)
        return {**os.environ, "XDG_RUNTIME_DIR": str(runtime), "XDG_STATE_HOME": str(runtime)}


def code_now(address: str, away_s: float = 0.0) -> str:
    """What an authenticator app shows for ``address`` now, or ``away_s`` seconds from now (RFC 6238)."""
    app = pyotp.parse_uri(address)
    if not isinstance(app, pyotp.TOTP):
        raise SandboxError("this is no address of a time-based code")
    return str(app.at(int(time.time() + away_s)))


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
