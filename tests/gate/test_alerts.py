"""Alerts: a row and a log entry in one transaction, told over every channel at least once, and never in the way."""

from __future__ import annotations

import hashlib
import hmac
import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import SimpleNamespace

import pytest
import sqlalchemy as sa
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

from sandbox.deployment.settings import free_port
from sandbox.deployment.vault_tls import make_tls
from sandbox.errors import NotFound, Unreachable, Usage
from sandbox.gate.alarms import alerts, delivery
from sandbox.gate.alarms.channels import Email, channels, send
from sandbox.gate.database.tables import alerts as rows
from sandbox.gate.incidents import incident
from sandbox.gate.ledger import log
from tests.gate.world import OPERATOR

KEY = b"0123456789abcdef0123456789abcdef"


def raised(gate, rule="denied-burst", **more):
    now = gate.house.clock()
    about = {"person": "eng.li"}
    return gate.house.store.transact(lambda c: alerts.raise_alert(c, rule=rule, about=about, now=now, **more))


def entries(gate, kind):
    with gate.house.store.engine.connect() as connection:
        return [e for e in log.shown(connection, -1, 5000) if e["kind"] == kind]


@pytest.mark.both_databases
def test_an_alert_stands_in_the_log(gate):
    name = raised(gate, detail={"count": 10}, severity="medium")
    assert name.startswith("al-")
    found = gate.house.store.read(lambda c: alerts.find(c, name))
    assert (found["rule"], found["severity"], found["detail"], found["acknowledged_by"]) == (
        "denied-burst",
        "medium",
        {"count": 10},
        None,
    )
    assert [(e["alert"], e["rule"], e["about"]) for e in entries(gate, "alert")] == [
        (name, "denied-burst", {"person": "eng.li"})
    ]


def test_an_alert_of_an_act_that_was_not_done_is_none(gate):
    def work(connection):
        alerts.raise_alert(connection, rule="x", about={}, now=gate.house.clock())
        raise Unreachable("the act failed")

    with pytest.raises(Unreachable):
        gate.house.store.transact(work)
    assert gate.house.store.read(lambda c: c.execute(sa.select(rows)).all()) == []
    assert entries(gate, "alert") == []


@pytest.mark.both_databases
def test_the_same_finding_is_raised_once(gate):
    assert raised(gate, once="eng.li 1") == raised(gate, once="eng.li 1")
    assert len({raised(gate, once="eng.li 2"), raised(gate), raised(gate)}) == 3
    assert len(entries(gate, "alert")) == 4


def test_the_first_who_acknowledges_stands(gate):
    name, now = raised(gate), gate.house.clock()
    for person in (OPERATOR, "b.auditor"):
        found = gate.house.store.transact(lambda c, p=person: alerts.acknowledge(c, name, p, now))
        assert found["acknowledged_by"] == OPERATOR
    assert [e["by"] for e in entries(gate, "alert-acknowledged")] == [OPERATOR]
    with pytest.raises(NotFound):
        gate.house.store.transact(lambda c: alerts.acknowledge(c, "al-nobody", OPERATOR, now))


@pytest.mark.both_databases
def test_an_alert_is_told_once_and_a_failing_channel_holds_no_other_up(gate):
    first, second, told, tries = raised(gate), raised(gate), [], []

    def works(alert):
        told.append(alert["id"])

    def fails(alert):
        tries.append(alert["id"])
        raise Unreachable("away")

    now = [1000.0]
    assert delivery.deliver(gate.house, {"bad": fails, "good": works}, lambda: now[0]) == 2
    assert len(tries) == 1, "a channel's turn is over with its first fault"
    for _ in range(3):
        delivery.deliver(gate.house, {"bad": fails, "good": works}, lambda: now[0])
    assert sorted(told) == sorted(tries) == sorted([first, second])
    now[0] += delivery.FIRST_S + 0.1
    for _ in range(3):
        delivery.deliver(gate.house, {"bad": fails}, lambda: now[0])
    assert len(tries) == 4, "each is tried again once its time has come"
    now[0] += delivery.FIRST_S + 0.1
    delivery.deliver(gate.house, {"bad": fails}, lambda: now[0])
    assert len(tries) == 4, "the wait doubles"
    now[0] += 2 * delivery.FIRST_S
    delivery.deliver(gate.house, {"bad": works}, lambda: now[0])
    assert sorted(told[2:]) == sorted([first, second])


def test_an_alert_that_a_receiver_never_takes_holds_no_other_up(gate):
    never, told, now = raised(gate), [], [1000.0]

    def picky(alert):
        if alert["id"] == never:
            raise Unreachable("400")
        told.append(alert["id"])

    for _ in range(8):
        delivery.deliver(gate.house, {"hook": picky}, lambda: now[0])
        now[0] += delivery.MOST_S
    later = raised(gate)
    delivery.deliver(gate.house, {"hook": picky}, lambda: now[0] - delivery.MOST_S)
    assert told == [later]


def test_a_gate_that_dies_after_it_told_tells_again(world, gate):
    name, told = raised(gate), []
    with pytest.raises(KeyboardInterrupt):
        delivery.deliver(gate.house, {"hook": lambda _: (_ for _ in ()).throw(KeyboardInterrupt)})
    after = world.gate()
    delivery.deliver(after.house, {"hook": lambda alert: told.append(alert["id"])})
    delivery.deliver(after.house, {"hook": lambda alert: told.append(alert["id"])})
    assert told == [name]


def test_what_somebody_has_seen_is_told_no_further(gate):
    name, now, told = raised(gate), gate.house.clock(), []
    gate.house.store.transact(lambda c: alerts.acknowledge(c, name, OPERATOR, now))
    delivery.deliver(gate.house, {"hook": told.append})
    assert told == []


@contextmanager
def receiver(status=200) -> Iterator[tuple[str, list]]:
    """A webhook on this machine; what it got."""
    got: list = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            got.append((dict(self.headers), body))
            self.send_response(status)
            if status == 307:
                self.send_header("Location", "/elsewhere")
            self.end_headers()

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/alerts", got
        finally:
            server.shutdown()


def secret_file(tmp_path, data=KEY, mode=0o600):
    path = tmp_path / "key"
    path.write_bytes(data)
    path.chmod(mode)
    return path


def hook(url, key):
    return channels(f"webhook: {{url: '{url}', key_file: {key}}}\n".encode())


def test_the_webhook_gets_a_signed_body(gate, tmp_path):
    name = raised(gate, detail={"count": 10})
    with receiver() as (url, got):
        delivery.deliver(gate.house, hook(url, secret_file(tmp_path)))
    [(headers, body)] = got
    at, mark = (part.partition("=")[2] for part in headers["X-Sandbox-Signature"].split(","))
    assert mark == hmac.new(KEY, f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    said = json.loads(body)
    assert said["id"] == headers["X-Sandbox-Alert"] == name and said["rule"] == "denied-burst"
    assert set(said) == {"id", "rule", "severity", "about", "detail", "incident", "at"}


@pytest.mark.parametrize("status", [500, 404, 307], ids=["fault", "unknown", "redirect"])
def test_a_webhook_that_does_not_acknowledge_is_told_again(gate, tmp_path, status):
    raised(gate)
    now = [1000.0]
    with receiver(status) as (url, got):
        assert (
            delivery.deliver(gate.house, hook(url, secret_file(tmp_path)), lambda: now[0]) == 1
        )  # the journal
        now[0] += 60
        delivery.deliver(gate.house, hook(url, secret_file(tmp_path)), lambda: now[0])
    assert len(got) == 2


@pytest.mark.parametrize(
    ("data", "mode"),
    [(KEY, 0o644), (b"short", 0o600), (b"", 0o600)],
    ids=["others read it", "short", "empty"],
)
def test_a_key_that_is_none_signs_nothing(gate, tmp_path, data, mode):
    raised(gate)
    with receiver() as (url, got):
        delivery.deliver(gate.house, hook(url, secret_file(tmp_path, data, mode)))
    assert got == []


REFUSED = {
    "a webhook in the clear": "webhook: {url: 'http://alerts.example/x', key_file: /k}",
    "another scheme": "webhook: {url: 'ftp://127.0.0.1/x', key_file: /k}",
    "a webhook without a key": "webhook: {url: 'https://alerts.example/x'}",
    "mail in the clear": "email: {host: mail.example, starttls: false, sender: a@b.c, to: [d@e.f]}",
    "mail to nobody": "email: {host: 127.0.0.1, sender: a@b.c}",
    "an unknown key": "sms: {number: 1}",
    "a second header": 'email: {host: 127.0.0.1, sender: "a@b.c\\nBcc: x@y.z", to: [d@e.f]}',
}


@pytest.mark.parametrize("text", REFUSED.values(), ids=REFUSED)
def test_a_channel_that_is_not_safe_is_refused_with_its_line(text):
    with pytest.raises(Usage, match=r"configs/alerts.yaml:1"):
        channels(text.encode())


def test_without_any_channel_there_is_the_journal(gate, caplog):
    caplog.set_level("INFO", logger="sandbox")
    name = raised(gate)
    assert list(channels(b"webhook: {}\n")) == ["journal"]
    delivery.deliver(gate.house, channels(b"webhook: {}\n"))
    [line] = [r for r in caplog.records if r.message == "alert"]
    assert line.journal_fields["alert"] == name and line.journal_fields["rule"] == "denied-burst"


def test_a_broken_file_of_channels_is_an_alert_and_those_of_before_go_on(gate):
    before = {"journal": print}
    assert delivery.configured(gate.house, before) is before
    folder = gate.house.places.app / "configs"
    folder.mkdir(parents=True)
    (folder / "alerts.yaml").write_text("sms: 1\n")
    assert delivery.configured(gate.house, before) is before
    delivery.configured(gate.house, before)
    assert [e["rule"] for e in entries(gate, "alert")] == ["alert.channels"] * 2
    (folder / "alerts.yaml").write_text("webhook: {}\n")
    assert list(delivery.configured(gate.house, before)) == ["journal"]


def test_an_incident_that_opens_by_itself_or_by_a_person_is_an_alert_and_a_drills_is_none(gate):
    now = gate.house.clock()
    made = [
        gate.house.store.transact(
            lambda c, k=kind: incident.open_for_scope(c, k, "dataset:voices", OPERATOR, now)
        )
        for kind in ("asked", "drill")
    ]
    [entry] = entries(gate, "alert")
    assert (entry["rule"], entry["incident"], entry["severity"]) == ("incident.opened", made[0], "critical")


class Mailbox:
    """What a real mail server took."""

    def __init__(self):
        self.got = []

    async def handle_DATA(self, server, session, envelope):
        self.got.append((session.ssl is not None, envelope))
        return "250 OK"


@contextmanager
def mail_server(**options):
    box = Mailbox()
    server = Controller(box, hostname="127.0.0.1", port=free_port(), ready_timeout=60, **options)
    server.start()
    try:
        yield server.port, box
    finally:
        server.stop()


def mail(port, **more):
    said = {
        "host": "127.0.0.1",
        "port": port,
        "sender": "gate@b.example",
        "to": ["soc@a.example", "ops@b.example"],
    }
    return channels(
        json.dumps({"email": {k: str(v) if k == "port" else v for k, v in (said | more).items()}}).encode()
    )


def test_e_mail_reaches_a_real_server(gate):
    name = raised(gate, severity="critical", detail={"count": 3})
    with mail_server() as (port, box):
        delivery.deliver(gate.house, mail(port, starttls="false"))
    [(_, envelope)] = box.got
    text = envelope.content.decode()
    assert envelope.rcpt_tos == ["soc@a.example", "ops@b.example"]
    assert f"Subject: [voice-sandbox] critical: denied-burst ({name})" in text and '"count": 3' in text


@pytest.fixture(scope="module")
def tls(tmp_path_factory):
    """The path of an authority's certificate, and a server's context for 127.0.0.1 that it signed."""
    made, folder = make_tls(datetime.now(UTC)), tmp_path_factory.mktemp("tls")
    (folder / "ca.pem").write_bytes(made.ca)
    (folder / "server.pem").write_bytes(made.key + made.certificate)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem")
    return SimpleNamespace(ca=folder / "ca.pem", server=context)


def test_e_mail_goes_by_starttls_and_a_password(gate, tls, tmp_path):
    name = raised(gate)
    password, heard = secret_file(tmp_path, b"correct horse battery\n"), []

    def check(server, session, envelope, mechanism, auth):
        heard.append(auth.password)
        return AuthResult(success=auth.password == b"correct horse battery")

    options = {
        "tls_context": tls.server,
        "require_starttls": True,
        "auth_required": True,
        "authenticator": check,
    }
    with mail_server(**options) as (port, box):
        ways = mail(port, starttls="true", ca_file=str(tls.ca), user="gate", password_file=str(password))
        assert delivery.deliver(gate.house, ways) == 2
    assert heard == [b"correct horse battery"] and [secure for secure, _ in box.got] == [True]
    assert name in box.got[0][1].content.decode()


def test_a_mail_server_with_another_certificate_gets_nothing(gate, tls):
    raised(gate)
    with mail_server(tls_context=tls.server) as (port, box):
        assert delivery.deliver(gate.house, mail(port, starttls="true")) == 1  # the journal
    assert box.got == []


def test_a_mail_server_that_is_away_is_unreachable(gate):
    name = raised(gate)
    alert = gate.house.store.read(lambda c: alerts.find(c, name))
    with pytest.raises(Unreachable) as caught:
        send(Email(host="127.0.0.1", port=1, starttls=False, sender="a@b.c", to=("d@e.f",)), alert)
    assert caught.value.code == "alert.email" and "d@e.f" not in caught.value.message
