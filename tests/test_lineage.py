from __future__ import annotations

from dataclasses import replace

import pytest

from sandbox.lineage import (
    PUBLIC,
    DatasetFact,
    Kind,
    Link,
    ModelFact,
    Node,
    base,
    build,
    dataset,
    model,
    run,
    strictest,
    subject,
)
from sandbox.runs import CLASSIFICATION, Grant, Input
from sandbox.runs import Kind as RunKind


def grant(name: str, subjects: tuple[str, ...] = (), inputs: tuple[str, ...] = ()) -> Grant:
    return Grant(
        run=name, grant="g-2345", kind=RunKind.AGREEMENT, person="eng.li", agreement="dsa", agreement_digest="a" * 64,
        purpose="train", dataset="digits" if subjects else None, manifest_digest="m" if subjects else None,
        subjects=subjects, recipe="digits", recipe_digest="b" * 64, engine="torch", parameters={}, image_id="i",
        isolation_digest="c" * 64, inputs=tuple(Input("model", "d" * 64, made, "model.safetensors") for made in inputs),
        privacy=None, metrics=(), artifacts=(), channels={}, not_before="", expires="",
    )  # fmt: skip


A, B = subject("digits", "spk_aa"), subject("digits", "spk_bb")
DIGITS = DatasetFact("digits", 3, "m", ("spk_aa", "spk_bb"))
RELEASE = Node(Kind.RELEASE, "rel-1")


@pytest.fixture
def graph():
    """aa and bb are sealed; r-both heard both, r-bb only bb; r-eval used the first model, r-failed made none."""
    return build(
        [DIGITS],
        [
            grant("r-both", ("spk_aa", "spk_bb")),
            grant("r-bb", ("spk_bb",)),
            grant("r-eval", inputs=("r-both",)),
            grant("r-failed", ("spk_aa",)),
        ],
        [ModelFact("digits", 1, "r-both"), ModelFact("digits", 2, "r-bb"), ModelFact("report", 1, "r-eval")],
        [("rel-1", ModelFact("digits", 1, "r-both"))],
        {A: "spk_aa was erased"},
    )


def test_descendants_of_a_subject_are_only_what_heard_them(graph) -> None:
    assert graph.descendants(A) == {
        run("r-both"), run("r-failed"), run("r-eval"), model("digits", 1), model("report", 1), RELEASE,
    }  # fmt: skip
    assert model("digits", 2) in graph.descendants(B)


def test_descendants_of_a_dataset_are_all_that_read_it(graph) -> None:
    assert graph.descendants(dataset("digits", 3)) >= {run("r-both"), run("r-bb"), model("digits", 2)}


def test_everybody_in_a_models_lineage_is_known(graph) -> None:
    assert graph.speakers(model("report", 1)) == (("digits", "spk_aa"), ("digits", "spk_bb"))
    assert graph.speakers(model("digits", 2)) == (("digits", "spk_bb"),)


def test_taint_reaches_every_descendant_and_nothing_else(graph) -> None:
    assert {node for node in graph.forward if graph.taint(node)} == {A, *graph.descendants(A)}


def test_a_label_is_that_of_the_strictest_ancestor(graph) -> None:
    assert graph.label(model("report", 1)) == CLASSIFICATION == graph.label(RELEASE)
    assert strictest(["public", CLASSIFICATION]) == CLASSIFICATION
    assert strictest(["public", "something else"]) == "something else"
    assert strictest([]) == CLASSIFICATION


def test_an_input_without_a_registered_model_still_leads_back() -> None:
    graph = build([DIGITS], [grant("r-failed", ("spk_aa",)), grant("r-next", inputs=("r-failed",))], [])
    assert graph.speakers(run("r-next")) == (("digits", "spk_aa"),)
    assert graph.parents(run("r-next")) == [(Link.USED, run("r-failed"))]


def test_a_circle_ends() -> None:
    graph = build([], [grant("r-a", inputs=("r-b",)), grant("r-b", inputs=("r-a",))], [])
    assert graph.descendants(run("r-a")) == {run("r-b")}
    assert graph.ancestors(run("r-a")) == {run("r-b")}


def test_a_published_file_is_public_has_nobody_in_it_and_makes_nothing_public() -> None:
    brought = replace(grant("r-0"), dataset=None, inputs=(Input("file", "c" * 64, "", ""),))
    tuned = grant("r-1", ("spk_a",), ("r-0",))
    found = build([], [brought, tuned], [ModelFact("base", 1, "r-0"), ModelFact("tuned", 1, "r-1")])
    assert found.label(base("c" * 64)) == PUBLIC
    for name in ("base", "tuned"):
        assert found.label(model(name, 1)) == CLASSIFICATION
        assert found.bases(model(name, 1)) == ("c" * 64,)
    assert found.speakers(model("base", 1)) == ()
    assert [who for _, who in found.speakers(model("tuned", 1))] == ["spk_a"]
