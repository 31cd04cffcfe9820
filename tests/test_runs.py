"""Requests, grants and orders keep their shape, and show no credential."""

import pytest

from sandbox import runs
from sandbox.errors import StatementError
from sandbox.runs import Artifact, Compute, Grant, Input, Kind, Metric, Order, Privacy, Request, WrapToken

GRANT = Grant(
    run="r-2345",
    grant="g-2345",
    kind=Kind.AGREEMENT,
    person="eng.li",
    agreement="dsa-2026-0001",
    agreement_digest="0" * 64,
    purpose="train",
    dataset="digits",
    manifest_digest="1" * 64,
    subjects=("spk_7f3a",),
    recipe="digits",
    recipe_digest="2" * 64,
    engine="torch",
    parameters={"steps": 10},
    image_id="3" * 64,
    isolation_digest="4" * 64,
    inputs=(Input("model", "5" * 64, "r-2346", "model-10.safetensors"),),
    privacy=Privacy("speaker", 8.0, 1e-5, 1.0, 0.1, 10, 1.2),
    metrics=(Metric("loss", 0.0, 100.0, 3, 10),),
    artifacts=(Artifact("model-10.safetensors", (10,), runs.SAFETENSORS, 1 << 20),),
    channels={"listen": False},
    not_before="2026-11-24T00:00:00Z",
    expires="2026-11-24T01:00:00Z",
)


def test_a_grant_survives_its_statement() -> None:
    assert Grant.from_predicate(GRANT.to_predicate()) == GRANT


@pytest.mark.parametrize(
    "change", [{"more": 1}, {"kind": "other"}, {"metrics": [{"name": "loss"}]}, {"subjects": 3}]
)
def test_a_grant_of_another_shape_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(StatementError):
        Grant.from_predicate({**GRANT.to_predicate(), **change})


def test_a_grant_that_lacks_a_field_is_refused() -> None:
    short = GRANT.to_predicate()
    del short["expires"]
    with pytest.raises(StatementError):
        Grant.from_predicate(short)


def test_an_order_survives_stdin_and_never_shows_its_tokens() -> None:
    order = Order(b"{}", WrapToken("s.secret"), {"m": WrapToken("s.other")}, {})
    assert Order.from_bytes(order.to_bytes()) == order
    assert "s.secret" not in repr(order)
    with pytest.raises(StatementError) as fault:
        Order.from_bytes(b'{"grant": "s.secret"')
    assert "s.secret" not in str(fault.value)


def test_a_request_survives_json() -> None:
    request = Request(
        "digits", "0" * 64, "dsa", "train", "digits", ("spk_a1",), {}, None, Compute(), {"steps": 1}
    )
    assert Request.from_json(request.to_json()) == request
    with pytest.raises(StatementError):
        Request.from_json({**request.to_json(), "extra": 1})


def test_one_byte_of_a_recipe_changes_its_digest() -> None:
    files = {"recipe.py": b"x", "recipe.yaml": b"y"}
    assert runs.recipe_digest(files) == runs.recipe_digest(dict(reversed(files.items())))
    assert runs.recipe_digest(files) != runs.recipe_digest({**files, "recipe.py": b"z"})
