"""Detection rules as data: each fires in its case and only there, and is silent just below its threshold."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sandbox.errors import Usage
from sandbox.policy.detection import SEEN, Memory, Sighting, forget, observe, read_rules, scope_of

FILE = Path(__file__).resolve().parents[2] / "configs" / "detection.yaml"
RULES = read_rules(FILE.read_bytes())
#: A Thursday, in the hours of work of the rule's zone.
NOON = datetime(2026, 11, 26, 4, 0, tzinfo=UTC)

#: Rule -> what it looks at.
SEES = {
    "off-hours": "run.asked",
    "denied-burst": "run.refused",
    "policy-edit": "policy.edited",
    "new-approver": "approver.new",
    "bulk-decrypt": "vault.decrypt",
    "decrypt-of-no-grant": "vault.decrypt_of_no_grant",
    "key-of-no-grant": "vault.key_of_no_grant",
    "unknown-accessor": "vault.unknown_accessor",
    "wrapped-again": "vault.wrapped_again",
    "foreign-policy": "vault.policy_written",
    "root-attempt": "vault.root_attempt",
    "login-burst": "vault.login_refused",
    "unread-line": "vault.unread_line",
}


def rule(name):
    return next(one for one in RULES if one.id == name)


def sighting(what, n=0, at=NOON, by="eng.li", **about):
    return Sighting(what, at, by, f"unit {n}", about)


def case(name):
    """As many sightings as the rule is silent about, and one more; all inside its window."""
    found = rule(name)
    at = NOON + timedelta(hours=12) if found.outside else NOON
    step = timedelta(seconds=(found.within - 1) / (found.over + 1))
    return [sighting(found.sees, n, at + n * step) for n in range(found.over + 1)]


def fired(seen, memory=None):
    memory = {} if memory is None else memory
    return [found.rule.id for one in seen for found in observe(RULES, memory, one)]


def test_every_rule_of_the_file_has_its_case():
    assert {one.id: one.sees for one in RULES} == SEES
    assert set(SEES.values()) == set(SEEN)


@pytest.mark.parametrize("name", SEES)
def test_the_rule_and_only_it_fires(name):
    assert fired(case(name)) == [name]


@pytest.mark.parametrize("name", SEES)
def test_the_rule_is_silent_just_below_its_threshold(name):
    assert fired(case(name)[:-1]) == []


@pytest.mark.parametrize("name", [one.id for one in RULES if one.over])
def test_sightings_that_are_spread_wider_than_the_window_do_not_add_up(name):
    found = rule(name)
    step = timedelta(seconds=found.within / found.over + 1)
    assert fired([sighting(found.sees, n, NOON + n * step) for n in range(3 * found.over)]) == []


@pytest.mark.parametrize("name", [one.id for one in RULES if one.over])
def test_what_many_people_do_once_is_not_what_one_does_often(name):
    found = rule(name)
    assert fired([sighting(found.sees, n, by=f"eng.n{n}") for n in range(found.over + 5)]) == []


def test_the_same_voice_twice_is_one_voice():
    found = rule("bulk-decrypt")
    seen = [sighting(found.sees, n % found.over) for n in range(3 * found.over)]
    assert fired(seen) == []


def test_a_thing_that_was_found_is_not_found_again_inside_the_window():
    seen = sighting("vault.unknown_accessor")
    later = sighting("vault.unknown_accessor", at=NOON + timedelta(seconds=59))
    after = sighting("vault.unknown_accessor", at=NOON + timedelta(seconds=61))
    assert fired([seen, seen, later, after]) == ["unknown-accessor"] * 2


def test_memory_goes_on_after_a_restart_and_forgets_what_no_window_reaches():
    memory: Memory = {}
    half = case("denied-burst")
    assert fired(half[:5], memory) == []
    memory = json.loads(json.dumps(memory))
    assert fired(half[5:], memory) == ["denied-burst"]
    forget(RULES, memory, NOON + timedelta(days=2))
    assert memory == {"denied-burst": {}}
    forget(RULES[:1], memory, NOON)
    assert memory == {}


@pytest.mark.parametrize(
    ("at", "seen"),
    [
        ("2026-11-26T06:59:59+08:00", True),
        ("2026-11-26T07:00:00+08:00", False),
        ("2026-11-26T20:59:59+08:00", False),
        ("2026-11-26T21:00:00+08:00", True),
        ("2026-11-28T12:00:00+08:00", True),
    ],
    ids=["before work", "work begins", "work ends", "after work", "saturday"],
)
def test_off_hours_are_those_of_the_named_zone(at, seen):
    moment = datetime.fromisoformat(at).astimezone(UTC)
    assert (fired([sighting("run.asked", at=moment)]) == ["off-hours"]) is seen


def finding(name, **about):
    one = sighting(SEES[name], **about)
    return next(found for found in observe([rule(name)], {}, one))


def test_an_incident_stops_what_the_rule_names_and_everything_where_that_is_unknown():
    assert scope_of(finding("decrypt-of-no-grant", dataset="digits")) == ("dataset:digits", None)
    assert scope_of(finding("decrypt-of-no-grant")) == ("all", None)
    assert scope_of(finding("wrapped-again")) == ("all", None)
    assert scope_of(finding("policy-edit", agreement="dsa-1")) is None


WRONG = {
    "an unknown key": (b"severity: high", b"severity: high\n    colour: red", ".colour: no such key"),
    "an unknown sighting": (b"sees: policy.edited", b"sees: policy.read", "policy.edited"),
    "an unknown zone": (b"Asia/Shanghai", b"Asia/Shanghi", "is no time zone"),
    "no time of day": (b'"07:00"', b'"7 am"', "match"),
    "a rule twice": (b"id: policy-edit", b"id: new-approver", "stands twice"),
    "a span without a unit": (b"within: 10m", b"within: 10", "write a time like"),
    "a negative threshold": (b"over: 9 ", b"over: -9 ", "greater than or equal"),
}


@pytest.mark.parametrize(("old", "new", "says"), WRONG.values(), ids=WRONG)
def test_a_fault_of_the_file_is_refused_with_its_line(old, new, says):
    data = FILE.read_bytes()
    assert old in data
    with pytest.raises(Usage, match=r"configs/detection.yaml:\d+: ") as caught:
        read_rules(data.replace(old, new, 1))
    assert says in caught.value.message
