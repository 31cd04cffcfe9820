"""The ways on which an alert goes out: the journal, a webhook, e-mail. Each call tells one alert, or raises.

A webhook gets JSON by POST. Its signature is ``X-Sandbox-Signature: t=<unix time>,v1=<hex>`` where ``v1`` is
HMAC-SHA256 of ``<unix time>.<body>`` under the key of ``key_file`` (32 random bytes or more); ``X-Sandbox-Alert`` is
the alert's id, by which a receiver tells a repetition. Any 2xx is an acknowledgement, and no redirect is followed.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import smtplib
import ssl
import stat
import time
from collections.abc import Callable, Mapping
from email.message import EmailMessage
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import httpx
from pydantic import Field, model_validator

from sandbox.errors import Unreachable, Usage
from sandbox.policy.documents import Model, read
from sandbox.policy.fields import Flag, Text, Whole
from sandbox.service import journal

NAME = "configs/alerts.yaml"
TIMEOUT_S = 10.0
KEY_BYTES = 16
Channel = Callable[[Mapping[str, Any]], None]


class Webhook(Model):
    url: str = ""
    key_file: str = ""

    @model_validator(mode="after")
    def _safe(self) -> Webhook:
        if self.url:
            parts = urlsplit(self.url)
            if parts.scheme != "https" and not (parts.scheme == "http" and _here(parts.hostname or "")):
                raise ValueError("a webhook is https://, or http:// on this machine")
            if not self.key_file:
                raise ValueError("a webhook needs a key_file: its receiver must know who speaks")
        return self


class Email(Model):
    host: str = ""
    port: Annotated[Whole, Field(ge=1, le=65535)] = 587
    starttls: Flag = True
    ca_file: str = ""
    sender: str = ""
    to: tuple[Text, ...] = ()
    user: str = ""
    password_file: str = ""

    @model_validator(mode="after")
    def _safe(self) -> Email:
        if self.host and not (self.sender and self.to):
            raise ValueError("e-mail needs a sender and whom to")
        if self.host and not self.starttls and not _here(self.host):
            raise ValueError("e-mail to another machine goes by STARTTLS")
        if any("\n" in one or "\r" in one for one in (self.sender, *self.to)):
            raise ValueError("an address is one line")
        return self


class ChannelsFile(Model):
    """``configs/alerts.yaml``."""

    webhook: Webhook = Webhook()
    email: Email = Email()


def channels(data: bytes) -> dict[str, Channel]:
    """The configured ways by name; the journal is always one. Raises Usage with the line of each fault."""
    file = read(data, ChannelsFile, NAME)
    found: dict[str, Channel] = {"journal": to_journal}
    if file.webhook.url:
        found["webhook"] = lambda alert: post(file.webhook, alert)
    if file.email.host:
        found["email"] = lambda alert: send(file.email, alert)
    return found


def to_journal(alert: Mapping[str, Any]) -> None:
    """One JSON line."""
    said = {key: alert[key] for key in ("rule", "severity", "about", "detail", "incident")}
    journal.say("alert", level=logging.WARNING, alert=alert["id"], raised=alert["at"], **said)


def post(webhook: Webhook, alert: Mapping[str, Any]) -> None:
    """Raises Unreachable unless the receiver answers 2xx, Usage when the key cannot be used."""
    body = json.dumps(_told(alert), sort_keys=True).encode()
    now = str(int(time.time()))
    mark = hmac.new(secret(webhook.key_file), f"{now}.".encode() + body, hashlib.sha256).hexdigest()
    headers = {
        "Content-Type": "application/json",
        "X-Sandbox-Alert": str(alert["id"]),
        "X-Sandbox-Signature": f"t={now},v1={mark}",
    }
    try:
        with httpx.Client(trust_env=False, timeout=TIMEOUT_S, follow_redirects=False) as client:
            answer = client.post(webhook.url, content=body, headers=headers)
    except (httpx.HTTPError, httpx.InvalidURL):
        raise Unreachable("the webhook does not answer", code="alert.webhook") from None
    if not answer.is_success:
        raise Unreachable(f"the webhook answered {answer.status_code}", code="alert.webhook")


def send(email: Email, alert: Mapping[str, Any]) -> None:
    """Raises Unreachable unless the server took it for every recipient, Usage when the password cannot be read."""
    message = EmailMessage()
    message["From"], message["To"] = email.sender, ", ".join(email.to)
    message["Subject"] = f"[voice-sandbox] {alert['severity']}: {alert['rule']} ({alert['id']})"
    message["X-Sandbox-Alert"] = str(alert["id"])
    message.set_content(json.dumps(_told(alert), indent=2, sort_keys=True) + "\n")
    try:
        with smtplib.SMTP(email.host, email.port, timeout=TIMEOUT_S) as server:
            if email.starttls:
                server.starttls(context=ssl.create_default_context(cafile=email.ca_file or None))
            if email.user:
                server.login(email.user, secret(email.password_file).decode().strip())
            if server.send_message(message):
                raise Unreachable("the mail server refused a recipient", code="alert.email")
    except (smtplib.SMTPException, OSError):
        raise Unreachable("the mail server did not take the alert", code="alert.email") from None


def secret(path: str) -> bytes:
    """A key or password alone in its file. Raises Usage when others may read it, or it is none."""
    try:
        mode, data = Path(path).stat().st_mode, Path(path).read_bytes()
    except OSError:
        raise Usage(f"{path} cannot be read", code="alert.secret") from None
    if stat.S_IMODE(mode) & 0o077:
        raise Usage(f"others may read {path}", code="alert.secret", mend=f"chmod 600 {path}")
    if len(data) < KEY_BYTES:
        raise Usage(f"{path} is shorter than {KEY_BYTES} bytes", code="alert.secret")
    return data


def _told(alert: Mapping[str, Any]) -> dict[str, Any]:
    names = ("id", "rule", "severity", "about", "detail", "incident", "at")
    return {name: alert[name] for name in names}


def _here(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
