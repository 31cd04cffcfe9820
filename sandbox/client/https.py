"""A service beyond this machine: TLS 1.3, its certificate verified; no redirect, no proxy, no environment."""

from __future__ import annotations

import json
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from sandbox.errors import Usage

FILE = "services.json"


@dataclass(frozen=True)
class Https:
    """Where a service is, and by which CA it is known; with ``certificate`` and ``key`` for mutual TLS."""

    url: str
    ca: Path
    certificate: Path | None = None
    key: Path | None = None

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        plain = parts.scheme == "https" and parts.hostname and not (parts.query or parts.fragment)
        if not plain or parts.username or parts.path.strip("/"):
            raise Usage(f"{self.url!r} is no address of a service", mend="write it as https://HOST:PORT")

    def __str__(self) -> str:
        return self.url

    @classmethod
    def read(cls, state: Path, service: str) -> Https | None:
        """What ``services.json`` in the state directory says of ``service``; None without the file, or of it nothing.

        ``{"ca": FILE, "gate": "https://…", "custodian": "https://…", "certificate": FILE, "key": FILE}``
        """
        try:
            said: Any = json.loads((state / FILE).read_bytes())
            if not isinstance(said, dict):
                raise TypeError
            if service not in said:
                return None
            pair = [None if said.get(name) is None else Path(said[name]) for name in ("certificate", "key")]
            return cls(str(said[service]), Path(said["ca"]), *pair)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            mend = '{"ca": FILE, "gate": "https://HOST:PORT", "custodian": "https://HOST:PORT"}'
            raise Usage(f"{state / FILE} is not readable", code="file.invalid", mend=mend) from None

    def context(self) -> ssl.SSLContext:
        """The client's side: exactly one CA, the host's name checked, nothing older than 1.3. Raises Usage."""
        found = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        found.minimum_version = ssl.TLSVersion.TLSv1_3
        try:
            found.load_verify_locations(self.ca)
            if self.certificate is not None:
                found.load_cert_chain(self.certificate, self.key, password=lambda: "")
        except (OSError, ValueError):
            raise Usage(f"a certificate for {self.url} cannot be read", code="tls.file") from None
        return found

    def transport(self) -> httpx.BaseTransport:
        return httpx.HTTPTransport(verify=self.context(), trust_env=False, retries=0)
