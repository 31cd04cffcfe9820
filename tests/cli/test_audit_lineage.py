"""The lineage at the terminal: from a voice down to everything that was made of it, and back."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from typing import Any

import httpx
import pytest

from sandbox import lineage
from sandbox.cli.audit_lineage import Graph, describe
from sandbox.cli.main import main
from sandbox.gate.routes import report
from sandbox.gate.subjects import heritage, withdrawal
from sandbox.lineage import DatasetFact, ModelFact
from sandbox.runs import Input
from tests.cli.conftest import Gate, Sandbox
from tests.tracking.runs import EVALUATION, grant

TRAIN = grant("r-7f3k", subjects=("spk_7f3a", "spk_19c0"))
FURTHER = grant(
    "r-9tun", subjects=("spk_19c0",), purpose="optimise", inputs=(Input("model", "9" * 64, "r-7f3k", "m"),)
)
JUDGED = replace(EVALUATION, run="r-7f3m", inputs=(Input("model", "9" * 64, "r-7f3k", "m"),))
OTHER = grant("r-5aaa", dataset="studio", manifest_digest="c" * 64, subjects=("spk_7f3a",))
GRAPH = lineage.build(
    [
        DatasetFact("digits", 3, "b" * 64, ("spk_19c0", "spk_7f3a")),
        DatasetFact("studio", 1, "c" * 64, ("spk_7f3a",)),
    ],
    [TRAIN, FURTHER, JUDGED, OTHER],
    [ModelFact("digits", 1, "r-7f3k"), ModelFact("digits", 2, "r-9tun")],
    taints={lineage.model("digits", 2): "spk_19c0 erased"},
)


def run(run: str, purpose: str, **more: Any) -> dict[str, Any]:
    said = {"id": run, "grant": f"g{run[1:]}", "purpose": purpose, "person": "eng.li", "state": "settled"}
    return {**said, "outcome": "finished", "epsilon": None, **more}


RUNS = [
    run("r-7f3k", "train"),
    run("r-9tun", "optimise", epsilon=7.981),
    run("r-7f3m", "evaluate", outcome="failed"),
    run("r-5aaa", "train", state="training", outcome=None),
]


@pytest.fixture(autouse=True)
def shown(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    """The gate's own way to tell its graph, of this graph."""
    monkeypatch.setattr(heritage, "graph", lambda connection: GRAPH)
    monkeypatch.setattr(withdrawal, "marks", lambda connection: {"digits@1": "digits/spk_7f3a"})
    gate.answers["GET", "/v1/lineage"] = httpx.Response(200, json=report.graph(None))  # type: ignore[arg-type]
    gate.answers["GET", "/v1/runs"] = httpx.Response(200, json={"items": RUNS, "next": ""})


SUBJECT = """\
spk_19c0  in digits
├─ r-7f3k  train, eng.li, grant g-7f3k, no DP  finished
│  └─ digits v1  sealed, confidential, release denied  CONSENT WITHDRAWN: digits/spk_7f3a
│     ├─ r-7f3m  evaluate, eng.li, grant g-7f3m, no DP  failed
│     └─ r-9tun  optimise, eng.li, grant g-9tun, epsilon 7.98 a person  finished
│        └─ digits v2  sealed, confidential, release denied  TAINTED: spk_19c0 erased
└─ r-9tun  optimise, eng.li, grant g-9tun, epsilon 7.98 a person  finished
   └─ digits v2  sealed, confidential, release denied  TAINTED: spk_19c0 erased
"""


def test_a_voice_leads_to_everything_that_heard_it(sandbox: Sandbox) -> None:
    said = sandbox("audit", "lineage", "--subject", "spk_19c0")
    assert said.code == 0 and said.out == SUBJECT, said.err


def test_a_terminal_without_unicode_gets_the_same_tree_in_ascii(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    screen = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr("sys.stdout", screen)
    assert main(["audit", "lineage", "--subject", "spk_19c0"]) == 0
    screen.flush()
    said = screen.buffer.getvalue().decode("ascii")  # type: ignore[attr-defined]
    assert said == SUBJECT.replace("└─", "`-").replace("├─", "|-").replace("│", "|")


def test_a_voice_in_two_datasets_has_two_trees(sandbox: Sandbox) -> None:
    said = sandbox("audit", "lineage", "--subject", "spk_7f3a")
    assert [line for line in said.out.splitlines() if line.startswith("spk_")] == [
        "spk_7f3a  in digits",
        "spk_7f3a  in studio",
    ]


def test_what_a_run_costs_is_not_said_before_it_is_settled(sandbox: Sandbox) -> None:
    said = sandbox("audit", "lineage", "--run", "r-5aaa")
    assert said.out.splitlines()[0] == "r-5aaa  train, eng.li, grant g-5aaa  training"


def test_a_run_says_what_it_was_made_from(sandbox: Sandbox) -> None:
    said = sandbox("audit", "lineage", "--run", "r-9tun")
    assert said.out.splitlines()[1] == "   made from: digits@3, digits@1, digits/spk_19c0"


def test_a_model_says_who_made_it_and_what_came_of_it(sandbox: Sandbox) -> None:
    lines = sandbox("audit", "lineage", "--model", "digits@1").out.splitlines()
    assert lines[0] == "digits v1  sealed, confidential, release denied  CONSENT WITHDRAWN: digits/spk_7f3a"
    assert lines[1] == "   made from: r-7f3k"
    assert [line.split()[1] for line in lines[2:]] == ["r-7f3m", "r-9tun", "digits"]


def test_json_is_the_tree_as_objects(sandbox: Sandbox) -> None:
    (found,) = map(json.loads, sandbox("audit", "lineage", "--run", "r-7f3k", "--json").out.splitlines())
    assert found["id"] == "r-7f3k" and found["label"] == "party_a_confidential_derivative"
    assert found["from"] == ["dataset:digits@3", "subject:digits/spk_19c0", "subject:digits/spk_7f3a"]
    (model,) = found["leads_to"]
    assert model["id"] == "digits@1" and [one["id"] for one in model["leads_to"]] == ["r-7f3m", "r-9tun"]


@pytest.mark.parametrize(
    ("asked", "code", "says"),
    [
        (("--subject", "spk_nobody"), 3, "nothing was made from or by spk_nobody"),
        (("--run", "spk_7f3a"), 3, "nothing was made from or by spk_7f3a"),
        ((), 2, "one of --subject, --run, --model"),
        (("--run", "r-7f3k", "--model", "digits@1"), 2, "one of --subject, --run, --model"),
    ],
    ids=["nobody", "a voice is no run", "nothing", "two things"],
)
def test_what_is_not_there_is_one_clear_error(
    sandbox: Sandbox, asked: tuple[str, ...], code: int, says: str
) -> None:
    said = sandbox("audit", "lineage", *asked)
    assert said.code == code and says in said.err


def test_a_published_file_leads_to_the_base_that_was_made_of_it(
    monkeypatch: pytest.MonkeyPatch, gate: Gate, sandbox: Sandbox
) -> None:
    file = Input("file", "9" * 64, "", "")
    brought = grant("r-8bas", subjects=(), dataset=None, manifest_digest=None, inputs=(file,))
    made = lineage.build([], [brought], [ModelFact("import-base", 1, "r-8bas")])
    monkeypatch.setattr(heritage, "graph", lambda connection: made)
    gate.answers["GET", "/v1/lineage"] = httpx.Response(200, json=report.graph(None))  # type: ignore[arg-type]
    (told,) = [json.loads(sandbox("audit", "lineage", "--run", "r-8bas", "--json").out)]
    assert told["from"] == [f"base:{'9' * 64}"] and [m["id"] for m in told["leads_to"]] == ["import-base@1"]
    graph = Graph.read(report.graph(None))  # type: ignore[arg-type]
    assert describe(graph, f"base:{'9' * 64}", {}) == "sha256:999999999999…  a published file, public"
