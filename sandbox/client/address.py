"""Where a person finds the services of an installation: two sockets and one public file, nothing else.

``deployment.places`` lays these out; a test holds both views equal (the two packages never import each other).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandbox.errors import Unreachable


@dataclass(frozen=True)
class Address:
    """The paths below a state directory that a member of ``sandbox-users`` may use."""

    state: Path
    gate_socket: Path
    custodian_socket: Path
    public: Path
    vault_ca: Path
    trust: Path

    @classmethod
    def of(cls, state: Path) -> Address:
        app = state / "app"
        return cls(
            state=state,
            gate_socket=state / "gate" / "api.sock",
            custodian_socket=state / "custodian" / "api.sock",
            public=app / "public.json",
            vault_ca=app / "ca.pem",
            trust=app / "trust.json",
        )


@dataclass(frozen=True)
class Public:
    """What ``up`` tells everybody: addresses and identifiers, nothing secret."""

    vault_addr: str
    oidc_client_id: str
    web: str
    image_id: str

    @classmethod
    def read(cls, state: Path) -> Public:
        """Raises Unreachable when nothing was ever set up at ``state``."""
        path = Address.of(state).public
        try:
            found: dict[str, Any] = json.loads(path.read_bytes())
        except FileNotFoundError:
            raise Unreachable(
                f"no sandbox is set up at {state}",
                mend="sandbox up, or name another --state",
            ) from None
        except (OSError, ValueError) as fault:
            raise Unreachable(
                f"{path} cannot be read: {type(fault).__name__}", mend="sandbox doctor"
            ) from None
        return cls(
            vault_addr=str(found.get("vault_addr", "")),
            oidc_client_id=str(found.get("oidc_client_id", "")),
            web=str(found.get("web", "")),
            image_id=str(found.get("image_id", "")),
        )
