"""Every path below the state directory, once. Who may enter which is in :mod:`sandbox.deployment.layout`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from sandbox.errors import Usage

#: A Unix socket's path has 107 bytes at most; the longest below the state (doors/<run>/events.sock) needs the rest.
STATE_BYTES_MAX = 60

SYSTEM_STATE = Path("/var/lib/voice-sandbox")


@dataclass(frozen=True)
class Places:
    """The paths of one installation; nothing here touches the disk."""

    state: Path

    @classmethod
    def at(cls, state: Path) -> Places:
        """Raises Usage when the path is relative, too long for the sockets below it, or has odd characters."""
        if not state.is_absolute():
            raise Usage(f"the state directory must be an absolute path, not {state}")
        length = len(os.fsencode(state))
        if length > STATE_BYTES_MAX:
            raise Usage(
                f"the state path has {length} bytes; sockets below it leave room for {STATE_BYTES_MAX}",
                code="state.path_too_long",
                mend="choose a shorter one: sandbox --state /var/lib/voice-sandbox up",
            )
        if any(mark in str(state) for mark in "\n\"',:= "):
            raise Usage(
                f"the state path {str(state)!r} has a character that mounts or settings would misread"
            )
        return cls(state)

    # Everybody may read: code, addresses, trust anchors
    @cached_property
    def app(self) -> Path:
        return self.state / "app"

    @cached_property
    def venv(self) -> Path:
        return self.app / "venv"

    @cached_property
    def python(self) -> Path:
        return self.venv / "bin" / "python"

    @cached_property
    def installed(self) -> Path:
        """Digests of what lies in ``app``; written last, removed first."""
        return self.app / "installed.json"

    @cached_property
    def ca(self) -> Path:
        return self.app / "ca.pem"

    @cached_property
    def trust(self) -> Path:
        return self.app / "trust.json"

    @cached_property
    def public(self) -> Path:
        return self.app / "public.json"

    @cached_property
    def public_set(self) -> Path:
        """The public speech of dry runs."""
        return self.app / "public"

    # Vault's user
    @cached_property
    def vault(self) -> Path:
        return self.state / "vault"

    @cached_property
    def audit(self) -> Path:
        return self.state / "audit"

    @cached_property
    def vault_audit(self) -> Path:
        return self.audit / "vault-audit.log"

    # The gate's user
    @cached_property
    def gate(self) -> Path:
        return self.state / "gate"

    @cached_property
    def gate_socket(self) -> Path:
        return self.gate / "api.sock"

    @cached_property
    def gate_private(self) -> Path:
        return self.gate / "private"

    @cached_property
    def doors(self) -> Path:
        return self.state / "doors"

    @cached_property
    def mlflow(self) -> Path:
        return self.state / "mlflow"

    @cached_property
    def mlflow_socket(self) -> Path:
        return self.mlflow / "ui.sock"

    # The custodian's user
    @cached_property
    def custodian(self) -> Path:
        return self.state / "custodian"

    @cached_property
    def custodian_socket(self) -> Path:
        return self.custodian / "api.sock"

    @cached_property
    def custodian_private(self) -> Path:
        return self.custodian / "private"

    @cached_property
    def sealed(self) -> Path:
        return self.custodian / "sealed"

    @cached_property
    def registers(self) -> Path:
        return self.custodian / "registers"

    @cached_property
    def agreements(self) -> Path:
        return self.custodian / "agreements"

    # The operator's
    @cached_property
    def run(self) -> Path:
        return self.state / "run"

    @cached_property
    def launcher_socket(self) -> Path:
        return self.run / "launcher.sock"

    @cached_property
    def status(self) -> Path:
        return self.run / "status.json"

    @cached_property
    def logs(self) -> Path:
        return self.run / "logs"

    @cached_property
    def settings(self) -> Path:
        """What ``up`` was asked for (ports, engine); read again after a restart of the machine."""
        return self.run / "settings.json"

    @cached_property
    def supervisor_lock(self) -> Path:
        return self.run / "supervisor.lock"

    @cached_property
    def up_lock(self) -> Path:
        return self.run / "up.lock"

    @cached_property
    def first_login(self) -> Path:
        return self.state / "first-login.json"

    def private(self, service: str) -> Path:
        """The private directory of ``gate`` or ``custodian``."""
        return self.state / service / "private"

    def wrap(self, service: str) -> Path:
        """Where a service finds its wrapped secret-id, good for one login."""
        return self.private(service) / "login.wrap"


def default_state(uid: int, environ: Mapping[str, str]) -> Path:
    """The state directory when nobody names one: the machine's for root and where one is set up, else the user's."""
    if given := environ.get("VOICE_SANDBOX_STATE"):
        return Path(given)
    if uid == 0 or (SYSTEM_STATE / "app" / "public.json").exists():
        return SYSTEM_STATE
    home = environ.get("XDG_STATE_HOME") or str(Path(environ.get("HOME", "/")) / ".local" / "state")
    return Path(home) / "voice-sandbox"
