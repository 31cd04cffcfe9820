"""What the command line advises after a failure, and the verbs that end a run in order and go on."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from sandbox.cli.mends import mend_of
from tests.cli.conftest import Gate, Sandbox

ADVICE = [
    ("recipe.out_of_memory", {"batch_size": 32}, "try batch_size: 16, or more compute.memory"),
    ("recipe.out_of_memory", {"batch_size": 32, "accumulate": 2}, "batch_size: 16 and accumulate: 4"),
    ("recipe.out_of_memory", {"batch_size": 1}, "ask for more compute.memory"),
    ("recipe.out_of_memory", {}, "ask for more compute.memory"),
    ("trainer.gone", {"batch_size": 9}, "out of memory: try batch_size: 4"),
    ("recipe.loss_not_finite", {}, "sandbox runs resume r-7f3k9w goes on from its last checkpoint"),
    ("recipe.not_deterministic", {}, "deterministic: false"),
    ("keeper.gone", {}, "sandbox runs resume r-7f3k9w goes on from its last checkpoint"),
    (
        "record.symbols:u00017",
        {},
        "correct its transcript, or widen the recipe's vocabulary; the record: u00017",
    ),
    ("record.silent:u00003", {}, "the record: u00003"),
    ("recipe.metric_undeclared", {}, "in the recipe's card"),
    ("recipe.sentences", {}, "1 to 32 sentences"),
    ("recipe.no_such_voice", {}, "-p voice=N"),
    ("recipe.vocoder", {}, "leave the vocoder out"),
    ("recipe.nothing_said", {}, "nothing audible"),
    ("recipe.voiceprint", {}, "build the runner image"),
]


@pytest.mark.parametrize(("failure", "parameters", "said"), ADVICE)
def test_a_failure_is_told_with_what_mends_it(failure: str, parameters: dict[str, Any], said: str) -> None:
    assert said in mend_of(failure, "r-7f3k9w", parameters)


@pytest.mark.parametrize("failure", ["", "recipe.failed:ValueError:3", "keeper.lost"])
def test_where_nothing_is_known_nothing_is_said(failure: str) -> None:
    assert mend_of(failure, "r-7f3k9w", {}) == ""


def test_a_run_is_asked_to_end_in_order(gate: Gate, sandbox: Sandbox) -> None:
    gate.answers["POST", "/v1/runs/r-7f3k9w/stop"] = httpx.Response(
        200, json={"run": "r-7f3k9w", "stopping": True}
    )
    said = sandbox("runs", "stop", "r-7f3k9w")
    assert said.code == 0 and "stopping   r-7f3k9w   sandbox runs watch r-7f3k9w" in said.out


@pytest.mark.parametrize("words", [(), ("--json",)], ids=["people", "programs"])
def test_a_run_goes_on_as_a_new_one(gate: Gate, sandbox: Sandbox, words: tuple[str, ...]) -> None:
    gate.answers["POST", "/v1/runs/r-7f3k9w/resume"] = httpx.Response(200, json={"run": "r-9tun22"})
    said = sandbox(*words, "runs", "resume", "r-7f3k9w", "--detach")
    assert said.code == 0 and ('"run": "r-9tun22"' if words else "admitted   run r-9tun22") in said.out


def test_a_runs_page_says_what_would_mend_it(gate: Gate, sandbox: Sandbox) -> None:
    plan = {"subjects": ["spk_anna"], "parameters": {"batch_size": 8}}
    found = {"state": "settled", "outcome": "failed", "failure": "recipe.out_of_memory", "plan": plan}
    found |= {"metrics": {}, "artifacts": [], "credentials": [], "epsilon": None}
    gate.answers["GET", "/v1/runs/r-7f3k9w"] = httpx.Response(200, json=found)
    assert "try batch_size: 4" in sandbox("runs", "show", "r-7f3k9w").out
