"""The custodian's real routes on a real Unix socket, with a desk of fakes; a bearer token is simply a name."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import uvicorn

from sandbox.client import Service
from sandbox.custodian.api import routes
from sandbox.custodian.desk import Desk
from sandbox.service import Caller, application
from sandbox.service.idempotency import KeptAnswers
from sandbox.service.second_factor import FreshCodes


@dataclass(frozen=True)
class Name:
    """A bearer whose token is the person's name."""

    name: str

    def token(self) -> str:
        return self.name


@contextlib.contextmanager
def served(desk: Desk, socket: Path) -> Iterator[Path]:
    codes = FreshCodes(desk.vault, lambda: False)
    app = application(
        routes(desk), lambda bearer: Caller(bearer, 2e9), KeptAnswers(":memory:"), prove=codes.prove
    )
    server = uvicorn.Server(uvicorn.Config(app, uds=str(socket), log_config=None, lifespan="off", ws="none"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield socket
    finally:
        server.should_exit = True
        thread.join(10)


def speak(socket: Path, name: str) -> Service:
    return Service("custodian", socket, Name(name))
