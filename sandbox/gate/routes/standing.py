"""What a caller may do here: roles from the signed people register, never from the token."""

from __future__ import annotations

from sandbox.errors import NotPermitted
from sandbox.gate.deciding.registers import RegisterReader
from sandbox.policy.registers import Registers

ENGINEER, STEWARD, REVIEWER = "ml_engineer", "data_steward", "privacy_reviewer"
AUDITOR, OPERATOR, APPROVER = "auditor", "operator", "party_a_approver"
EVERYBODY = (ENGINEER, STEWARD, REVIEWER, AUDITOR, OPERATOR, APPROVER)
WATCHERS = (STEWARD, REVIEWER, AUDITOR, OPERATOR, APPROVER)
STOPPERS = (OPERATOR, APPROVER, STEWARD)


def roles(registers: RegisterReader, name: str) -> tuple[str, ...]:
    """The roles of an active person; none for anybody else."""
    return _roles(registers.now(), name)


def _roles(known: Registers, name: str) -> tuple[str, ...]:
    person = known.people.get(name)
    return () if person is None or person.status != "active" else tuple(person.roles)


def require(registers: RegisterReader, name: str, *wanted: str) -> tuple[str, ...]:
    """All roles of the caller, once one of them is ``wanted``. Raises NotPermitted."""
    return _require(roles(registers, name), name, wanted)


def require_at_once(registers: RegisterReader, name: str, *wanted: str) -> tuple[str, ...]:
    """As :func:`require`, for stopping what runs: within a second, by what is known when Vault does not answer."""
    return _require(roles_at_once(registers, name), name, wanted)


def roles_known(registers: RegisterReader, name: str) -> tuple[str, ...]:
    """As :func:`roles`, by what was read last: asks nobody, and is a second old at most."""
    return _roles(registers.last(), name)


def roles_at_once(registers: RegisterReader, name: str) -> tuple[str, ...]:
    """As :func:`roles`, within a second; see :meth:`RegisterReader.at_once`."""
    return _roles(registers.at_once(), name)


def _require(held: tuple[str, ...], name: str, wanted: tuple[str, ...]) -> tuple[str, ...]:
    if not set(held) & set(wanted):
        raise NotPermitted(
            f"{name} may not do this: it takes {' or '.join(word.replace('_', ' ') for word in wanted)}",
            mend="Party A gives roles: sandbox people list",
        )
    return held
