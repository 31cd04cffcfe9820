"""The gate's own login at Vault, and the note by which it is held back after everything was stopped.

1. :meth:`Login.hold` leaves the note first: from here on the supervisor starts the gate without a login.
2. :meth:`Login.end` revokes the gate's token and with it every token that it made, and proves it dead.
3. :meth:`Login.release` takes the note away; the gate then ends itself, and its next start has a fresh login.
"""

from __future__ import annotations

import json
from pathlib import Path

from sandbox.errors import CredentialError
from sandbox.gate.files import write_whole
from sandbox.gate.hands import Vault

#: What Vault says of a token that is dead, and of none at all.
_NONE = frozenset({"credential.dead", "vault.rejected"})


class Login:
    """``note`` lies in the gate's own folder, where the supervisor looks before it starts the gate."""

    def __init__(self, note: Path, vault: Vault) -> None:
        self._note, self._vault = note, vault

    @property
    def held(self) -> bool:
        return self._note.exists()

    def hold(self, incident: str) -> None:
        """May be said again."""
        if not self.held:
            write_whole(self._note, json.dumps({"incident": incident}).encode(), 0o600)

    def release(self) -> None:
        self._note.unlink(missing_ok=True)

    def end(self) -> None:
        """Raises CredentialError while it is alive, Unreachable when Vault does not answer. May be said again."""
        try:
            self._vault.revoke_self()
        except CredentialError as fault:
            if fault.code not in _NONE:
                raise
        try:
            self._vault.renew()
        except CredentialError as fault:
            if fault.code in _NONE:
                return
            raise
        raise CredentialError("the gate's revoked login is alive", code="credential.alive")
