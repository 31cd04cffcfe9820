"""The keeper believes the image's anchors and the mounted bytes, and nothing that an order brings along."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sandbox.errors import CredentialError, RecipeError, SandboxError, StatementError
from sandbox.runner.grant import check_order, check_recipe, read_folder
from sandbox.runs import Grant, Input, Kind, Order, Trust, WrapToken, recipe_digest
from sandbox.statements import Ed25519Signer, sign_statement
from tests.fakes.grants import grant as some_grant

GATE, STRANGER = (Ed25519Signer(Ed25519PrivateKey.generate()) for _ in range(2))
TRUST = Trust(vault_ca="", gate=(GATE.public,), custodian=())
NOW = datetime(2026, 6, 1, tzinfo=UTC)


def order(grant: Grant, signer: Ed25519Signer = GATE, **change: object) -> Order:
    signed = sign_statement("grant", [(grant.run, grant.recipe_digest)], grant.to_predicate(), [signer])
    fitting = Order(
        signed,
        WrapToken("s.unlock") if grant.dataset else None,
        {a.path: WrapToken("s.artifact") for a in grant.artifacts},
        {i.path: WrapToken("s.input") for i in grant.inputs},
    )
    return replace(fitting, **change)  # type: ignore[arg-type]


def test_a_signed_grant_in_its_time_is_believed() -> None:
    grant, digest = check_order(order(some_grant()), TRUST, NOW)
    assert grant == some_grant()
    assert len(digest) == 64


@pytest.mark.parametrize(
    ("given", "now", "fault"),
    [
        pytest.param(order(some_grant(), STRANGER), NOW, StatementError, id="signed by a stranger"),
        pytest.param(
            order(some_grant()), datetime(2025, 12, 31, tzinfo=UTC), CredentialError, id="too early"
        ),
        pytest.param(order(some_grant()), datetime(2027, 1, 1, tzinfo=UTC), CredentialError, id="expired"),
        pytest.param(
            order(some_grant(), unlock=None), NOW, CredentialError, id="no credential for its dataset"
        ),
        pytest.param(order(some_grant(), artifacts={}), NOW, CredentialError, id="artifact keys missing"),
        pytest.param(
            order(some_grant(), inputs={"x": WrapToken("s.x")}), NOW, CredentialError, id="a key too many"
        ),
        pytest.param(order(some_grant(Kind.DRY)), NOW, CredentialError, id="a dry run with credentials"),
        pytest.param(
            order(replace(some_grant(), dataset=None)),
            NOW,
            None,
            id="a run without a dataset needs no credential",
        ),
    ],
)
def test_an_order_that_does_not_fit_is_refused(
    given: Order, now: datetime, fault: type[SandboxError] | None
) -> None:
    if fault is None:
        assert check_order(given, TRUST, now)
        return
    with pytest.raises(fault):
        check_order(given, TRUST, now)


FILE = Input("file", "9" * 64, "", "")
MODEL = Input("model", "8" * 64, "r-1", "model-4.safetensors")


def test_a_public_file_needs_no_key_and_lies_beside_nothing_that_is_sealed() -> None:
    alone = replace(some_grant(), dataset=None, inputs=(FILE,))
    assert check_order(order(alone, inputs={}), TRUST, NOW)
    beside_data = replace(some_grant(), inputs=(FILE,))
    beside_a_model = replace(alone, inputs=(FILE, MODEL))
    for grant, keys in ((beside_data, {}), (beside_a_model, {"model": WrapToken("s.input")})):
        with pytest.raises(CredentialError) as said:
            check_order(order(grant, inputs=keys), TRUST, NOW)
        assert said.value.code == "grant.public_file"


def test_one_changed_byte_of_the_recipe_is_refused(tmp_path: Path) -> None:
    (tmp_path / "recipe.py").write_text("def main(run): ...\n")
    granted = replace(some_grant(), recipe_digest=recipe_digest(read_folder(tmp_path, 1000)))
    check_recipe(granted, tmp_path)
    (tmp_path / "recipe.py").write_text("def main(run): ..!\n")
    with pytest.raises(RecipeError, match="not the granted one"):
        check_recipe(granted, tmp_path)


def test_a_link_in_a_mounted_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "recipe.py").symlink_to("/etc/hostname")
    with pytest.raises(RecipeError, match="no regular file"):
        read_folder(tmp_path, 1000)


def test_a_recipe_beyond_the_size_is_refused_before_it_is_read(tmp_path: Path) -> None:
    (tmp_path / "recipe.py").write_bytes(b"#" * 2000)
    with pytest.raises(RecipeError, match="larger"):
        read_folder(tmp_path, 1000)
