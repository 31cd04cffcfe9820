"""Whatever goes wrong at the door, the caller gets one of our errors, once, and no secret with it."""

from __future__ import annotations

import contextlib
import itertools
import json
import re
import socket
import ssl
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sandbox.deployment.vault_tls import make_tls
from sandbox.errors import (
    Conflict,
    CredentialError,
    CredentialUsed,
    NotFound,
    SandboxError,
    SealBroken,
    VaultUnreachable,
)
from sandbox.vault import http
from sandbox.vault.answers import understand
from sandbox.vault.http import Vault
from sandbox.vault.session import Session
from tests.fakes.tunnel import listening

TOKEN, PLAINTEXT = "hvs.SECRETTOKEN", "U0VDUkVUUExBSU5URVhU"
TLS = make_tls(datetime.now(UTC))


def answer(status: str, body: str, *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", "Content-Type: application/json", f"Content-Length: {len(body)}", *headers]
    return ("\r\n".join(lines) + "\r\n\r\n" + body).encode()


class Stub:
    """Vault's name and certificate, and one prepared answer to everything."""

    def __init__(self, says: bytes, pause_s: float = 0) -> None:
        self.says, self.pause_s, self.asked = says, pause_s, 0
        with tempfile.TemporaryDirectory() as held:
            pem = Path(held, "server.pem")
            pem.write_bytes(TLS.certificate + TLS.key)
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.load_cert_chain(pem)

    def __call__(self, line: socket.socket) -> None:
        with contextlib.suppress(OSError), self.context.wrap_socket(line, server_side=True) as tls:
            while self.request(tls):
                self.asked += 1
                time.sleep(self.pause_s)
                tls.sendall(self.says)
                if b"Content-Length" not in self.says or b"torn" in self.says:
                    return

    @staticmethod
    def request(tls: ssl.SSLSocket) -> bool:
        """Read one request with its body; False when the other side hung up."""
        got = b""
        while b"\r\n\r\n" not in got:
            got += (more := tls.recv(65536))
            if not more:
                return False
        head, _, body = got.partition(b"\r\n\r\n")
        length = re.search(rb"(?i)content-length: (\d+)", head)
        while length and len(body) < int(length[1]):
            body += tls.recv(65536)
        return True


@pytest.fixture
def door() -> Iterator[Callable[[Stub], Vault]]:
    with contextlib.ExitStack() as stack:
        root = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="vs-")))
        numbers = itertools.count()

        def made(stub: Stub) -> Vault:
            path = stack.enter_context(listening(root / f"{next(numbers)}.sock", stub))
            vault = Vault.through(path, TLS.ca.decode())
            stack.callback(vault.close)
            vault.use(TOKEN)
            return vault

        yield made


def everything_said(fault: BaseException) -> str:
    """Text, attributes and causes of an error, as any log or crash report might show them."""
    parts = ["".join(traceback.format_exception(fault))]
    seen: BaseException | None = fault
    while seen is not None:
        parts += [str(seen), repr(seen), repr(vars(seen)), repr(seen.args)]
        seen = seen.__cause__ or seen.__context__
    return "\n".join(parts)


def quoting(*errors: str) -> str:
    return json.dumps(
        {"errors": [f"{error} {TOKEN} {PLAINTEXT}" for error in errors], "data": {"plaintext": PLAINTEXT}}
    )


ANSWERS = {
    "redirect": (
        answer("307 Temporary Redirect", "", f"Location: https://vault.voice-sandbox/{TOKEN}"),
        VaultUnreachable,
    ),
    "not JSON": (answer("200 OK", f"<html>{PLAINTEXT}"), VaultUnreachable),
    "JSON, no object": (answer("200 OK", f'["{PLAINTEXT}"]'), VaultUnreachable),
    "torn": (answer("200 OK", '{"torn": ').replace(b"Length: 9", b"Length: 999"), VaultUnreachable),
    "hung up": (b"", VaultUnreachable),
    "no HTTP": (b"SECRETTOKEN\r\n\r\n", VaultUnreachable),
    "500": (answer("500 Internal Server Error", quoting("broken")), VaultUnreachable),
    "502": (answer("502 Bad Gateway", "<html>"), VaultUnreachable),
    "429": (answer("429 Too Many Requests", quoting("slow down")), VaultUnreachable),
    "sealed": (answer("503 Service Unavailable", quoting("Vault is sealed")), VaultUnreachable),
    "bad item of a batch": (answer("400 Bad Request", quoting()), CredentialError),
    "denied": (answer("403 Forbidden", quoting("1 error occurred:\n\t* permission denied")), CredentialError),
    "no such key": (answer("400 Bad Request", quoting("encryption key not found")), NotFound),
    "lost race": (
        answer("400 Bad Request", quoting("check-and-set parameter did not match the current version")),
        Conflict,
    ),
    "used wrap": (
        answer("400 Bad Request", quoting("wrapping token is not valid or does not exist")),
        CredentialUsed,
    ),
    "other context": (
        answer("400 Bad Request", quoting("cipher: message authentication failed")),
        SealBroken,
    ),
}


@pytest.mark.parametrize("case", ANSWERS)
def test_a_bad_answer_is_one_clear_error_that_quotes_no_secret(
    door: Callable[[Stub], Vault], case: str
) -> None:
    says, expected = ANSWERS[case]
    stub = Stub(says)
    with pytest.raises(SandboxError) as caught:
        door(stub).write("subjects/decrypt/ds1.spk_a1", {"ciphertext": "vault:v1:x"})
    assert type(caught.value) is expected
    assert stub.asked == 1  # no retry, no redirect
    said = everything_said(caught.value)
    assert "SECRETTOKEN" not in said
    assert PLAINTEXT not in said
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


def test_a_slow_vault_is_given_up(door: Callable[[Stub], Vault], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "READ_S", 0.2)
    began = time.monotonic()
    with pytest.raises(VaultUnreachable) as caught:
        door(Stub(answer("200 OK", "{}"), pause_s=60)).read("sys/health")
    assert time.monotonic() - began < 20
    assert "SECRETTOKEN" not in everything_said(caught.value)


def test_no_door_is_told(tmp_path: Path) -> None:
    with pytest.raises(VaultUnreachable):
        Session.open(tmp_path / "none.sock", TLS.ca.decode(), TOKEN)


def test_behind_the_door_only_vaults_own_name_and_ca_are_spoken_to(tmp_path: Path) -> None:
    stub = Stub(answer("200 OK", "{}"))
    with listening(tmp_path / "a.sock", stub) as path, pytest.raises(VaultUnreachable):
        Session.open(path, make_tls(datetime.now(UTC)).ca.decode(), TOKEN)
    assert stub.asked == 0


def test_no_public_ca_is_ever_trusted_and_the_environment_is_not_asked(
    door: Callable[[Stub], Vault], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/dev/null")
    vault = door(Stub(answer("200 OK", '{"ok": true}')))
    assert vault.read("sys/health") == {"ok": True}
    pool = vault._adapter.session.adapters["https://"]._pool
    assert len(pool.pool.queue[-1].ssl_context.get_ca_certs()) == 1


@pytest.mark.parametrize("token", ["hvs.SECRETTOKEN\r\nX-Evil: 1", "", "hvs.SECRETTOKEN\u00fc", "x" * 5000])
def test_what_cannot_be_a_token_is_refused_before_it_is_sent(
    door: Callable[[Stub], Vault], token: str
) -> None:
    stub = Stub(answer("200 OK", "{}"))
    with pytest.raises(CredentialError) as caught:
        door(stub).use(token)
    assert "SECRETTOKEN" not in everything_said(caught.value)
    assert stub.asked == 0


@pytest.mark.parametrize(
    "addr", ["http://127.0.0.1:8200", "127.0.0.1:8200", "https://user:pw@h:1", "https://h:1/x"]
)
def test_vault_is_spoken_to_by_tls_only(tmp_path: Path, addr: str) -> None:
    with pytest.raises(VaultUnreachable):
        Vault.at(addr, tmp_path / "ca.pem")


def test_a_conversation_shows_no_token(door: Callable[[Stub], Vault]) -> None:
    assert "SECRETTOKEN" not in repr(door(Stub(b"")))


@pytest.mark.parametrize("status", [400, 403])
def test_errors_of_any_shape_are_survived(status: int) -> None:
    for body in (b'{"errors": null}', b"{}", b'{"errors": [1, {}]}', b""):
        with pytest.raises(CredentialError):
            understand(status, body, "x")
