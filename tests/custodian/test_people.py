"""Who may enter whom, and how long an access may last."""

import pytest

from sandbox.custodian.access import grant_access, revoke_access
from sandbox.custodian.consent import import_consents
from sandbox.custodian.people import enter_person, first_person
from sandbox.custodian.status import set_status
from sandbox.errors import NotFound, NotPermitted, Refused, Usage
from tests.fakes.studio import STEWARD, consent


def person(name="eng.li", **changes):
    return {
        "person": name,
        "party": "B",
        "roles": ["ml_engineer"],
        "nda": {"expires": "2027-01-10"},
        "training": {"course": "voice-data-security-2026", "valid_until": "2027-01-12"},
        **changes,
    }


def access(**changes):
    return {
        "person": "eng.li",
        "dataset": "digits",
        "purposes": ["train"],
        "until": "2026-12-31T23:59:59+08:00",
        **changes,
    }


def test_a_new_person_gets_a_login_once(desk):
    answer = enter_person(desk, STEWARD, person())
    assert desk.vault.people["eng.li"] == answer["password"]
    assert "password" not in enter_person(desk, STEWARD, person(roles=["ml_engineer", "privacy_reviewer"]))
    assert desk.now("people").people["eng.li"].roles == ("ml_engineer", "privacy_reviewer")


def test_a_password_may_be_chosen_and_is_never_answered(desk):
    assert "password" not in enter_person(desk, STEWARD, person(password="a long enough one"))
    assert desk.vault.people["eng.li"] == "a long enough one"
    with pytest.raises(Usage):
        enter_person(desk, STEWARD, person("eng.wu", password="short"))


def test_whoever_left_cannot_come_and_does_nothing(desk):
    enter_person(desk, STEWARD, person("a.steward", party="A", roles=["data_steward"]))
    enter_person(desk, STEWARD, person("a.steward", party="A", roles=["data_steward"], status="left"))
    assert desk.vault.disabled == {"a.steward"}
    with pytest.raises(NotPermitted):
        import_consents(desk, "a.steward", [consent()])


def test_there_is_one_first_person(desk):
    assert not first_person(desk, "a.other", lambda password: None)
    assert "a.other" not in desk.vault.people


DUTIES = {
    "people": lambda desk, who: enter_person(desk, who, person("eng.new")),
    "access": lambda desk, who: grant_access(desk, who, access()),
    "revoke": lambda desk, who: revoke_access(desk, who, "ac-2222"),
    "status": lambda desk, who: set_status(desk, who, "dsa-2026-0001", "suspended"),
    "consent": lambda desk, who: import_consents(desk, who, [consent()]),
}


@pytest.mark.parametrize("duty", DUTIES.values(), ids=DUTIES)
@pytest.mark.parametrize("who", ["eng.li", "nobody", ""])
def test_an_engineer_and_a_stranger_may_do_nothing(desk, duty, who):
    enter_person(desk, STEWARD, person())
    with pytest.raises(NotPermitted):
        duty(desk, who)


def test_a_steward_is_no_approver(desk):
    enter_person(desk, STEWARD, person("a.steward", party="A", roles=["data_steward"]))
    for duty in ("people", "access", "revoke", "status"):
        with pytest.raises(NotPermitted):
            DUTIES[duty](desk, "a.steward")
    DUTIES["consent"](desk, "a.steward")


def test_access_is_granted_and_revoked(desk):
    enter_person(desk, STEWARD, person())
    made = grant_access(desk, STEWARD, access())
    assert desk.now("access").access[made["id"]].approved_by == STEWARD
    revoke_access(desk, STEWARD, made["id"])
    assert desk.now("access").access[made["id"]].status == "revoked"
    with pytest.raises(NotFound):
        revoke_access(desk, STEWARD, "ac-9999")


LIMITS = {
    "person.unknown": (access(person="eng.no"), {}),
    "access.auditor": (access(), {"roles": ["auditor"]}),
    "access.outlives_nda": (access(), {"nda": {"expires": "2026-12-01"}}),
    "access.outlives_training": (access(), {"training": {"course": "x", "valid_until": "2026-12-01"}}),
}


@pytest.mark.parametrize(("code", "case"), LIMITS.items(), ids=LIMITS)
def test_access_has_its_limits(desk, code, case):
    asked, changes = case
    enter_person(desk, STEWARD, person(**changes))
    with pytest.raises(Refused) as caught:
        grant_access(desk, STEWARD, asked)
    assert [reason.code for reason in caught.value.reasons] == [code]


WRONG = {
    "a role that is none": person(roles=["root"]),
    "a name that is no id": person("../x"),
    "a field nobody knows": person(admin=True),
    "no NDA": person(nda=None),
}


@pytest.mark.parametrize("body", WRONG.values(), ids=WRONG)
def test_an_entry_with_wrong_fields_makes_no_login(desk, body):
    with pytest.raises(Usage):
        enter_person(desk, STEWARD, body)
    assert set(desk.vault.people) == {STEWARD}
