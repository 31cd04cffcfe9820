"""Who is who, and who may do what here. Roles stand in the signed register; an identity token only names a person."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from sandbox.custodian.desk import Desk
from sandbox.custodian.registers import check
from sandbox.errors import NotPermitted, Reason, Refused, Usage
from sandbox.policy.entries import PersonEntry
from sandbox.records import check_id
from sandbox.runs import utc

APPROVER = "party_a_approver"
STEWARD = "data_steward"
MIN_PASSWORD = 12
_PASSWORD_BYTES = 18
_SUBJECT = re.compile(r"[!-~]{1,255}")

#: Separation of duties (3.2(a); NIST SP 800-53 AC-5): who watches or runs the house does not use what it guards.
APART = (
    ("auditor", "ml_engineer", "who audits holds no access to data"),
    ("auditor", STEWARD, "who audits keeps no data"),
    ("auditor", APPROVER, "who audits decides nothing that is audited"),
    ("auditor", "operator", "who audits runs nothing that is audited"),
    ("operator", "ml_engineer", "who runs the machines reads no data"),
    ("operator", STEWARD, "who runs the machines keeps no data"),
)


def require(desk: Desk, caller: str, *roles: str) -> None:
    """Raises NotPermitted unless ``caller`` is active and holds one of ``roles``."""
    person = desk.now("people").people.get(caller)
    if person is not None and person.status == "active" and set(person.roles) & set(roles):
        return
    raise NotPermitted(f"{caller} holds no role for this", mend=f"it takes {' or '.join(roles)}")


def _not_their_own(caller: str, entry: PersonEntry) -> None:
    """Nobody gives themself a role, nor keeps themself one that ends. Raises NotPermitted."""
    if entry.person == caller:
        raise NotPermitted(
            "nobody changes their own entry", code="person.own", mend="another approver of Party A does"
        )


def apart(entry: PersonEntry) -> None:
    """Refuse roles that one person must not hold together, each pair with its reason. Whoever leaves may hold any."""
    if entry.status == "left":
        return
    reasons = [
        Reason(
            "person.roles_apart", entry.person, f"{one} and {other}: {why}", f"give {other} to somebody else"
        )
        for one, other, why in APART
        if one in entry.roles and other in entry.roles
    ]
    if reasons:
        raise Refused("these roles must stay apart", reasons=reasons, code="person.roles_apart")


def enter_person(desk: Desk, caller: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """Enter or change a person; a new one gets a login.

    Its first password is the one asked for (``password``, which also sets an old one anew), or is drawn here, answered
    once and kept nowhere. The login is made first: an entry without a login would name somebody who cannot come, a
    login without an entry holds no role.
    """
    require(desk, caller, APPROVER)
    said = {"status": "active", **body}
    asked, subject = said.pop("password", None), said.pop("oidc_subject", None)
    if asked is not None and not (isinstance(asked, str) and MIN_PASSWORD <= len(asked) <= 256):
        raise Usage(f"a password has at least {MIN_PASSWORD} characters", code="password.short")
    if subject is not None and not (isinstance(subject, str) and _SUBJECT.fullmatch(subject)):
        raise Usage("an identity provider's subject has 1 to 255 visible characters", code="oidc.subject")
    entry = check(PersonEntry, "people", said)
    _not_their_own(caller, entry)
    apart(entry)
    with desk.lock:
        known = desk.now("people").people.get(entry.person)
        drawn = None
        if entry.status == "left":
            desk.vault.disable_person(entry.person)
        elif asked is not None or known is None or known.status == "left":
            drawn = None if asked is not None else secrets.token_urlsafe(_PASSWORD_BYTES)
            desk.vault.add_person(entry.person, asked or drawn or "")
        if subject is not None:
            desk.vault.map_subject(entry.person, subject)
        entered = desk.registers.append("people", [entry.model_dump(mode="json")], caller)[-1]
    answer: dict[str, Any] = {"person": entry.person, "seq": entered.seq, "digest": entered.digest}
    return answer if drawn is None else {**answer, "password": drawn}


def first_person(desk: Desk, name: str, keep: Callable[[str], None]) -> bool:
    """At the very first start: Party A's approver, who enters everybody else. Whether this was it.

    ``keep`` gets the password before the person is entered: a crash between makes a new one, and loses none.
    """
    with desk.lock:
        if desk.registers.entries("people"):
            return False
        check_id("person", name)
        password = secrets.token_urlsafe(_PASSWORD_BYTES)
        desk.vault.add_person(name, password)
        keep(password)
        year = utc(desk.clock() + timedelta(days=365))
        entry = {
            "person": name,
            "party": "A",
            "roles": [APPROVER, STEWARD],
            "nda": {"expires": year},
            "training": {"course": "entered at installation", "valid_until": year},
            "status": "active",
        }
        desk.registers.append("people", [entry], "custodian")
        return True
