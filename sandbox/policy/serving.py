"""How the services listen and how much they take (``configs/gate.yaml``, ``listen`` and ``limits``): read by both."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from sandbox.errors import Usage
from sandbox.policy.documents import Model, fit, parse
from sandbox.policy.fields import Text, Whole

NAME = "configs/gate.yaml"
REQUESTS_PER_MINUTE = 1200
Rate = Annotated[Whole, Field(ge=10, le=1_000_000)]


class TlsFile(Model):
    """One listener besides the socket: TLS 1.3 only; with ``client_ca`` a client certificate is wanted too."""

    port: Annotated[Whole, Field(ge=1, le=65535)]
    address: Text = "127.0.0.1"
    certificate: Text
    key: Text
    client_ca: Text | None = None


class ListenFile(Model):
    """Each service has a certificate and a port of its own: they run as different users."""

    gate: TlsFile | None = None
    custodian: TlsFile | None = None


@dataclass(frozen=True)
class Tls:
    """Where and by which files; ``key`` is the service's own, readable by nobody else."""

    address: str
    port: int
    certificate: Path
    key: Path
    client_ca: Path | None = None


@dataclass(frozen=True)
class Serving:
    """What one service is told about its callers. ``tls`` None: it listens on its socket alone."""

    requests_per_minute: int = REQUESTS_PER_MINUTE
    tls: Tls | None = None


class _Limits(Model):
    requests_per_minute: Rate = REQUESTS_PER_MINUTE


def serving(path: Path, service: Literal["gate", "custodian"]) -> Serving:
    """What ``gate.yaml`` at ``path`` says; without it the sockets alone. Raises Usage, with the line of a fault."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return Serving()
    except OSError:
        raise Usage(f"{path} cannot be read", mend="sandbox up installs it") from None
    document = parse(data, NAME)
    listen = fit(document, ListenFile, ("listen",)) if "listen" in document.value else ListenFile()
    rate = REQUESTS_PER_MINUTE
    limits = document.value.get("limits")
    if isinstance(limits, dict) and "requests_per_minute" in limits:
        only = {"requests_per_minute": limits["requests_per_minute"]}
        rate = fit(document.part(only), _Limits).requests_per_minute
    found: TlsFile | None = getattr(listen, service)
    return Serving(rate, None if found is None else _tls(found))


def _tls(file: TlsFile) -> Tls:
    ca = None if file.client_ca is None else Path(file.client_ca)
    return Tls(file.address, file.port, Path(file.certificate), Path(file.key), ca)
