"""Serving: one application on a Unix socket and, when told so, by TLS; where there are pages, another on 127.0.0.1."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import shutil
import signal
import socket
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import anyio.to_thread
import uvicorn
from starlette.types import ASGIApp

from sandbox.errors import Unreachable
from sandbox.policy.serving import Tls
from sandbox.service.protocol import HEAD_BYTES, Protocol
from sandbox.service.tls import context, listen

THREADS = 64  # each live view of a run holds one now and then
_GRACE_S = 5


@dataclass(frozen=True)
class Web:
    """Pages for browsers: an application of their own on 127.0.0.1."""

    app: ASGIApp
    port: int


@dataclass(frozen=True)
class Listener:
    """An application on a listening socket; with ``tls`` only within it."""

    app: ASGIApp
    sock: socket.socket
    tls: ssl.SSLContext | None = None


def run(
    app: ASGIApp,
    uds: Path,
    *,
    mode: int = 0o660,
    group: str | int | None = None,
    web: Web | None = None,
    tls: Tls | None = None,
    started: Callable[[], None] = lambda: None,
) -> None:
    """Serve until SIGTERM or SIGINT. ``started`` is called once the sockets listen.

    Raises:
        Unreachable: a port is taken.
        Usage: a file of ``tls`` is not what it must be.
    """
    secured = None if tls is None else context(tls)
    listening = [Listener(app, listen_unix(uds, mode, group))]
    try:
        if web is not None:
            listening.append(Listener(web.app, _listen_tcp(web.port)))
        if tls is not None:
            listening.append(Listener(app, listen(tls), secured))
        asyncio.run(_serve(listening, started))
    finally:
        for one in listening:
            one.sock.close()


def listen_unix(path: Path, mode: int, group: str | int | None = None) -> socket.socket:
    """A listening socket at ``path``, which nobody can reach before its owner and mode are right.

    It is bound beside its place and renamed into it, so a restarted service takes the place of a dead one.
    """
    new = path.with_name(f".{path.name}.new")
    new.unlink(missing_ok=True)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        sock.bind(str(new))
    finally:
        os.umask(before)
    if group is not None:
        shutil.chown(new, group=group)
    new.chmod(mode)
    sock.listen(128)
    new.rename(path)
    return sock


def _listen_tcp(port: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind(("127.0.0.1", port))
    except OSError as fault:
        sock.close()
        if fault.errno != errno.EADDRINUSE:
            raise
        raise Unreachable(f"port {port} is taken by another program", code="port.taken") from None
    sock.listen(128)
    return sock


class _Server(uvicorn.Server):
    """Signals are ours: two servers share one loop, and both must hear them."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def _serve(listening: list[Listener], started: Callable[[], None]) -> None:
    anyio.to_thread.current_default_thread_limiter().total_tokens = THREADS
    servers = [_server(one) for one in listening]
    loop = asyncio.get_running_loop()

    def stop() -> None:
        for server in servers:
            server.should_exit = True

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    loop.call_soon(started)
    await asyncio.gather(
        *(server.serve(sockets=[one.sock]) for server, one in zip(servers, listening, strict=True))
    )


def _server(one: Listener) -> _Server:
    config = uvicorn.Config(
        one.app,
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        lifespan="off",
        ws="none",
        http=Protocol,
        h11_max_incomplete_event_size=HEAD_BYTES,
        loop="asyncio",
        timeout_graceful_shutdown=_GRACE_S,
    )
    config.load()
    config.ssl = one.tls
    return _Server(config)
