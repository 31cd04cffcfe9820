"""The shared HTTP layer over a real Unix socket, asked by the real client: identity, problems, streams, replays."""

from __future__ import annotations

import http.client
import json
import logging
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sandbox.client import Service
from sandbox.errors import Conflict, IdentityInvalid, NotFound, Reason, Refused, SandboxError, Usage
from sandbox.service import Call, Caller, Event, Events, Lines, Reply, Route, application, journal
from sandbox.service.idempotency import KeptAnswers
from sandbox.service.serve import listen_unix

SERVER = """
import sys
from pathlib import Path
from tests.service.test_http import app
from sandbox.service import journal, serve
journal.configure("test")
serve.run(app(), Path(sys.argv[1]), started=lambda: print("ready", flush=True))
"""

COUNT = [0]


def verify(bearer: str) -> Caller:
    if bearer != "good":
        raise IdentityInvalid("not one of ours")
    return Caller("eng.li", 0.0)


def refuse(call: Call) -> dict[str, Any]:
    raise Refused(
        "refused for 1 reason", reasons=[Reason("consent.none", "spk_aa", "why", "mend")], decision="d-1"
    )


def break_(call: Call) -> dict[str, Any]:
    raise RuntimeError("a secret that nobody may see")


def count(call: Call) -> dict[str, Any]:
    COUNT[0] += 1
    if call.body.get("fail"):
        raise Conflict("somebody else was first")
    return {"count": COUNT[0], "body": call.body}


def echo_lines(call: Call) -> Lines:
    def lines() -> Iterator[dict[str, Any]]:
        total = 0
        for piece in call.stream():
            total += len(piece)
            yield {"bytes": total}
        if total == 7:
            raise Usage("seven is too few")

    return Lines(lines())


def tell(call: Call) -> Events:
    after = int(call.last_event_id or 0)
    return Events(Event("tick", {"n": n}, str(n)) for n in range(after + 1, 4))


def app() -> Any:
    routes = [
        Route("GET", "/v1/health", lambda call: {"ok": True}, open=True),
        Route("GET", "/v1/me", lambda call: {"name": call.caller.name, "q": dict(call.query)}),
        Route("GET", "/v1/things/{id}", lambda call: {"id": call.params["id"]}),
        Route("GET", "/v1/bytes", lambda call: Reply(b"\0exact", media_type="application/octet-stream")),
        Route("POST", "/v1/refuse", refuse),
        Route("POST", "/v1/break", break_),
        Route("POST", "/v1/count", count),
        Route("POST", "/v1/lines", echo_lines, stream=True),
        Route("GET", "/v1/events", tell),
    ]
    return application(routes, verify, KeptAnswers(":memory:"))


class Bearer:
    def __init__(self, value: str = "good") -> None:
        self.value = value

    def token(self) -> str:
        return self.value


@pytest.fixture(scope="module")
def sock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    path = tmp_path_factory.mktemp("s") / "api.sock"
    command = [sys.executable, "-c", SERVER, str(path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2])
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    yield path
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0
    process.stdout.close()


@pytest.fixture
def api(sock: Path) -> Iterator[Service]:
    with Service("test", sock, Bearer()) as service:
        yield service


def test_the_socket_is_for_owner_and_group(sock: Path) -> None:
    assert stat.S_IMODE(sock.stat().st_mode) == 0o660


def test_health_needs_no_login_and_everything_else_does(sock: Path, api: Service) -> None:
    assert api.healthy()
    assert api.get("/v1/me", {"a": "b"}) == {"name": "eng.li", "q": {"a": "b"}}
    with Service("test", sock, Bearer("bad")) as stranger, pytest.raises(IdentityInvalid):
        stranger.get("/v1/me")


def test_paths_carry_parameters_and_bytes_stay_exact(api: Service) -> None:
    assert api.get("/v1/things/r-23")["id"] == "r-23"
    assert api.get_bytes("/v1/bytes") == b"\0exact"


def test_a_refusal_arrives_as_itself_with_every_reason(api: Service) -> None:
    with pytest.raises(Refused) as caught:
        api.post("/v1/refuse")
    assert caught.value.reasons[0].code == "consent.none" and caught.value.decision == "d-1"


def test_a_fault_nobody_meant_tells_its_class_and_place_only(api: Service) -> None:
    with pytest.raises(SandboxError) as caught:
        api.post("/v1/break")
    assert "RuntimeError" in caught.value.message and "secret" not in caught.value.message


def test_an_unknown_path_is_a_problem(api: Service) -> None:
    with pytest.raises(NotFound):
        api.get("/v1/nothing")


def test_a_large_body_is_refused(api: Service) -> None:
    with pytest.raises(Usage):
        api.post("/v1/count", {"x": "y" * (2 << 20)})


def test_the_same_key_gives_the_same_answer_and_runs_once(api: Service) -> None:
    first = api.post("/v1/count", {"a": 1}, idempotency_key="k1")
    assert api.post("/v1/count", {"a": 1}, idempotency_key="k1") == first
    with pytest.raises(Usage):
        api.post("/v1/count", {"a": 2}, idempotency_key="k1")
    assert api.post("/v1/count", {"a": 1}, idempotency_key="k2") != first


def test_a_refused_request_may_be_asked_again(api: Service) -> None:
    for _ in range(2):
        with pytest.raises(Conflict, match="first"):
            api.post("/v1/count", {"fail": True}, idempotency_key="k3")


def test_lines_flow_while_the_body_still_comes(sock: Path) -> None:
    with socket.socket(socket.AF_UNIX) as raw:
        raw.connect(str(sock))
        raw.settimeout(60)
        raw.sendall(
            b"POST /v1/lines HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer good\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n5\r\nxxxxx\r\n"
        )
        heard = b""
        while b'{"bytes": 5}' not in heard:
            heard += raw.recv(4096)
        raw.sendall(b"3\r\nxxx\r\n0\r\n\r\n")
        while b'{"bytes": 8}' not in heard:
            heard += raw.recv(4096)


def test_a_fault_after_the_first_line_is_the_last_line(api: Service) -> None:
    with pytest.raises(Usage, match="seven"):
        list(api.stream("/v1/lines", [b"1234567"]))


def test_events_resume_after_the_last_seen(api: Service) -> None:
    assert [event.data["n"] for event in api.events("/v1/events")] == [1, 2, 3]
    assert [event.data["n"] for event in api.events("/v1/events", after="2")] == [3]


def test_a_request_cut_off_by_a_restart_is_not_run_again(tmp_path: Path) -> None:
    first = KeptAnswers(tmp_path / "i.db")
    assert first.begin("eng.li", "k", "d") is None
    with pytest.raises(Conflict, match="still runs"):
        first.begin("eng.li", "k", "d")
    first.close()
    second = KeptAnswers(tmp_path / "i.db")
    with pytest.raises(Conflict, match="cut off"):
        second.begin("eng.li", "k", "d")
    second.close()


def test_a_restarted_service_takes_the_place_of_a_dead_one(tmp_path: Path) -> None:
    path = tmp_path / "api.sock"
    listen_unix(path, 0o660).close()
    second = listen_unix(path, 0o600)
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
    second.close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_the_journal_writes_json_and_never_a_foreign_text(capsys: pytest.CaptureFixture[str]) -> None:
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    try:
        journal.configure("gate")
        journal.say("run.started", run="r-23")
        try:
            raise http.client.InvalidURL("a token")
        except http.client.InvalidURL as fault:
            journal.trouble("call.failed", fault)
    finally:
        root.handlers[:] = before
        root.setLevel(level)
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert lines[0]["event"] == "run.started" and lines[0]["run"] == "r-23"
    assert lines[1]["fault"] == "InvalidURL" and "token" not in json.dumps(lines[1])
