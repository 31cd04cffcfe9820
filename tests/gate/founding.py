"""Founding an installation: parties, people, consents, a sealed dataset, approved recipes. Once; then it is copied."""

from __future__ import annotations

import copy
import shutil
from pathlib import Path
from typing import Any

from sandbox.custodian.access import grant_access
from sandbox.custodian.consent import import_consents
from sandbox.custodian.people import enter_person
from sandbox.custodian.seal import seal_upload
from tests.fakes.studio import NOW, STEWARD, Clock, consent, facts, open_desk, upload, wave
from tests.fakes.vault import FakeVault
from tests.gate.world import (
    ANNA,
    AUDITOR,
    BEN,
    DATASET,
    ENGINEER,
    HUM,
    LISTEN,
    OPERATOR,
    OTHER,
    REVIEWERS,
    World,
    sent,
)


def found(state: Path, database: str = "", purposes: str = "train, test") -> World:
    """Parties, people, consents, a sealed dataset of two voices, two approved recipes."""
    clock = Clock()
    world = World(state, FakeVault(lambda: clock().timestamp()), clock, database=database)
    (state / "custodian").mkdir(parents=True)
    desk = open_desk(world.desk, purposes=purposes)
    for name, roles in {
        ENGINEER: ["ml_engineer"],
        OTHER: ["ml_engineer"],
        OPERATOR: ["operator"],
        AUDITOR: ["auditor"],
        **{name: ["privacy_reviewer"] for name in REVIEWERS},
    }.items():
        enter_person(desk, STEWARD, _person(name, roles))
    grant_access(
        desk,
        STEWARD,
        {"person": ENGINEER, "dataset": DATASET, "purposes": purposes.split(", "), "until": "2026-12-31"},
    )
    import_consents(desk, STEWARD, [consent(ANNA), consent(BEN)])
    list(seal_upload(desk, STEWARD, upload([(facts(0, ANNA), wave(0)), (facts(1, BEN), wave(1))])))
    gate = world.gate()
    for recipe in (HUM, LISTEN):
        digest = gate.house.recipes.submit(sent(recipe), ENGINEER)["digest"]
        for reviewer in REVIEWERS:
            gate.house.recipes.approve(digest, "", reviewer)
    gate.images.approve(world.settings.image_id, REVIEWERS[0])
    world.close()
    return world


def copied(founded: World, state: Path, database: str = "") -> World:
    """The same installation again, on its own."""
    shutil.copytree(founded.state, state, dirs_exist_ok=True)
    clock = Clock(NOW)
    vault = FakeVault(lambda: clock().timestamp())
    for name in ("keys", "versions", "kept", "policies", "people", "tokens", "wraps"):
        setattr(vault, name, copy.deepcopy(getattr(founded.vault, name)))
    vault.signing = founded.vault.signing
    return World(state, vault, clock, database=database)


def _person(name: str, roles: list[str]) -> dict[str, Any]:
    return {
        "person": name,
        "party": "B",
        "roles": roles,
        "nda": {"expires": "2027-01-10"},
        "training": {"course": "voice-data-security-2026", "valid_until": "2027-01-12"},
    }
