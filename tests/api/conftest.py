"""A founded house with one run that is over, and both services on it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.api.factors import Factors
from tests.api.services import Service, custodian_service, gate_service
from tests.gate.founding import copied, found
from tests.gate.world import (
    AGREEMENT,
    ANNA,
    BEN,
    DATASET,
    ENGINEER,
    OTHER,
    World,
    muted_power_cuts,
    run_of,
    short_folder,
)


@pytest.fixture(scope="session")
def founded_here() -> Iterator[World]:
    with short_folder() as state:
        yield found(state)


@pytest.fixture
def house(founded_here: World) -> Iterator[World]:
    """An installation of this test's own."""
    with short_folder() as state, muted_power_cuts():
        world = copied(founded_here, state)
        yield world
        world.close()


@pytest.fixture
def gate_api(house: World) -> Service:
    return served_gate(house)


@pytest.fixture
def custodian_api(house: World) -> Service:
    return served_custodian(house)


def served_gate(house: World) -> Service:
    """With one run that is over, and the ids that came of it."""
    gate = house.gate()
    audit = house.places.vault_audit
    audit.parent.mkdir(parents=True, exist_ok=True)
    audit.touch()
    row = run_of(gate)
    known = {"id": [row.id], "subject": [ANNA, BEN], "digest": [row.plan["recipe_digest"]]}
    known |= {f"id@/v1/decisions/{{id}}{tail}": [row.decision] for tail in ("", "/replay")}
    known |= {"body.recipe_digest": [row.plan["recipe_digest"]], "body.recipe": ["hum"]}
    known |= {"body.agreement": [AGREEMENT], "body.dataset": [DATASET], "body.purpose": ["train"]}
    known |= {"digest@/v1/statements/{digest}": [row.grant_digest, row.statement]}
    return gate_service(gate, known)


def served_custodian(house: World) -> Service:
    desk = replace(house.desk, vault=Factors(house.desk.vault))
    known = {
        "dataset": [DATASET],
        "subject": [ANNA, BEN],
        "body.dataset": [DATASET],
        "body.subject": [ANNA, BEN],
    }
    known |= {"body.agreement": [AGREEMENT], "body.person": [OTHER, ENGINEER]}
    return custodian_service(desk, known)
