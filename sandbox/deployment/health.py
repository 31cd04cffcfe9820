"""Whether a program answers: asked over its own Unix socket, as cheaply as can be."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography import x509

from sandbox.deployment.places import Places
from sandbox.runs import from_utc
from sandbox.service.lease import LOGIN_ENDS


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path, timeout_s: float) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def answers_http(path: Path, target: str = "/v1/health", timeout_s: float = 2.0) -> bool:
    """Whether GET ``target`` on the socket ``path`` gives a 2xx."""
    connection = _UnixConnection(path, timeout_s)
    try:
        connection.request("GET", target)
        return 200 <= connection.getresponse().status < 300
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def accepts(path: Path, timeout_s: float = 1.0) -> bool:
    """Whether somebody listens on the socket ``path``."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(timeout_s)
        try:
            probe.connect(str(path))
        except OSError:
            return False
    return True


def vault(port: int, ca: Path, timeout_s: float = 2.0) -> dict[str, Any]:
    """What Vault says of its own health (initialized, sealed, version); empty when it does not answer."""
    connection: http.client.HTTPSConnection | None = None
    try:
        trust = ssl.create_default_context(cafile=str(ca))
        trust.minimum_version = ssl.TLSVersion.TLSv1_3
        connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=timeout_s, context=trust)
        connection.request("GET", "/v1/sys/health?sealedcode=200&uninitcode=200&standbyok=true")
        found = json.loads(connection.getresponse().read(65536))
    except (OSError, ValueError, http.client.HTTPException):
        return {}
    finally:
        if connection is not None:
            connection.close()
    return found if isinstance(found, dict) else {}


def logins(places: Places, now: datetime | None = None) -> dict[str, float]:
    """The hours until each service's login at Vault ends, as the service noted when it renewed it last."""
    moment = now or datetime.now(UTC)
    found: dict[str, float] = {}
    for name, private in (("gate", places.gate_private), ("custodian", places.custodian_private)):
        try:
            end = from_utc((private / LOGIN_ENDS).read_text())
        except (OSError, ValueError):
            continue
        found[name] = (end - moment).total_seconds() / 3600
    return found


def expiries(places: Places, now: datetime | None = None) -> dict[str, float]:
    """What ends by itself, and in how many days: the certificates by which Vault is known."""
    moment = now or datetime.now(UTC)
    found: dict[str, float] = {}
    for name, path in (
        ("Vault's CA", places.ca),
        ("Vault's certificate", places.vault / "tls" / "vault.pem"),
    ):
        try:
            end = x509.load_pem_x509_certificate(path.read_bytes()).not_valid_after_utc
        except (OSError, ValueError):
            continue
        found[name] = (end - moment).total_seconds() / 86400
    return found
