"""What a run's container is asked to be: the isolation spec, from the plan and the places alone. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sandbox.gate.places import Places
from sandbox.gate.sealed import Sealed
from sandbox.isolation.spec import Spec
from sandbox.runs import Grant, Kind

PAGE = 4096  # the kernel keeps a memory limit in whole pages; another one would not read back as it was asked for


def spec_of(places: Places, sealed: Sealed, plan: Grant, compute: Mapping[str, Any], engine: str) -> Spec:
    """The spec of this run; the same plan always gives the same spec."""
    staging = places.staging(plan.run)
    data = None
    if plan.kind is Kind.DRY:
        data = str(places.public_set)
    elif plan.dataset is not None:
        data = str(sealed.folder(plan.dataset, str(plan.manifest_digest)))
    return Spec(
        run=plan.run,
        image_id=plan.image_id.removeprefix("sha256:"),
        doors=str(places.door(plan.run)),
        recipe=str(staging / "recipe"),
        data=data,
        inputs=str(staging / "inputs") if plan.inputs else None,
        cpus=float(compute["cpus"]),
        memory_bytes=int(compute["memory_bytes"]) // PAGE * PAGE,
        gpus=int(compute["gpus"]),
        engine=engine,
    )
