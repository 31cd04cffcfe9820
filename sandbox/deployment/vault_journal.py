"""How far Vault's setup has come, and what must outlive a crash of it.

``bootstrap.json``: the stage (initialising, configuring, configured, done) and what everybody may know.
``recovery.json``: the root token while it lives, and the recovery shares. Both 0600, written whole or not at all.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from sandbox.deployment.vault_server import replace_file
from sandbox.errors import Unreachable


class Journal:
    """The two files below ``directory``."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._journal = directory / "bootstrap.json"
        self._recovery = directory / "recovery.json"
        self.held = _read(self._journal)

    @property
    def stage(self) -> str:
        """Empty before the first start."""
        return str(self.held.get("stage", ""))

    @property
    def setup(self) -> str:
        """Digest of the setup that was written to Vault last."""
        return str(self.held.get("setup", ""))

    @property
    def shares(self) -> list[str]:
        """The recovery shares, while they are still here."""
        return [str(share) for share in _read(self._recovery).get("recovery_shares", [])]

    @property
    def keeps_root(self) -> bool:
        return "root_token" in _read(self._recovery)

    @property
    def root_token(self) -> str:
        """Raises Unreachable when it is gone: what was begun cannot be ended."""
        token = str(_read(self._recovery).get("root_token", ""))
        if not token:
            raise Unreachable(
                f"{self._recovery} is gone before Vault was set up",
                code="vault.half_initialised",
                mend=f"delete {self.directory} and run sandbox up again: nothing was sealed yet",
            )
        return token

    def enter(self, stage: str) -> None:
        self.note(stage=stage)

    def note(self, **facts: Any) -> None:
        value = {**self.held, **facts}
        replace_file(self._journal, json.dumps(value).encode(), 0o600)
        self.held = value

    def initialised(self, root: str, shares: list[str]) -> None:
        """The root token first: a stage that promises it must not come before it."""
        self._keep({"root_token": root, "recovery_shares": shares})
        self.enter("configuring")

    def forget_root(self) -> None:
        self._keep({"recovery_shares": self.shares})

    def _keep(self, value: dict[str, Any]) -> None:
        replace_file(self._recovery, json.dumps(value).encode(), 0o600)


def _read(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except ValueError:
        raise Unreachable(
            f"{path} is unreadable", code="vault.journal", mend="restore it from a backup"
        ) from None
    return value if isinstance(value, dict) else {}
