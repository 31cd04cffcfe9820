"""What the operator asked ``up`` for; kept, so that ``up`` after a restart of the machine needs no option."""

from __future__ import annotations

import contextlib
import errno
import secrets
import socket
from dataclasses import asdict, dataclass, replace
from typing import Any

from sandbox.deployment.files import read_json, write_json
from sandbox.deployment.places import Places
from sandbox.errors import Unreachable, Usage

VAULT_PORT, WEB_PORT = 8200, 8300


@dataclass(frozen=True)
class Settings:
    """Ports on 127.0.0.1, the container engine, and where the build finds its wheels."""

    vault_port: int = VAULT_PORT
    cluster_port: int = VAULT_PORT + 1
    web_port: int = WEB_PORT
    engine: str = "podman"
    wheels: str = ""  # the wheelhouse: the image is built from it
    tracking_uri: str = ""  # a user's own MLflow server; empty: the embedded one

    @classmethod
    def read(cls, places: Places) -> Settings:
        found: dict[str, Any] = read_json(places.settings)
        known = {name: found[name] for name in cls.__dataclass_fields__ if name in found}
        return cls(**known)

    def write(self, places: Places) -> None:
        write_json(places.settings, asdict(self), 0o600)


def chosen(kept: Settings, *, vault_port: int | None, web_port: int | None) -> Settings:
    """``kept`` with the ports asked for. 0 means any free one, or the one that was found free the last time."""
    if vault_port:
        kept = replace(kept, vault_port=vault_port, cluster_port=vault_port + 1)
    elif vault_port == 0 and kept.vault_port == VAULT_PORT:
        kept = replace(kept, vault_port=free_port(), cluster_port=free_port())
    if web_port:
        kept = replace(kept, web_port=web_port)
    elif web_port == 0 and kept.web_port == WEB_PORT:
        kept = replace(kept, web_port=free_port())
    ports = (kept.vault_port, kept.cluster_port, kept.web_port)
    if len(set(ports)) != 3 or not all(0 < port < 65536 for port in ports):
        raise Usage(f"ports {ports} (Vault, its cluster, web) must differ and lie in 1..65535")
    return kept


def free_port() -> int:
    """A port nobody has at this moment, below those that the kernel lends to whoever connects (32768 and up, ip(7)):
    it is kept, and must be free at every later start.
    """
    while True:
        port = 20_000 + secrets.randbelow(12_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def require_free(settings: Settings) -> None:
    """Raises Unreachable, naming the port and the option that changes it."""
    asked = [
        ("Vault", settings.vault_port, "--vault-port"),
        ("the web pages", settings.web_port, "--web-port"),
    ]
    for what, port, option in asked:
        if taken(port):
            raise Unreachable(
                f"port {port} for {what} is taken by another program",
                code="port.taken",
                mend=f"free it, or choose another: sandbox up {option} {port + 10} (0 for any free one)",
            )


def taken(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as fault:
            return fault.errno == errno.EADDRINUSE
    return False
