"""A gate without a login, after everything was stopped: it reads, it shows incidents, and it can be resumed.

The database says whether everything is stopped; the note (:mod:`sandbox.gate.incidents.login`) is what the supervisor
sees of it. Where one stands without the other, a gate was cut off in between, and the database is right.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from sandbox.errors import CredentialError, SandboxError
from sandbox.gate.files import write_whole
from sandbox.gate.house import House
from sandbox.gate.incidents.stopped import kill_all_stands
from sandbox.gate.places import Places
from sandbox.runs import Trust
from sandbox.service import journal
from sandbox.statements import PublicKey

Prove = Callable[[str, str, bool], None]


def held(house: House) -> bool:
    """Whether this gate is to stay without a login. A note of what was resumed is taken away."""
    if house.store.read(kill_all_stands):
        return True
    house.login.release()
    return False


def begin(house: House) -> None:
    """Before anything is served: the note and the database agree, or this start is over.

    Raises CredentialError when the login was held back for what was resumed meanwhile; the next start has one.
    """
    noted = house.login.held
    if house.store.read(kill_all_stands):
        if not noted:  # cut off before it was written: what was handed out is given back
            house.login.hold("")
            try:
                house.login.end()
            except SandboxError as fault:  # tried again beside everything else
                journal.trouble("login.unended", fault)
        journal.say("gate.held")
    elif noted:
        house.login.release()
        raise CredentialError("what held the login back is over", code="login.held_no_more")


def trusted(places: Places) -> Callable[[str], Sequence[PublicKey]]:
    """The keys of gate and custodian as ``sandbox up`` published them: for a gate that cannot ask Vault."""
    known = Trust.from_bytes((places.app / "trust.json").read_bytes())
    return lambda hand: known.gate if hand == "gate" else known.custodian


def kept_jwks(
    house: House, ask: Callable[[], Mapping[str, Any]], path: Path
) -> Callable[[], Mapping[str, Any]]:
    """Vault's public identity keys; of a held gate, what Vault said last while it is silent: who resumes is known."""

    def keys() -> Mapping[str, Any]:
        try:
            found = ask()
        except SandboxError:
            if not house.login.held:
                raise
            try:
                return dict(json.loads(path.read_bytes()))
            except (OSError, ValueError):
                pass
            raise
        write_whole(path, json.dumps(found).encode())
        return found

    return keys


def unless_held(house: House, prove: Prove) -> Prove:
    """A gate without a login cannot have a code checked: who resumes is known by the fresh identity token alone."""

    def proved(name: str, code: str, urgent: bool = False) -> None:
        if house.login.held:
            journal.say("code.unchecked", person=name)
            return
        prove(name, code, urgent)

    return proved
