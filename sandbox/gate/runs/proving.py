"""Proof that no credential of a run is alive: Vault is asked for each accessor, and knows none of them."""

from __future__ import annotations

import time

from sandbox.errors import CredentialError
from sandbox.gate.house import House
from sandbox.gate.runs import chronicle

PROVE_S = 10.0


def prove_dead(house: House, run: str) -> int:
    """Look up every accessor of the run; the number of proofs.

    Raises:
        CredentialError: one is alive although it was said to be dead (``credential.alive``).
        Unreachable: Vault does not answer; then nothing is proved.
    """
    found = house.store.read(lambda connection: chronicle.accessors(connection, run))
    deadline = time.monotonic() + PROVE_S
    waiting = set(found)
    while waiting:
        waiting = {accessor for accessor in waiting if not house.vault.is_dead(accessor)}
        if waiting and time.monotonic() > deadline:
            raise CredentialError(f"{len(waiting)} credentials of {run} are alive", code="credential.alive")
        if waiting:
            time.sleep(0.05)
    _note(house, found)
    return len(found)


def end_credentials(house: House, run: str) -> int:
    """Revoke whatever is not proved dead, then prove it, and know each as Vault's audit file shows it.

    Raises as :func:`prove_dead`.
    """
    for accessor in house.store.read(lambda c: chronicle.accessors(c, run, alive_only=True)):
        house.vault.revoke(accessor)
    found = prove_dead(house, run)
    for accessor in house.store.read(lambda c: chronicle.accessors(c, run, unhashed_only=True)):
        seen = house.vault.audit_hash(accessor)
        house.store.transact(lambda c, a=accessor, h=seen: chronicle.hashed(c, a, h))  # type: ignore[misc]
    return found


def _note(house: House, found: list[str]) -> None:
    now = house.clock()
    house.store.transact(lambda connection: chronicle.proved_dead(connection, found, now))
