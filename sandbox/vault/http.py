"""One strict way to speak to Vault, over TCP or through a door's Unix socket.

TLS 1.3 against exactly one CA (never the public ones), no proxy, no ``.netrc``, no redirect, no retry, always a
timeout. Every failure becomes one of ours at once and forgets its cause: hvac's exceptions quote response
bodies (a batch decrypt's other plaintexts, measured) and requests' carry the token in ``.request.headers``.
"""

from __future__ import annotations

import re
import socket
import ssl
from pathlib import Path
from typing import Any

import requests
from hvac.adapters import RawAdapter
from requests.adapters import HTTPAdapter
from urllib3 import HTTPSConnectionPool
from urllib3.connection import HTTPSConnection
from urllib3.exceptions import NewConnectionError

from sandbox.errors import CredentialError, VaultUnreachable
from sandbox.vault.answers import understand

DOOR_NAME = "vault.voice-sandbox"
"""The name in Vault's certificate by which a keeper knows it behind a door."""

CONNECT_S = 5.0
READ_S = 30.0
_PRINTABLE = re.compile(r"[!-~]{1,4096}")


class _Connection(HTTPSConnection):
    """TLS through a Unix socket. One connection a door: what was cut is never silently opened again."""

    door: Path
    opened: list[bool]

    def _new_conn(self) -> socket.socket:
        if self.opened:
            raise NewConnectionError(self, "this door was connected once already")
        line = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            line.settimeout(CONNECT_S)
            line.connect(str(self.door))
        except OSError:
            line.close()
            raise NewConnectionError(self, "nobody answers at the door") from None
        self.opened.append(True)
        return line


class _Adapter(HTTPAdapter):
    """requests' adapter with one pool and one TLS context; what requests would trust besides is not looked at."""

    def __init__(self, pool: HTTPSConnectionPool) -> None:
        self._pool = pool
        super().__init__(max_retries=0)

    def get_connection_with_tls_context(self, *_: Any, **__: Any) -> HTTPSConnectionPool:
        return self._pool

    def cert_verify(self, *_: Any, **__: Any) -> None:
        """Nothing to set: the pool's context is the only judge (requests would add the public CAs)."""

    def close(self) -> None:
        self._pool.close()


class Vault:
    """A conversation with one Vault under one token (or none). ``repr`` shows neither.

    Answers are ``dict``; an empty body (204) is ``{}``.
    """

    def __init__(self, pool: HTTPSConnectionPool, base: str) -> None:
        session = requests.Session()
        session.trust_env = False
        session.max_redirects = 0
        session.adapters.clear()
        session.mount("https://", _Adapter(pool))
        self._adapter = RawAdapter(
            base_uri=base,
            session=session,
            allow_redirects=False,
            timeout=(CONNECT_S, READ_S),  # type: ignore[arg-type]  # handed to requests, which takes the pair
        )

    @classmethod
    def at(cls, addr: str, ca: Path, token: str | None = None) -> Vault:
        """By TCP: ``addr`` is ``https://HOST:PORT``; ``ca`` is a PEM file."""
        found = re.fullmatch(r"https://([A-Za-z0-9.-]+):(\d{1,5})/?", addr)
        if not found:
            raise VaultUnreachable("Vault's address must be https://HOST:PORT", mend="mend vault_addr")
        try:
            pem = ca.read_text()
        except OSError as fault:
            raise VaultUnreachable(
                f"Vault's CA {ca} cannot be read: {type(fault).__name__}", mend="sandbox doctor"
            ) from None
        pool = HTTPSConnectionPool(
            found[1], int(found[2]), maxsize=16, block=False, ssl_context=_context(pem)
        )
        vault = cls(pool, addr.rstrip("/"))
        vault.use(token)
        return vault

    @classmethod
    def through(cls, door: Path, ca_pem: str) -> Vault:
        """Through a Unix socket, end to end TLS to :data:`DOOR_NAME`; exactly one connection, ever."""
        connection = type("Connection", (_Connection,), {"door": door, "opened": []})
        pool = HTTPSConnectionPool(DOOR_NAME, 443, maxsize=1, block=True, ssl_context=_context(ca_pem))
        pool.ConnectionCls = connection
        return cls(pool, f"https://{DOOR_NAME}")

    @property
    def token(self) -> str | None:
        """The token now in use; it goes nowhere but into the next request."""
        token: str | None = self._adapter.token
        return token

    def use(self, token: str | None) -> None:
        """Speak under ``token`` from here on. Raises CredentialError when it is no token at all."""
        if token is not None and not _PRINTABLE.fullmatch(token):
            raise CredentialError("this is no Vault token", code="credential.malformed")
        self._adapter.token = token

    def read(self, path: str) -> dict[str, Any]:
        return self._ask("get", path, None, None)

    def write(self, path: str, body: object = None, wrap_ttl_s: int | None = None) -> dict[str, Any]:
        return self._ask("post", path, body if body is not None else {}, wrap_ttl_s)

    def delete(self, path: str) -> None:
        self._ask("delete", path, None, None)

    def close(self) -> None:
        self._adapter.close()

    def __repr__(self) -> str:
        return f"<Vault at {self._adapter.base_uri}>"

    def exchange(self, method: str, path: str, data: bytes | None = None) -> bytes:
        """Bytes for bytes, where Vault speaks no JSON (snapshots). Raises as every other call."""
        status, content = self._request(method, path, data=data)
        if status not in (200, 204):
            understand(status, content, path)
        return content

    def _ask(self, method: str, path: str, body: object, wrap_ttl_s: int | None) -> dict[str, Any]:
        wrap = None if wrap_ttl_s is None else f"{wrap_ttl_s}s"
        status, content = self._request(method, path, wrap_ttl=wrap, json=body)
        return understand(status, content, path)

    def _request(self, method: str, path: str, **given: Any) -> tuple[int, bytes]:
        answer = None
        broken = ""
        try:
            answer = self._adapter.request(method, f"/v1/{path}", raise_exception=False, **given)
            content: bytes = answer.content
        except Exception as fault:  # noqa: BLE001 - whatever it is, it may hold the token or a key
            broken = type(fault).__name__
        if answer is None or broken:  # outside the handler: not even __context__ keeps the cause
            raise VaultUnreachable(f"Vault does not answer ({broken})", mend="sandbox doctor")
        return answer.status_code, content


def _context(ca_pem: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # CERT_REQUIRED and host name checked
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    try:
        context.load_verify_locations(cadata=ca_pem)
    except (ssl.SSLError, ValueError):
        raise VaultUnreachable("Vault's CA certificate is unreadable", mend="sandbox doctor") from None
    return context
