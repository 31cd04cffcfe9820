"""Beyond this machine: TLS 1.3 and nothing older, certificates verified by both, an identity token as everywhere."""

from __future__ import annotations

import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from sandbox.client import Service
from sandbox.client.https import Https
from sandbox.deployment.settings import free_port
from sandbox.errors import IdentityInvalid, Unreachable, Usage
from sandbox.policy.serving import Serving, Tls, serving
from sandbox.service.tls import context
from tests.service.certificates import Authority, Pair
from tests.service.test_http import Bearer

SERVER = """
import sys
from pathlib import Path
from sandbox.policy.serving import Tls
from tests.service.test_http import app
from sandbox.service import journal, serve
journal.configure("test")
_, uds, port, certificate, key, ca = sys.argv
tls = Tls("127.0.0.1", int(port), Path(certificate), Path(key), Path(ca) if ca else None)
serve.run(app(), Path(uds), tls=tls, started=lambda: print("ready", flush=True))
"""


@dataclass(frozen=True)
class House:
    """A served application, and who may speak to it."""

    port: int
    ca: Path
    server: Pair
    client: Pair
    foreign_ca: Path
    foreign: Pair
    uds: Path

    def asked(self, ca: Path | None = None, pair: Pair | None = None, bearer: str = "good") -> Service:
        place = Https(
            f"https://127.0.0.1:{self.port}",
            ca or self.ca,
            pair and pair.certificate,
            pair and pair.key,
        )
        return Service("test", place, Bearer(bearer))


def _house(folder: Path, mutual: bool) -> Iterator[House]:
    ours, theirs = Authority(folder, "ours"), Authority(folder, "theirs")
    server = ours.pair("server")
    house = House(
        free_port(),
        ours.file,
        server,
        ours.pair("client"),
        theirs.file,
        theirs.pair("foreign"),
        folder / "api.sock",
    )
    command = [sys.executable, "-c", SERVER, str(house.uds), str(house.port)]
    command += [str(server.certificate), str(server.key), str(ours.file) if mutual else ""]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2])
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    yield house
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0
    process.stdout.close()


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    yield from _house(tmp_path_factory.mktemp("t"), mutual=False)


@pytest.fixture(scope="module")
def mutual(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    yield from _house(tmp_path_factory.mktemp("m"), mutual=True)


def test_the_client_speaks_to_it_and_the_socket_goes_on(plain: House) -> None:
    with plain.asked() as service:
        assert service.get("/v1/me")["name"] == "eng.li"
        assert [event.data["n"] for event in service.events("/v1/events")] == [1, 2, 3]
    with Service("test", plain.uds, Bearer()) as service:
        assert service.healthy()


def test_a_certificate_opens_nothing_without_an_identity(mutual: House) -> None:
    with mutual.asked(pair=mutual.client, bearer="bad") as service, pytest.raises(IdentityInvalid):
        service.get("/v1/me")
    with mutual.asked(pair=mutual.client) as service:
        assert service.get("/v1/me")["name"] == "eng.li"


@pytest.mark.parametrize("pair", ["none", "foreign"])
def test_with_a_client_ca_nobody_comes_in_without_its_certificate(mutual: House, pair: str) -> None:
    shown = None if pair == "none" else mutual.foreign
    with mutual.asked(pair=shown) as service, pytest.raises(Unreachable):
        service.get("/v1/me")


def test_a_server_of_another_ca_is_not_spoken_to(plain: House) -> None:
    with plain.asked(ca=plain.foreign_ca) as service, pytest.raises(Unreachable):
        service.get("/v1/me")


def _handshake(house: House, newest: ssl.TLSVersion) -> str | None:
    told = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    told.load_verify_locations(house.ca)
    told.minimum_version, told.maximum_version = ssl.TLSVersion.TLSv1_2, newest
    with (
        socket.create_connection(("127.0.0.1", house.port), 10) as raw,
        told.wrap_socket(raw, server_hostname="127.0.0.1") as sock,
    ):
        return sock.version()


def test_tls_1_2_is_refused(plain: House) -> None:
    assert _handshake(plain, ssl.TLSVersion.TLSv1_3) == "TLSv1.3"
    with pytest.raises((ssl.SSLError, ConnectionError)):
        _handshake(plain, ssl.TLSVersion.TLSv1_2)


def test_plain_http_is_not_answered(plain: House) -> None:
    with socket.create_connection(("127.0.0.1", plain.port), 10) as raw:
        raw.sendall(b"GET /v1/health HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"HTTP" not in raw.recv(100)


def test_nobody_is_followed_elsewhere() -> None:
    asked: list[str] = []

    def elsewhere(request: httpx.Request) -> httpx.Response:
        asked.append(str(request.url))
        return httpx.Response(307, headers={"Location": "https://thief.example/"})

    with Service("test", Path("x"), Bearer(), transport=httpx.MockTransport(elsewhere)) as service:  # noqa: SIM117
        with pytest.raises(Unreachable, match="sends elsewhere"):
            service.post("/v1/runs")
    assert len(asked) == 1


def test_an_old_client_is_no_client_of_ours(plain: House) -> None:
    assert Https("https://127.0.0.1:1", plain.ca).context().minimum_version is ssl.TLSVersion.TLSv1_3


@pytest.mark.parametrize(
    "wrong", ["http://x", "https://", "https://u:p@x", "https://x/path", "https://x?y", "file:///etc/passwd"]
)
def test_an_address_is_https_and_nothing_more(wrong: str) -> None:
    with pytest.raises(Usage):
        Https(wrong, Path("ca.pem"))


def test_a_key_that_others_may_read_is_not_used(tmp_path: Path) -> None:
    pair = Authority(tmp_path, "ours").pair("server")
    context(Tls("127.0.0.1", 1, pair.certificate, pair.key))
    pair.key.chmod(0o640)
    with pytest.raises(Usage, match="read by others"):
        context(Tls("127.0.0.1", 1, pair.certificate, pair.key))
    pair.key.unlink()
    with pytest.raises(Usage, match="cannot be read"):
        context(Tls("127.0.0.1", 1, pair.certificate, pair.key))


def test_a_certificate_and_anothers_key_are_no_pair(tmp_path: Path) -> None:
    ours = Authority(tmp_path, "ours")
    with pytest.raises(Usage, match="no pair"):
        context(Tls("127.0.0.1", 1, ours.pair("a").certificate, ours.pair("b").key))


def test_each_service_is_told_its_own_listener(tmp_path: Path) -> None:
    file = tmp_path / "gate.yaml"
    assert serving(file, "gate") == Serving()
    file.write_text(
        "region: eu\nlimits: {requests_per_minute: 60}\n"
        "listen:\n  gate: {port: 8443, certificate: a.pem, key: a.key, client_ca: c.pem}\n"
    )
    told = serving(file, "gate")
    assert told == Serving(60, Tls("127.0.0.1", 8443, Path("a.pem"), Path("a.key"), Path("c.pem")))
    assert serving(file, "custodian") == Serving(60)


@pytest.mark.parametrize(
    "text",
    [
        "listen: {gate: {port: 8443}}",
        "listen: {gate: {port: 0, certificate: a, key: b}}",
        "listen: {gate: {port: 8443, certificate: a, key: b, tls: '1.2'}}",
        "limits: {requests_per_minute: 0}",
        "limits: {requests_per_minute: many}",
    ],
)
def test_what_is_no_setting_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "gate.yaml"
    file.write_text(text)
    with pytest.raises(Usage):
        serving(file, "gate")


def test_where_the_services_are_is_read_from_one_file(tmp_path: Path) -> None:
    assert Https.read(tmp_path, "gate") is None
    (tmp_path / "services.json").write_text('{"ca": "ca.pem", "gate": "https://gate.example:8443"}')
    found: Any = Https.read(tmp_path, "gate")
    assert (found.url, found.ca) == ("https://gate.example:8443", Path("ca.pem"))
    assert Https.read(tmp_path, "custodian") is None
    for wrong in ("[]", "{", '{"gate": "https://x"}', '{"ca": "c", "gate": "http://x"}'):
        (tmp_path / "services.json").write_text(wrong)
        with pytest.raises(Usage):
            Https.read(tmp_path, "gate")
