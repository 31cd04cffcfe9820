"""Separation of duties: roles that stay apart, nobody decides about themself, no role that watches opens data."""

from __future__ import annotations

import itertools
from typing import get_args

import pytest

from sandbox.custodian.access import grant_access
from sandbox.custodian.desk import Desk
from sandbox.custodian.people import APART, APPROVER, enter_person
from sandbox.errors import NotPermitted, Refused, Usage
from sandbox.policy.entries import Role
from tests.custodian.test_people import access, person
from tests.fakes.studio import STEWARD as FIRST

ROLES = get_args(Role)
TOGETHER = list(itertools.combinations(sorted(ROLES), 2))
APART_PAIRS = {frozenset((one, other)) for one, other, _ in APART}


def codes(caught: pytest.ExceptionInfo[Refused]) -> list[str]:
    return [reason.code for reason in caught.value.reasons]


@pytest.mark.parametrize("pair", TOGETHER, ids="+".join)
def test_two_roles_are_held_together_only_where_neither_watches_or_runs_the_other(
    desk: Desk, pair: tuple[str, str]
) -> None:
    entry = person("b.two", party="B", roles=list(pair))
    if frozenset(pair) not in APART_PAIRS:
        enter_person(desk, FIRST, entry)
        return
    with pytest.raises(Refused) as caught:
        enter_person(desk, FIRST, entry)
    assert codes(caught) == ["person.roles_apart"]
    assert caught.value.reasons[0].why and caught.value.reasons[0].mend
    assert "b.two" not in desk.vault.people  # type: ignore[attr-defined] - refused before a login was made


def test_the_pairs_are_those_that_were_agreed_on() -> None:
    agreed = {
        frozenset(pair)
        for pair in (
            ("auditor", "ml_engineer"),
            ("auditor", "data_steward"),
            ("auditor", "party_a_approver"),
            ("auditor", "operator"),
            ("operator", "ml_engineer"),
            ("operator", "data_steward"),
        )
    }
    assert agreed == APART_PAIRS


def test_every_reason_is_given_at_once(desk: Desk) -> None:
    with pytest.raises(Refused) as caught:
        enter_person(desk, FIRST, person(roles=["auditor", "ml_engineer", "operator"]))
    assert len(caught.value.reasons) == 3


def test_roles_are_not_brought_together_by_a_later_change(desk: Desk) -> None:
    enter_person(desk, FIRST, person("aud.wang", roles=["auditor"]))
    with pytest.raises(Refused):
        enter_person(desk, FIRST, person("aud.wang", roles=["auditor", "ml_engineer"]))
    assert desk.now("people").people["aud.wang"].roles == ("auditor",)


@pytest.mark.parametrize(
    "changes",
    [{"roles": [APPROVER, "ml_engineer"]}, {"roles": [APPROVER]}, {"nda": {"expires": "2099-01-01"}}],
    ids=["another role", "the same role", "a longer NDA"],
)
def test_an_approver_changes_nothing_about_themself(desk: Desk, changes: dict[str, object]) -> None:
    before = desk.now("people").people[FIRST]
    with pytest.raises(NotPermitted) as caught:
        enter_person(desk, FIRST, person(FIRST, party="A", **changes))
    assert caught.value.code == "person.own"
    assert desk.now("people").people[FIRST] == before


def test_another_approver_may(desk: Desk) -> None:
    enter_person(desk, FIRST, person("a.approver.2", party="A", roles=[APPROVER]))
    enter_person(desk, "a.approver.2", person(FIRST, party="A", roles=[APPROVER]))
    assert desk.now("people").people[FIRST].roles == (APPROVER,)


@pytest.mark.parametrize("role", ["auditor", "operator", "privacy_reviewer", "ml_engineer"])
def test_who_is_no_approver_gives_nobody_a_role(desk: Desk, role: str) -> None:
    enter_person(desk, FIRST, person("x.one", roles=[role]))
    for who in ("x.one", "x.other"):
        with pytest.raises(NotPermitted):
            enter_person(desk, "x.one", person(who, roles=["ml_engineer"]))


def test_an_auditor_gets_no_access_to_data(desk: Desk) -> None:
    enter_person(desk, FIRST, person("aud.wang", roles=["auditor"]))
    with pytest.raises(Refused) as caught:
        grant_access(desk, FIRST, access(person="aud.wang"))
    assert codes(caught) == ["access.auditor"]


@pytest.mark.parametrize("subject", ["", " ", "a b", "x" * 256, 7, ["li"]], ids=repr)
def test_a_subject_of_the_identity_provider_is_a_plain_text(desk: Desk, subject: object) -> None:
    with pytest.raises(Usage):
        enter_person(desk, FIRST, person(oidc_subject=subject))
    assert "eng.li" not in desk.vault.people  # type: ignore[attr-defined]


def test_a_subject_of_the_identity_provider_is_one_persons(desk: Desk) -> None:
    enter_person(desk, FIRST, person(oidc_subject="li@corp.example"))
    assert desk.vault.subjects == {"li@corp.example": "eng.li"}  # type: ignore[attr-defined]
    with pytest.raises(Refused):
        enter_person(desk, FIRST, person("eng.wu", oidc_subject="li@corp.example"))
