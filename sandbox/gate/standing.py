"""What a caller may do here: roles from the signed people register, never from the token."""

from __future__ import annotations

from sandbox.errors import NotPermitted
from sandbox.gate.registers import RegisterReader

ENGINEER, STEWARD, REVIEWER = "ml_engineer", "data_steward", "privacy_reviewer"
AUDITOR, OPERATOR, APPROVER = "auditor", "operator", "party_a_approver"
EVERYBODY = (ENGINEER, STEWARD, REVIEWER, AUDITOR, OPERATOR, APPROVER)
WATCHERS = (STEWARD, REVIEWER, AUDITOR, OPERATOR, APPROVER)
STOPPERS = (OPERATOR, APPROVER, STEWARD)


def roles(registers: RegisterReader, name: str) -> tuple[str, ...]:
    """The roles of an active person; none for anybody else."""
    person = registers.read().people.get(name)
    return () if person is None or person.status != "active" else tuple(person.roles)


def require(registers: RegisterReader, name: str, *wanted: str) -> tuple[str, ...]:
    """All roles of the caller, once one of them is ``wanted``. Raises NotPermitted."""
    held = roles(registers, name)
    if not set(held) & set(wanted):
        raise NotPermitted(
            f"{name} may not do this: it takes {' or '.join(word.replace('_', ' ') for word in wanted)}",
            mend="Party A gives roles: sandbox people list",
        )
    return held
