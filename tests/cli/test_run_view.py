"""A training at the terminal: one line that fits, in its place; in a pipe a line a tenth; nothing of it in JSON."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from sandbox.cli import dry_run
from sandbox.cli.context import Context
from sandbox.cli.run_line import Standing, barred, words
from sandbox.cli.run_story import Story
from sandbox.cli.run_view import Live, ask_what_to_do, watch
from sandbox.cli.show import _ASCII, _UTF8
from sandbox.client import Event
from tests.cli.conftest import Gate

TARGET = {"unit": "speaker", "epsilon": 8.0, "delta": 1e-5, "steps": 1500}


def standing(**changes: Any) -> Standing:
    found = {"step": 1070, "total": 1500, "rate": 9.8, "metrics": {"grad_norm": 1.234567, "loss": 0.2123}}
    return Standing(**found | {"known": True} | changes)  # type: ignore[arg-type]


SAID = [
    pytest.param(standing(), "no bound", id="nothing bounds it"),
    pytest.param(standing(privacy=TARGET), "epsilon up to 8", id="a target"),
    pytest.param(
        standing(privacy=TARGET, metrics={"epsilon": 0.9353}), "epsilon 0.94 of 8", id="a target, and so far"
    ),
]


@pytest.mark.parametrize(("where", "said"), SAID)
def test_what_was_spent_of_the_budget_stands_in_the_line(where: Standing, said: str) -> None:
    assert said in words(where, 100) and where.spent() == said


def test_the_line_says_steps_loss_what_is_left_budget_speed_and_what_else_there_is() -> None:
    assert words(standing(), 100) == (
        "1 070 / 1 500   loss 0.2123   0:44 left   no bound   9.8 steps/s   grad_norm 1.235"
    )


def test_where_no_speed_is_told_none_is_guessed() -> None:
    """The rate of a private training would tell how many people were sampled."""
    assert words(standing(rate=0.0, metrics={}, privacy=TARGET), 100) == "1 070 / 1 500   epsilon up to 8"


@pytest.mark.parametrize("signs", [_UTF8, _ASCII], ids=["utf-8", "ascii"])
@pytest.mark.parametrize("width", [20, 40, 60, 79, 80, 100, 200])
def test_no_line_is_longer_than_the_screen(width: int, signs: Any) -> None:
    many = {f"a_long_name_of_a_metric_{n}": 1e-9 for n in range(8)}
    line = barred(standing(step=9_999_999, total=10_000_000, metrics={"loss": 123.456, **many}), width, signs)
    assert len(line) <= width and "\n" not in line
    if width >= 79:
        assert "9 999 999 / 10 000 000   loss 123.5" in line and "left" in line
    if width >= 100:
        assert signs.full in line  # and a bar


def test_a_number_that_was_said_before_the_first_step_is_none_of_the_training() -> None:
    story = Story("r-7f3k9w", _UTF8)
    story.update(event("metric", name="left_out", step=0, value=0))
    story.update(event("metric", name="loss", step=1, value=2.5))
    assert story.standing.metrics == {"loss": 2.5} and story.metrics == {"left_out": 0, "loss": 2.5}


def event(kind: str, **data: Any) -> Event:
    return Event(id="1", kind=kind, data=data)


def trained(steps: int = 100) -> list[tuple[str, str]]:
    events: list[tuple[str, dict[str, Any]]] = [
        ("state", {"state": "admitted", "privacy": None, "subjects": 1})
    ]
    for step in range(1, steps + 1):
        events.append(("metric", {"name": "loss", "step": step, "value": 3 / step}))
        events.append(("progress", {"step": step, "total": steps, "rate": 9.8}))
        if step == steps // 2:
            events.append(("stop", {"by": "eng.li"}))
    events.append(("state", {"state": "settled", "outcome": "finished"}))
    return [(kind, json.dumps(data)) for kind, data in events]


def screen(width: int = 80) -> tuple[Console, io.StringIO]:
    written = io.StringIO()
    return Console(file=written, force_terminal=True, width=width, color_system=None), written


def test_on_a_terminal_one_line_is_drawn_anew_in_its_place_and_nothing_of_it_stays(
    gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sandbox import client

    console, written = screen()
    here = Context(Path("/nowhere/s"), False, {})
    monkeypatch.setitem(here.__dict__, "console", console)
    gate.events("r-7f3k9w", *trained())
    with client.gate(here.state) as service:
        assert watch(here, service, "r-7f3k9w").outcome == "finished"
    text = written.getvalue()
    assert text.count("\x1b[?25l") == 1 == text.count("\x1b[?25h")  # begun once, ended once: no flicker
    assert text.rfind("\x1b[2K") < text.index("settled")  # wiped before the last word
    drawn = [re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", line) for line in re.split(r"[\r\n]", text)]
    assert max(map(len, drawn)) < 80
    assert any("100 / 100   loss 0.03" in line for line in drawn)
    assert [line.split()[1] for line in drawn if line[:1] in "✔+" and line] == [
        "admitted",
        "stopping",
        "settled",
    ]


def test_in_a_pipe_there_is_a_line_a_tenth(gate: Gate, sandbox: Any) -> None:
    gate.events("r-7f3k9w", *trained())
    said = sandbox("runs", "watch", "r-7f3k9w")
    lines = [line for line in said.out.splitlines() if " training " in line]
    assert said.code == 0 and [int(line.split()[2]) for line in lines] == list(range(10, 101, 10))
    assert "loss 0.3   0:09 left   no bound   9.8 steps/s" in lines[0] and "\x1b" not in said.out


def test_as_json_there_are_events_and_no_line(gate: Gate, sandbox: Any) -> None:
    gate.events("r-7f3k9w", *trained(10))
    said = sandbox("--json", "runs", "watch", "r-7f3k9w")
    found = [json.loads(line)["event"] for line in said.out.splitlines()]
    assert found.count("progress") == 10 == found.count("metric") and len(found) == 23


def test_a_dry_run_shows_what_it_writes_above_the_line(
    gate: Gate, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import httpx

    folder = tmp_path / "recipes" / "hum"
    folder.mkdir(parents=True)
    (folder / "recipe.yaml").write_text("name: hum")
    monkeypatch.chdir(tmp_path)
    console, written = screen()
    here = Context(Path("/nowhere/s"), False, {})
    monkeypatch.setitem(here.__dict__, "console", console)
    gate.answers["POST", "/v1/dry-runs"] = httpx.Response(200, json={"run": "r-7f3k9w"})
    said = [("text", json.dumps({"line": f"[red]word {n}"})) for n in range(3)]
    gate.events("r-7f3k9w", *trained(4)[:-1], *said, trained(4)[-1])
    dry_run.follow(here, "hum", None, None, {})
    text = written.getvalue()
    assert "4 / 4   loss 0.75" in text and text.count("\x1b[?25l") == 1 == text.count("\x1b[?25h")
    lines = [re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", line) for line in re.split(r"[\r\n]", text)]
    assert [line for line in lines if "word" in line] == [f"[red]word {n}" for n in range(3)]


def test_a_view_that_was_never_shown_is_closed_without_a_word() -> None:
    console, written = screen()
    view = Live(console)
    view.show(Story("r-7f3k9w", _UTF8))
    view.close()
    assert written.getvalue() == ""


@pytest.mark.parametrize(("answer", "asked"), [("stop", "stop"), ("kill", "kill"), ("leave", None)])
def test_an_interrupt_asks_what_to_do(
    gate: Gate, monkeypatch: pytest.MonkeyPatch, answer: str, asked: str | None
) -> None:
    import click
    import httpx

    from sandbox import client

    for verb in ("stop", "kill"):
        gate.answers["POST", f"/v1/runs/r-7f3k9w/{verb}"] = httpx.Response(200, json={})
    monkeypatch.setattr("sys.stdin", type("Terminal", (), {"isatty": staticmethod(lambda: True)}))
    monkeypatch.setattr(click, "prompt", lambda *_, **__: answer)
    here = Context(Path("/nowhere/s"), False, {})
    with client.gate(here.state) as service, pytest.raises(click.exceptions.Abort):
        ask_what_to_do(here, service, "r-7f3k9w")
    assert [r.url.path.rsplit("/", 1)[1] for r in gate.asked] == ([asked] if asked else [])


def test_a_run_s_page_draws_its_curves(gate: Gate, sandbox: Any) -> None:
    import httpx

    points = [{"step": step, "value": 8.0 - step} for step in range(1, 9)]
    found: dict[str, Any] = {
        "state": "settled",
        "outcome": "finished",
        "plan": {"subjects": [], "parameters": {}},
    }
    found |= {"metrics": {"loss": points, "left_out": [{"step": 0, "value": 0}]}, "epsilon": None}
    gate.answers["GET", "/v1/runs/r-7f3k9w"] = httpx.Response(
        200, json=found | {"artifacts": [], "credentials": []}
    )
    lines = sandbox("runs", "show", "r-7f3k9w").out.splitlines()
    (loss,) = (line for line in lines if line.startswith("metric loss"))
    assert loss.strip().endswith("0 at step 8 (8 points)   █▇▆▅▄▃▂▁")
    assert any(line.strip().endswith("0 at step 0 (1 points)") for line in lines)
