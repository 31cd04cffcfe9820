"""The frame of every command: help, options anywhere, one clear error, the exit codes, no traceback."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import click
import httpx
import pytest

from sandbox.cli.main import GROUPS, NOUNS, app, hoist
from tests.cli.conftest import Gate, Sandbox

REASONS = [
    {
        "code": "consent.scope_missing",
        "about": "spk_7f3a",
        "why": "clone was not consented to",
        "mend": "leave it out",
    },
    {"code": "person.training_expired", "about": "eng.li", "why": "ended 2026-11-02", "mend": "renew it"},
]


def test_help_opens_with_an_example(sandbox: Sandbox) -> None:
    said = sandbox("--help")
    assert said.code == 0
    assert said.out.splitlines()[2].strip() == "sandbox up"


@pytest.mark.parametrize("noun", app.list_commands(click.Context(app)))
def test_every_noun_explains_itself_with_an_example(noun: str, sandbox: Sandbox) -> None:
    said = sandbox(noun, "--help")
    assert said.code == 0, said.err
    first = next(line.strip() for line in said.out.splitlines()[1:] if line.strip())
    assert first.startswith(("sandbox ", "make ")), said.out


def test_every_noun_stands_in_one_group() -> None:
    shown = [name for _, names in GROUPS for name in names]
    assert sorted(shown) == sorted(NOUNS)


def test_help_imports_no_heavy_library() -> None:
    code = (
        "import sys; from sandbox.cli.main import main; main(['--help']);"
        "heavy = {'mlflow', 'sqlalchemy', 'hvac', 'pydantic', 'rich', 'httpx', 'torch'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.splitlines()[-1] == "[]"


def test_json_and_state_may_stand_anywhere() -> None:
    assert hoist(["runs", "list", "--json", "--state", "/s"]) == ["--json", "--state", "/s", "runs", "list"]
    assert hoist(["runs", "--state=/s", "list"]) == ["--state=/s", "runs", "list"]
    assert hoist(["x", "--", "--json"]) == ["x", "--", "--json"]
    assert hoist(["x", "--state"]) == ["--state", "x"]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["nonsense"], 2),
        (["runs", "list", "--nonsense"], 2),
        (["run"], 2),
        (["--state", "/" + "x" * 60, "status"], 2),
        (["status"], 5),
        (["down"], 2),
        (["login", "eng.li", "--password-stdin"], 5),
        (["run", "/nowhere.yaml"], 2),
    ],
)
def test_bad_input_is_one_error_and_no_traceback(arguments: list[str], code: int, sandbox: Sandbox) -> None:
    said = sandbox(*arguments)
    assert said.code == code, said.err
    assert "Traceback" not in said.err + said.out
    assert said.err.strip()


def test_a_refusal_shows_every_reason_with_its_mend_and_exits_3(gate: Gate, sandbox: Sandbox) -> None:
    body = {"code": "request.refused", "detail": "refused", "reasons": REASONS, "decision": "d-55e1"}
    gate.answers["GET", "/v1/runs"] = httpx.Response(403, json=body)
    said = sandbox("runs", "list")
    assert said.code == 3
    assert "refused for 2 reasons; nothing was decrypted" in said.err
    for reason in REASONS:
        assert reason["code"] in said.err and reason["mend"] in said.err and reason["about"] in said.err
    assert "sandbox policy explain d-55e1" in said.err


def test_a_refusal_of_something_else_than_a_run_says_what_was_not_done(gate: Gate, sandbox: Sandbox) -> None:
    body = {"code": "seal.bad_recordings", "detail": "nothing was sealed", "reasons": REASONS, "mend": "mend them"}
    gate.answers["GET", "/v1/runs"] = httpx.Response(403, json=body)
    said = sandbox("runs", "list")
    assert said.code == 3 and "nothing was sealed   (seal.bad_recordings)" in said.err
    assert "decrypted" not in said.err and said.err.rstrip().endswith("mend them")


def test_a_refusal_as_json_is_one_object(gate: Gate, sandbox: Sandbox) -> None:
    gate.answers["GET", "/v1/runs"] = httpx.Response(
        403, json={"code": "request.refused", "reasons": REASONS}
    )
    said = sandbox("runs", "list", "--json")
    found = json.loads(said.out)
    assert said.code == 3 and [reason["code"] for reason in found["error"]["reasons"]] == [
        r["code"] for r in REASONS
    ]


def test_an_unforeseen_fault_is_named_without_its_text(
    gate: Gate, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("hvs.secret-token in a foreign message")

    monkeypatch.setattr("sandbox.cli.context.Context.gate", fail)
    said = sandbox("runs", "list")
    assert said.code == 1
    assert "RuntimeError" in said.err and "hvs.secret" not in said.err and "Traceback" not in said.err


def test_an_interrupt_exits_130(gate: Gate, sandbox: Sandbox) -> None:
    def interrupt(request: httpx.Request) -> httpx.Response:
        raise KeyboardInterrupt

    gate.answers["GET", "/v1/runs"] = interrupt
    assert sandbox("runs", "list").code == 130


def test_an_ascii_terminal_gets_ascii() -> None:
    environ = {"PYTHONIOENCODING": "ascii", "PATH": "/usr/bin", "VOICE_SANDBOX_STATE": "/nowhere/s"}
    command = [sys.executable, "-m", "sandbox.cli.main", "status"]
    done = subprocess.run(
        command, capture_output=True, env=environ, check=False, cwd=Path(__file__).parents[2]
    )
    assert done.returncode == 5
    assert done.stderr.decode("ascii").startswith("x no sandbox is set up")


def test_colours_stay_off_in_a_pipe(gate: Gate, sandbox: Sandbox) -> None:
    gate.answers["GET", "/v1/runs"] = httpx.Response(
        200, json={"items": [{"id": "r-7f3k9w", "recipe": "digits"}]}
    )
    said = sandbox("runs", "list")
    assert "\x1b" not in said.out and "r-7f3k9w" in said.out
