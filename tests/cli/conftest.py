"""A gate of a few answers, and the command line spoken to it as in a shell."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from sandbox import client
from sandbox.cli.main import main
from sandbox.client import Service

Handler = Callable[[httpx.Request], httpx.Response]


class Somebody:
    def token(self) -> str:
        return "a.b.c"


@dataclass
class Gate:
    """Answers by (method, path); remembers what was asked."""

    answers: dict[tuple[str, str], httpx.Response | Handler] = field(default_factory=dict)
    asked: list[httpx.Request] = field(default_factory=list)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        answer = self.answers.get((request.method, request.url.path))
        if answer is None:
            return httpx.Response(
                404, json={"code": "name.unknown", "detail": "no such thing", "status": 404}
            )
        return answer(request) if callable(answer) else answer

    def events(self, run: str, *events: tuple[str, str]) -> None:
        text = "".join(
            f"id: {n}\nevent: {kind}\ndata: {data}\n\n" for n, (kind, data) in enumerate(events, 1)
        )
        self.answers["GET", f"/v1/runs/{run}/events"] = httpx.Response(200, text=text)


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Gate:
    found = Gate()

    def speak(state: Path, **_: Any) -> Service:
        return Service("gate", state, Somebody(), transport=httpx.MockTransport(found), sleep=lambda s: None)

    monkeypatch.setattr(client, "gate", speak)
    monkeypatch.setattr(client, "custodian", speak)
    return found


@dataclass(frozen=True)
class Said:
    code: int
    out: str
    err: str


Sandbox = Callable[..., Said]


@pytest.fixture
def sandbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Sandbox:
    """``sandbox("runs", "list")`` at a state directory of this test's own."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "runtime"))
    monkeypatch.setenv("VOICE_SANDBOX_STATE", "/nowhere/s")

    def speak(*arguments: str) -> Said:
        code = main(list(arguments))
        found = capsys.readouterr()
        return Said(code, found.out, found.err)

    return speak
