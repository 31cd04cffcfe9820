"""Registers as the gate sees them: believed only as Vault's heads say, and named in its own log."""

from __future__ import annotations

import json
import shutil

import pytest

from sandbox.custodian.consent import withdraw_consent
from sandbox.errors import (
    EvidenceMismatch,
    NotPermitted,
    RollbackDetected,
    StatementError,
    Unreachable,
    Usage,
)
from sandbox.gate.ledger import log
from sandbox.gate.routes.standing import require, roles
from tests.fakes.studio import STEWARD
from tests.gate.world import ANNA, DATASET, ENGINEER, HUM, OPERATOR, REVIEWERS, admit, sent


def posted(gate) -> list[tuple[str, int]]:
    found = [json.loads(entry) for entry in gate.house.store.read(log.entries)]
    return [(entry["register"], entry["seq"]) for entry in found if entry["kind"] == "posting"]


def test_each_entry_is_named_in_the_log_once(world, gate):
    gate.registers.read()
    before = posted(gate)
    assert len(before) == len(set(before)) and ("consent", 2) in before
    gate.registers.read()
    world.gate().registers.read()
    assert posted(gate) == before
    withdraw_consent(world.desk, STEWARD, DATASET, ANNA)
    assert gate.registers.changed()
    assert gate.registers.read().consents[DATASET, ANNA].status == "ConsentWithdrawn"
    assert posted(gate) == [*before, ("consent", 3)] and not gate.registers.changed()


def lose_last(world):
    (world.places.registers / "consent" / "2.dsse.json").unlink()


def roll_back_files(world):
    lose_last(world)
    shutil.copy(
        world.places.registers / "consent" / "1.dsse.json", world.places.registers / "consent" / "2.dsse.json"
    )


def change_a_byte(world):
    path = world.places.registers / "people" / "2.dsse.json"
    path.write_bytes(path.read_bytes().replace(b"a", b"b", 1))


def roll_back_head(world):
    heads = world.vault.kept["registers"]
    heads.append(heads[-1] | {"consent": heads[0]["people"]})


TAMPERED = [lose_last, roll_back_files, change_a_byte, roll_back_head]


@pytest.mark.parametrize("tamper", TAMPERED, ids=[t.__name__ for t in TAMPERED])
@pytest.mark.parametrize("known", [True, False], ids=["read before", "never read"])
def test_where_files_and_head_differ_nothing_is_admitted(world, gate, tamper, known):
    if known:
        gate.registers.read()
    tamper(world)
    with pytest.raises((RollbackDetected, StatementError)):
        gate.registers.read()
    with pytest.raises(EvidenceMismatch):
        admit(gate)


def test_what_lies_above_the_head_is_not_in_force(world, gate):
    folder = world.places.registers / "consent"
    shutil.copy(folder / "2.dsse.json", folder / "3.dsse.json")
    assert len(gate.registers.read().consents) == 2


def test_an_agreement_that_lost_its_files_is_not_believed(world, gate):
    entry = gate.registers.read().statuses["dsa-2026-0001"]
    assert gate.registers.agreement(entry).terms.metadata.id == "dsa-2026-0001"
    (world.places.agreements / f"{entry.digest}.yaml").unlink()
    with pytest.raises(EvidenceMismatch):
        gate.registers.agreement(entry)
    assert gate.registers.agreement(None) is None


def test_an_approval_is_a_reviewers_and_never_the_submitters(gate):
    recipes = gate.house.recipes
    files = {"recipe.yaml": "bmFtZTogeAo=", "recipe.py": ""}
    with pytest.raises(Usage):
        recipes.submit({"files": files}, ENGINEER)
    (first, *_) = recipes.listing()
    assert first["approved_by"] == list(REVIEWERS)
    with pytest.raises(NotPermitted):
        recipes.approve(first["digest"], "", ENGINEER)
    with pytest.raises(Usage):
        recipes.approve(first["digest"], "another", REVIEWERS[0])


def test_who_submitted_a_recipe_does_not_approve_it(world, gate):
    changed = {**HUM, "recipe.py": b"def main(run): run.log('x')\n"}
    digest = gate.house.recipes.submit(sent(changed), REVIEWERS[0])["digest"]
    with pytest.raises(NotPermitted) as fault:
        gate.house.recipes.approve(digest, "", REVIEWERS[0])
    assert fault.value.code == "recipe.own"
    assert gate.house.recipes.approve(digest, "", REVIEWERS[1])["approved_by"] == [REVIEWERS[1]]


def test_kept_bytes_that_changed_are_refused(world, gate):
    digest = gate.house.recipes.listing()[0]["digest"]
    (world.places.recipes / digest / "recipe.py").write_bytes(b"import os\n")
    with pytest.raises(Usage) as fault:
        gate.house.recipes.card(digest)
    assert fault.value.code == "recipe.changed"


def test_an_approval_needs_vault(world, gate, monkeypatch):
    digest = gate.house.recipes.submit(sent({**HUM, "recipe.py": b"main = print\n"}), ENGINEER)["digest"]

    def nobody():
        raise Unreachable("Vault does not answer")

    monkeypatch.setattr(gate.house.vault, "signer", nobody, raising=False)
    with pytest.raises(Unreachable):
        gate.house.recipes.approve(digest, "", REVIEWERS[0])
    assert gate.house.recipes.describe(digest)["approved_by"] == []


def test_roles_come_from_the_register_alone(gate):
    assert roles(gate.registers, OPERATOR) == ("operator",)
    assert roles(gate.registers, "nobody") == ()
    assert require(gate.registers, OPERATOR, "operator", "auditor") == ("operator",)
    with pytest.raises(NotPermitted):
        require(gate.registers, ENGINEER, "operator")
