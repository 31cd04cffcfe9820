"""What comes before a request is whole: heads that never end, that are no HTTP, or that come too slowly."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

SERVER = """
import sys
from pathlib import Path
from sandbox.service import Caller, Reply, Route, application, bodies, journal, protocol, serve
from sandbox.errors import IdentityInvalid
from sandbox.service.limits import Limits
protocol.HEAD_S = bodies.BODY_S = bodies.PIECE_S = 2.0
seen = []
def verify(bearer):
    if bearer != "good":
        raise IdentityInvalid("not one of ours")
    return Caller("eng.li", 2e9)
def lines(call):
    return {"bytes": sum(map(len, call.stream()))}
app = application(
    [
        Route("GET", "/v1/me", lambda call: {"name": call.caller.name}),
        Route("POST", "/v1/small", lambda call: {"body": call.body}),
        Route("POST", "/v1/stream", lines, stream=True),
    ],
    verify,
    limits=Limits(10),
)
async def named(scope, receive, send):
    if scope["path"] == "/peer":
        body = scope["client"][0].encode()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
        await send({"type": "http.response.body", "body": body})
        return
    await app(scope, receive, send)
journal.configure("test")
serve.run(named, Path(sys.argv[1]), started=lambda: print("ready", flush=True))
"""


@pytest.fixture(scope="module")
def sock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    path = tmp_path_factory.mktemp("p") / "api.sock"
    process = subprocess.Popen(
        [sys.executable, "-c", SERVER, str(path)], stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    yield path
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0
    process.stdout.close()


def answered(sock: Path, *pieces: bytes) -> tuple[int, dict[str, Any]]:
    """Status and problem of what is answered before the server closes or falls silent."""
    heard = b""
    with socket.socket(socket.AF_UNIX) as raw:
        raw.settimeout(60)
        raw.connect(str(sock))
        for piece in pieces:
            raw.sendall(piece)
        while b"}" not in heard and (more := raw.recv(65536)):
            heard += more
    head, _, body = heard.partition(b"\r\n\r\n")
    assert b"application/problem+json" in head or b" 200 " in head
    return int(head.split()[1]), json.loads(body)


GOOD = b"Host: x\r\nAuthorization: Bearer good\r\nConnection: close\r\n"


@pytest.mark.parametrize(
    ("pieces", "status", "code"),
    [
        pytest.param([b"GET /v1/me HTTP/1.1\r\nX-A: " + b"x" * 60_000], 431, "headers.too_large", id="no end"),
        pytest.param([b"\x16\x03\x01\x02\x00\x01\r\n\r\n"], 400, "request.malformed", id="no HTTP"),
        pytest.param([b"GET /v1/me HTTP/1.1\r\nHo st: x\r\n\r\n"], 400, "request.malformed", id="an odd header"),
        pytest.param([b"GET /v1/me HTTP/1.1\r\nHost:"], 408, "request.timeout", id="half a head"),
        pytest.param([], 408, "request.timeout", id="nothing"),
        pytest.param(
            [b"POST /v1/small HTTP/1.1\r\n" + GOOD + b"Content-Length: 9\r\n\r\n{"], 408, "request.timeout",
            id="half a body",
        ),
        pytest.param(
            [b"POST /v1/stream HTTP/1.1\r\n" + GOOD + b"Content-Length: 9\r\n\r\n{"], 408, "request.timeout",
            id="half a stream",
        ),
    ],
)  # fmt: skip
def test_what_never_becomes_a_request_is_a_problem(
    sock: Path, pieces: list[bytes], status: int, code: str
) -> None:
    found, problem = answered(sock, *pieces)
    assert (found, problem["code"], problem["status"]) == (status, code, status)


def test_a_chunked_body_that_breaks_off_hurts_nobody_else(sock: Path) -> None:
    with socket.socket(socket.AF_UNIX) as raw:
        raw.connect(str(sock))
        raw.sendall(
            b"POST /v1/stream HTTP/1.1\r\n" + GOOD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nxxxxx\r\nzz\r\n"
        )
        raw.settimeout(60)
        raw.recv(100)
    assert answered(sock, b"GET /v1/me HTTP/1.1\r\n" + GOOD + b"\r\n")[1] == {"name": "eng.li"}


def test_a_peer_on_the_socket_is_known_by_its_user(sock: Path) -> None:
    with socket.socket(socket.AF_UNIX) as raw:
        raw.settimeout(60)
        raw.connect(str(sock))
        raw.sendall(b"GET /peer HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        heard = b""
        while more := raw.recv(4096):
            heard += more
    assert heard.endswith(f"uid-{os.getuid()}".encode())
