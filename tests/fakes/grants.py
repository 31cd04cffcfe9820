"""A grant to test with."""

from __future__ import annotations

from sandbox import runs
from sandbox.runs import Artifact, Grant, Kind, Metric


def grant(kind: Kind = Kind.AGREEMENT) -> Grant:
    return Grant(
        run="r-2345",
        grant="g-2345",
        kind=kind,
        person="eng.li",
        agreement="dsa-1",
        agreement_digest="0" * 64,
        purpose="train",
        dataset="digits",
        manifest_digest="1" * 64,
        subjects=("spk_a1",),
        recipe="probe",
        recipe_digest="2" * 64,
        engine="none",
        parameters={"steps": 4},
        image_id="3" * 64,
        isolation_digest="4" * 64,
        inputs=(),
        privacy=None,
        metrics=(Metric("loss", 0.0, 10.0, 2, 2),),
        artifacts=(
            Artifact("model-4.safetensors", (4,), runs.SAFETENSORS, 1024),
            Artifact("seven.flac", (), runs.FLAC, 1024),
            Artifact("report.json", (), runs.JSON, 64),
        ),
        channels={},
        not_before="2026-01-01T00:00:00Z",
        expires="2027-01-01T00:00:00Z",
    )
