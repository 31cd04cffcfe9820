"""Serving: one application on a Unix socket, and where there are pages, another on 127.0.0.1."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import shutil
import signal
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import anyio.to_thread
import uvicorn
from starlette.types import ASGIApp

from sandbox.errors import Unreachable

THREADS = 64  # each live view of a run holds one now and then
_GRACE_S = 5


@dataclass(frozen=True)
class Web:
    """Pages for browsers: an application of their own on 127.0.0.1."""

    app: ASGIApp
    port: int


def run(
    app: ASGIApp,
    uds: Path,
    *,
    mode: int = 0o660,
    group: str | int | None = None,
    web: Web | None = None,
    started: Callable[[], None] = lambda: None,
) -> None:
    """Serve until SIGTERM or SIGINT. ``started`` is called once the sockets listen.

    Raises:
        Unreachable: the port is taken.
    """
    listening = [(app, listen_unix(uds, mode, group))]
    if web is not None:
        listening.append((web.app, _listen_tcp(web.port)))
    try:
        asyncio.run(_serve(listening, started))
    finally:
        for _, sock in listening:
            sock.close()


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


async def _serve(listening: list[tuple[ASGIApp, socket.socket]], started: Callable[[], None]) -> None:
    anyio.to_thread.current_default_thread_limiter().total_tokens = THREADS
    servers = [
        _Server(
            uvicorn.Config(
                app,
                log_config=None,
                access_log=False,
                server_header=False,
                date_header=False,
                lifespan="off",
                ws="none",
                http="h11",
                loop="asyncio",
                timeout_graceful_shutdown=_GRACE_S,
            )
        )
        for app, _ in listening
    ]
    loop = asyncio.get_running_loop()

    def stop() -> None:
        for server in servers:
            server.should_exit = True

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    loop.call_soon(started)
    await asyncio.gather(
        *(server.serve(sockets=[sock]) for server, (_, sock) in zip(servers, listening, strict=True))
    )
