"""Listening beyond this machine: TLS 1.3 and nothing older (RFC 8446); who calls is said by an identity token as ever.

With a client CA a client certificate is wanted besides (mutual TLS): it lets a machine in, and names no person.
"""

from __future__ import annotations

import socket
import ssl
import stat
from pathlib import Path

from sandbox.errors import Unreachable, Usage
from sandbox.policy.serving import Tls


def context(tls: Tls) -> ssl.SSLContext:
    """The server's side.

    Raises:
        Usage: a file is missing or is no certificate or key, or others than its owner may read the key.
    """
    _require_private(tls.key)
    found = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    found.minimum_version = ssl.TLSVersion.TLSv1_3
    found.options |= ssl.OP_NO_TICKET  # no session to steal; early data is off by default
    found.num_tickets = 0
    found.set_alpn_protocols(["http/1.1"])
    try:
        found.load_cert_chain(tls.certificate, tls.key, password=_no_password)
    except (OSError, ValueError):  # ssl.SSLError is an OSError
        raise _bad(tls.certificate, "and its key are no pair") from None
    if tls.client_ca is not None:
        found.verify_mode = ssl.CERT_REQUIRED
        try:
            found.load_verify_locations(tls.client_ca)
        except (OSError, ValueError):
            raise _bad(tls.client_ca, "holds no certificate") from None
    return found


def listen(tls: Tls) -> socket.socket:
    """A listening TCP socket. Raises Unreachable when the address is taken or not this machine's."""
    family = socket.AF_INET6 if ":" in tls.address else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((tls.address, tls.port))
    except OSError:
        sock.close()
        raise Unreachable(
            f"{tls.address} port {tls.port} is taken, or is not of this machine", code="port.taken"
        ) from None
    sock.listen(128)
    return sock


def _require_private(key: Path) -> None:
    try:
        mode = key.stat().st_mode
    except OSError:
        raise _bad(key, "cannot be read") from None
    if not stat.S_ISREG(mode) or mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise _bad(key, "may be read by others: chmod 600")


def _no_password() -> str:
    """An encrypted key would ask a terminal; a service has none."""
    return ""


def _bad(path: Path, why: str) -> Usage:
    return Usage(f"{path} {why}", code="tls.file", mend="see listen in configs/gate.yaml")
