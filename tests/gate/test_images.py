"""The runner image under review: no run starts in one that nobody approved who may, and did not install it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sandbox.custodian.people import enter_person
from sandbox.errors import NotFound, NotPermitted, Refused, Usage
from sandbox.gate.deciding.images import inputs_digest
from sandbox.gate.gate import Gate
from sandbox.runs import Kind
from tests.fakes.studio import STEWARD
from tests.gate.world import AUDITOR, ENGINEER, HUM, OPERATOR, REVIEWERS, World, admit, request, row

OLD, NEW = "3" * 64, "5" * 64
INPUTS = {"docker/runner.lock": "a" * 64, "sandbox/runner/door.py": "b" * 64}


def rebuilt(world: World, image: str = NEW, **changes: str) -> None:
    """`sandbox up` built another image."""
    world.settings = replace(
        world.settings, image_id=image, image_inputs={**INPUTS, **changes}, image_installed_by="root"
    )


def codes(gate: Gate) -> list[tuple[str, str]]:
    with pytest.raises(Refused) as caught:
        admit(gate)
    return [(reason.code, reason.why) for reason in caught.value.reasons]


def test_a_rebuilt_image_needs_a_new_approval(world: World, gate: Gate) -> None:
    assert admit(gate)
    rebuilt(world)
    ((code, why),) = codes(gate)
    assert code == "image.unapproved" and "nobody" in why
    gate.images.approve(NEW, REVIEWERS[1])
    assert row(gate, admit(gate)).plan["image_id"] == NEW


def test_a_dry_run_needs_neither_approval(world: World, gate: Gate) -> None:
    rebuilt(world)
    world.settings = replace(world.settings, public_digest="e" * 64)
    changed = {**HUM, "recipe.py": b"def main(run): pass\n"}
    from tests.gate.world import sent

    gate.house.recipes.submit(sent(changed), ENGINEER)
    asked = request(changed, kind=Kind.DRY, dataset=None, agreement="")
    assert gate.admission.ask(asked, ENGINEER).run


def test_without_an_image_nothing_runs(world: World, gate: Gate) -> None:
    world.settings = replace(world.settings, image_id="")
    assert [code for code, _ in codes(gate)] == ["image.unapproved"]


def test_a_revoked_image_is_refused_whoever_approved_it(gate: Gate) -> None:
    gate.images.approve(OLD, REVIEWERS[1])
    found = gate.images.revoke(OLD, "CVE-2026-1234", REVIEWERS[0])
    assert found["revoked_by"] == [REVIEWERS[0]] and found["approved_by"] == [REVIEWERS[1]]
    assert codes(gate) == [("image.unapproved", f"revoked by {REVIEWERS[0]}")]
    gate.images.approve(OLD, REVIEWERS[0])
    assert admit(gate)


@pytest.mark.parametrize("who", [ENGINEER, OPERATOR, AUDITOR, "nobody"])
def test_only_a_reviewer_approves_or_revokes(world: World, gate: Gate, who: str) -> None:
    rebuilt(world)
    for act in (lambda: gate.images.approve(NEW, who), lambda: gate.images.revoke(OLD, "x", who)):
        with pytest.raises(NotPermitted):
            act()
    assert [code for code, _ in codes(gate)] == ["image.unapproved"]


def person(name: str, *roles: str) -> dict[str, object]:
    return {
        "person": name,
        "party": "B",
        "roles": list(roles),
        "nda": {"expires": "2027-01-10"},
        "training": {"course": "x", "valid_until": "2027-01-12"},
    }


def test_who_installs_images_approves_none(world: World, gate: Gate) -> None:
    enter_person(world.desk, STEWARD, person("b.both", "privacy_reviewer", "operator"))
    rebuilt(world)
    with pytest.raises(NotPermitted):
        gate.images.approve(NEW, "b.both")
    world.settings = replace(world.settings, image_id="6" * 64, image_installed_by=REVIEWERS[0])
    with pytest.raises(NotPermitted) as caught:
        gate.images.approve("6" * 64, REVIEWERS[0])
    assert caught.value.code == "image.own"


def test_an_approval_ends_with_the_role_it_came_from(world: World, gate: Gate) -> None:
    enter_person(world.desk, STEWARD, person(REVIEWERS[0], "privacy_reviewer", "operator"))
    assert [code for code, _ in codes(gate)] == ["image.unapproved"]


def test_who_runs_is_not_the_only_one_who_approved(world: World, gate: Gate) -> None:
    enter_person(world.desk, STEWARD, person(ENGINEER, "ml_engineer", "privacy_reviewer"))
    rebuilt(world)
    gate.images.approve(NEW, ENGINEER)
    ((code, why),) = codes(gate)
    assert code == "image.unapproved" and ENGINEER in why


def test_what_changed_since_the_image_approved_last_is_named(world: World, gate: Gate) -> None:
    rebuilt(world)
    gate.images.approve(NEW, REVIEWERS[0])
    rebuilt(world, "7" * 64, **{"docker/runner.lock": "c" * 64, "docker/slim.sh": "d" * 64})
    found = gate.images.review("7" * 64)
    assert (found["before"], found["changed"]) == (NEW, ["docker/runner.lock", "docker/slim.sh"])
    assert found["digest"] == inputs_digest(found["inputs"]) and found["installed"]
    (entry,) = [one for one in gate.registers.reviews("image-approval") if one.entry.image == NEW]
    assert entry.entry.inputs == inputs_digest(INPUTS)
    assert [(one["id"], one["installed"]) for one in gate.images.listing()][-1] == ("7" * 64, True)


def test_an_image_that_was_never_here_is_unknown(gate: Gate) -> None:
    with pytest.raises(NotFound):
        gate.images.approve("9" * 64, REVIEWERS[0])
    with pytest.raises(Usage):
        gate.images.approve("../x", REVIEWERS[0])
    for reason in (" ", "null", "ok\x1b[2J", "x" * 301):
        with pytest.raises(Usage):
            gate.images.revoke(OLD, reason, REVIEWERS[0])


def test_an_image_swapped_between_decision_and_admission_is_noticed(
    world: World, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    gather = gate.admission._knowledge.gather

    def slow(wanted, who):
        found = gather(wanted, who)
        rebuilt(world)
        return found

    monkeypatch.setattr(gate.admission._knowledge, "gather", slow)
    assert [code for code, _ in codes(gate)] == ["image.unapproved"]
