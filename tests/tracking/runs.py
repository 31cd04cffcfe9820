"""Grants for MLflow's tests."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sandbox.runs import Grant, Input, Kind, Outcome, Privacy
from sandbox.tracking.reconcile import SignedRun
from sandbox.tracking.tags import ModelRecord

DIGEST = "e" * 64
PRIVATE = Privacy("speaker", 8.0, 1e-5, 1.0, 0.1, 40, 1.2)


def grant(run: str = "r-2345", **changes: Any) -> Grant:
    found = Grant(
        run=run,
        grant=f"g{run[1:]}",
        kind=Kind.AGREEMENT,
        person="eng.li",
        agreement="dsa-2026-0001",
        agreement_digest="a" * 64,
        purpose="train",
        dataset="digits",
        manifest_digest="b" * 64,
        subjects=("spk_aa", "spk_bb"),
        recipe="digits",
        recipe_digest="c" * 64,
        engine="torch",
        parameters={"steps": 100, "learning_rate": 0.001},
        image_id="d" * 64,
        isolation_digest="f" * 64,
        inputs=(),
        privacy=PRIVATE,
        metrics=(),
        artifacts=(),
        channels={},
        not_before="2026-11-24T12:00:00Z",
        expires="2026-11-24T12:30:00Z",
    )
    return replace(found, **changes)


EVALUATION = grant(
    "r-6789",
    purpose="evaluate",
    dataset=None,
    manifest_digest=None,
    subjects=(),
    privacy=None,
    inputs=(Input("model", "9" * 64, "r-2345", "model-100.safetensors"),),
)
MODEL = ModelRecord("digits", 1, "model-100.safetensors", 100, 4_900_000, "9" * 64, "8" * 64)
SIGNED = SignedRun(
    grant(), DIGEST, Outcome.FINISHED, MODEL, settled={"gov.statement": "8" * 64, "gov.epsilon": "7.98"}
)
SIGNED_EVALUATION = SignedRun(EVALUATION, DIGEST, Outcome.FAILED)
EXPECTED = (SIGNED, SIGNED_EVALUATION)
