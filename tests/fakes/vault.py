"""Vault in memory, below the hands: the real ``Minting``, ``Custody`` and ``Session`` speak to it as to a server.

It answers the paths that they use, with OpenBao's own words on failure, so the same errors come out; the conformance
suite holds it to the real one. Not here: the policies of gate and custodian (``tests/vault`` tries those).
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import jwt
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from sandbox.errors import SandboxError
from sandbox.vault.answers import understand
from sandbox.vault.custody import Custody
from sandbox.vault.minting import Minting
from sandbox.vault.session import RUN_TOKEN, Session

ISSUER, CLIENT_ID = "https://vault.voice-sandbox/v1/identity/oidc", "fake-client"
DENIED = "1 error occurred:\n\t* permission denied\n\n"


def refuse(status: int, *errors: str) -> Exception:
    """What the real conversation raises for such an answer."""
    try:
        understand(status, json.dumps({"errors": errors}).encode(), "fake")
    except SandboxError as fault:
        return fault
    raise AssertionError(status)


@dataclass
class Token:
    policies: tuple[str, ...]
    uses: int
    ends: float
    accessor: str = field(default_factory=lambda: secrets.token_hex(12))


@dataclass
class Wrapped:
    path: str
    answer: dict[str, Any]
    ends: float
    accessor: str = field(default_factory=lambda: secrets.token_hex(12))


class FakeVault:
    """The state of one Vault. ``clock`` gives Unix time."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self.clock = clock
        self.keys: dict[str, bytes] = {}
        self.versions: dict[str, tuple[int, int]] = {}  # of a key: the oldest that opens, the newest
        self.kept: dict[str, list[dict[str, Any]]] = {}
        self.policies: dict[str, str] = {}
        self.tokens: dict[str, Token] = {}
        self.wraps: dict[str, Wrapped] = {}
        self.people: dict[str, bool] = {}  # name -> disabled
        self.signing = {hand: Ed25519PrivateKey.generate() for hand in ("gate", "custodian", "identity")}

    # The hands

    def gate(self) -> Minting:
        return Minting(Conversation(self, self._service("gate")))  # type: ignore[arg-type]

    def custodian(self) -> Custody:
        return Custody(Conversation(self, self._service("custodian")))  # type: ignore[arg-type]

    def session(self, wrap_token: str | None, expect: str = RUN_TOKEN) -> Session:
        return Session.over(Conversation(self, None), wrap_token, expect)  # type: ignore[arg-type]

    def identity_token(self, name: str, life_s: int = 300, audience: str = CLIENT_ID) -> str:
        now = int(self.clock())
        claims = {"iss": ISSUER, "aud": audience, "iat": now, "exp": now + life_s, "name": name}
        return jwt.encode(claims, self.signing["identity"], algorithm="EdDSA", headers={"kid": "fake"})

    def _service(self, hand: str) -> str:
        token = secrets.token_hex(12)
        self.tokens[token] = Token((hand,), 1 << 30, self.clock() + 1e9)
        return token

    # What is alive

    def live(self, token: str | None) -> Token | None:
        found = self.tokens.get(token or "")
        return found if found and found.ends > self.clock() and found.uses > 0 else None

    def by_accessor(self, accessor: str) -> list[dict[str, Any]]:
        """The stores (tokens, wraps) that hold something living under ``accessor``."""
        now = self.clock()
        tokens = [
            self.tokens
            for t in self.tokens.values()
            if t.accessor == accessor and t.ends > now and t.uses > 0
        ]
        return tokens + [self.wraps for w in self.wraps.values() if w.accessor == accessor and w.ends > now]


@dataclass
class Conversation:
    """Takes the place of :class:`sandbox.vault.http.Vault`."""

    vault: FakeVault
    token: str | None

    def use(self, token: str | None) -> None:
        self.token = token

    def close(self) -> None:
        """Nothing is open."""

    def read(self, path: str) -> dict[str, Any]:
        return self._ask("read", path, {})

    def delete(self, path: str) -> None:
        self._ask("delete", path, {})

    def write(self, path: str, body: Any = None, wrap_ttl_s: int | None = None) -> dict[str, Any]:
        answer = self._ask("write", path, body or {})
        if wrap_ttl_s is None:
            return answer
        token, made = secrets.token_hex(12), Wrapped(path, answer, self.vault.clock() + wrap_ttl_s)
        self.vault.wraps[token] = made
        created = datetime.fromtimestamp(self.vault.clock(), UTC).isoformat()
        info = {"token": token, "accessor": made.accessor, "creation_path": path}
        info |= {"creation_time": created, "ttl": wrap_ttl_s}
        if "auth" in answer:
            info["wrapped_accessor"] = answer["auth"]["accessor"]
        return {"wrap_info": info}

    def _ask(self, verb: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
        for pattern, name in ROUTES:
            if found := re.fullmatch(pattern, f"{verb} {path}"):
                if not name.startswith("open_"):
                    self._authenticate(path, body)
                answer: dict[str, Any] = (
                    getattr(self, name)(body, *(["".join(found.groups())] if found.groups() else [])) or {}
                )
                return answer
        raise refuse(403, DENIED)

    def _authenticate(self, path: str, body: dict[str, Any]) -> None:
        """The token lives, one use of it is spent, and a run's policy allows the path with just these parameters."""
        held = self.vault.live(self.token)
        if held is None:
            raise refuse(403, "permission denied")
        held.uses -= 1
        runs = [self.vault.policies.get(name, "") for name in held.policies if name.startswith("run-")]
        if any(name.startswith("run-") for name in held.policies) and not any(
            path == "auth/token/revoke-self" or _allows(text, path, body) for text in runs
        ):
            raise refuse(403, DENIED)

    # Wraps and tokens

    def open_lookup(self, body: dict[str, Any]) -> dict[str, Any]:
        return {"data": {"creation_path": self._wrap(body["token"]).path}}

    def open_unwrap(self, body: dict[str, Any]) -> dict[str, Any]:
        answer = self._wrap(self.token or "").answer
        del self.vault.wraps[self.token or ""]
        return answer

    def _wrap(self, token: str) -> Wrapped:
        found = self.vault.wraps.get(token)
        if found is None or found.ends <= self.vault.clock():
            raise refuse(400, "wrapping token is not valid or does not exist")
        return found

    def mint(self, body: dict[str, Any]) -> dict[str, Any]:
        token = secrets.token_hex(12)
        made = Token(
            tuple(body["policies"]), body["num_uses"], self.vault.clock() + int(body["ttl"].rstrip("s"))
        )
        self.vault.tokens[token] = made
        return {"auth": {"client_token": token, "accessor": made.accessor}}

    def lookup_accessor(self, body: dict[str, Any]) -> dict[str, Any]:
        if not self.vault.by_accessor(body["accessor"]):
            raise refuse(403, "invalid accessor")
        return {"data": {"accessor": body["accessor"]}}

    def revoke_accessor(self, body: dict[str, Any]) -> None:
        for store in self.vault.by_accessor(body["accessor"]):
            for token in [t for t, held in store.items() if held.accessor == body["accessor"]]:
                del store[token]

    def revoke_self(self, body: dict[str, Any]) -> None:
        del self.vault.tokens[self.token or ""]

    def renew_self(self, body: dict[str, Any]) -> dict[str, Any]:
        return {"auth": {"lease_duration": 3600}}

    # Transit

    def create_key(self, body: dict[str, Any], name: str) -> dict[str, Any]:
        self.vault.keys.setdefault(name, secrets.token_bytes(32))
        self.vault.versions.setdefault(name, (1, 1))
        return {"data": {**body, "exportable": False, "deletion_allowed": False, "soft_deleted": False}}

    def configure_key(self, body: dict[str, Any], name: str) -> None:
        if name not in self.vault.keys:
            raise refuse(400, "no existing key named found")
        if lowest := body.get("min_decryption_version"):
            if lowest > self.vault.versions[name][1]:
                raise refuse(400, "cannot set min decryption version of %d, latest key version is %d")
            self.vault.versions[name] = (lowest, self.vault.versions[name][1])

    def rotate_key(self, body: dict[str, Any], name: str) -> None:
        if name not in self.vault.keys:
            raise refuse(400, "key not found")
        lowest, newest = self.vault.versions[name]
        self.vault.versions[name] = (lowest, newest + 1)

    def delete_key(self, body: dict[str, Any], name: str) -> None:
        del self.vault.keys[name], self.vault.versions[name]

    def encrypt(self, body: dict[str, Any], name: str) -> dict[str, Any]:
        if name not in self.vault.keys:
            raise refuse(403, DENIED)
        nonce, plain = secrets.token_bytes(12), base64.b64decode(body["plaintext"])
        newest = self.vault.versions[name][1]
        sealed = nonce + self._key(name, body, newest).encrypt(nonce, plain, None)
        return {"data": {"ciphertext": _text(sealed, newest)}}

    def decrypt(self, body: dict[str, Any], name: str) -> dict[str, Any]:
        _, version, text = body["ciphertext"].split(":")
        key = self._key(name, body, int(version[1:]))
        if int(version[1:]) < self.vault.versions[name][0]:
            raise refuse(400, "ciphertext or signature version is disallowed by policy (too old)")
        sealed = base64.b64decode(text)
        try:
            plain = key.decrypt(sealed[:12], sealed[12:], None)
        except InvalidTag:
            raise refuse(400, "cipher: message authentication failed") from None
        return {"data": {"plaintext": base64.b64encode(plain).decode()}}

    def rewrap(self, body: dict[str, Any], name: str) -> dict[str, Any]:
        return self.encrypt(self.decrypt(body, name)["data"] | body, name)

    def data_key(self, body: dict[str, Any], name: str) -> dict[str, Any]:
        plain = {"plaintext": base64.b64encode(secrets.token_bytes(32)).decode()}
        self._key(name, body, 1)
        return {"data": plain | self.encrypt(plain | body, name)["data"]}

    def _key(self, name: str, body: dict[str, Any], version: int) -> AESGCM:
        if name not in self.vault.keys:
            raise refuse(400, "encryption key not found")
        material = self.vault.keys[name] + bytes([version]) + base64.b64decode(body["context"])
        return AESGCM(hashlib.sha256(material).digest())

    # Signing, heads, policies, people

    def sign(self, body: dict[str, Any], hand: str) -> dict[str, Any]:
        return {"data": {"signature": _text(self.vault.signing[hand].sign(base64.b64decode(body["input"])))}}

    def signing_key(self, body: dict[str, Any], hand: str) -> dict[str, Any]:
        raw = self.vault.signing[hand].public_key().public_bytes_raw()
        return {"data": {"keys": {"1": {"public_key": base64.b64encode(raw).decode()}}}}

    def read_kept(self, body: dict[str, Any], name: str) -> dict[str, Any]:
        if not (versions := self.vault.kept.get(name)):
            raise refuse(404)
        return {"data": {"data": versions[-1], "metadata": {"version": len(versions)}}}

    def write_kept(self, body: dict[str, Any], name: str) -> dict[str, Any]:
        versions = self.vault.kept.setdefault(name, [])
        if body["options"]["cas"] != len(versions):
            raise refuse(400, "check-and-set parameter did not match the current version")
        versions.append(json.loads(json.dumps(body["data"])))
        return {"data": {"version": len(versions)}}

    def write_policy(self, body: dict[str, Any], name: str) -> None:
        self.vault.policies[name] = body["policy"]

    def delete_policy(self, body: dict[str, Any], name: str) -> None:
        self.vault.policies.pop(name, None)

    def audit_hash(self, body: dict[str, Any]) -> dict[str, Any]:
        return {"data": {"hash": "hmac-sha256:" + hashlib.sha256(body["input"].encode()).hexdigest()}}

    def open_jwks(self, body: dict[str, Any]) -> dict[str, Any]:
        raw = self.vault.signing["identity"].public_key().public_bytes_raw()
        x = base64.urlsafe_b64encode(raw).decode().rstrip("=")
        return {
            "keys": [{"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": "fake", "x": x}]
        }

    def introspect(self, body: dict[str, Any]) -> dict[str, Any]:
        name = jwt.decode(body["token"], options={"verify_signature": False})["name"]
        return {"active": self.vault.people.get(name, True) is False}

    def add_user(self, body: dict[str, Any], name: str) -> None:
        self.vault.people.setdefault(name, False)

    def write_entity(self, body: dict[str, Any], name: str) -> None:
        self.vault.people[name] = body["disabled"]

    def read_entity(self, body: dict[str, Any], name: str) -> dict[str, Any]:
        if name not in self.vault.people:
            raise refuse(404)
        return {"data": {"id": name}}

    def userpass(self, body: dict[str, Any]) -> dict[str, Any]:
        return {"data": {"accessor": "fake"}}

    def alias(self, body: dict[str, Any]) -> None:
        """People are their names here."""


def _text(data: bytes, version: int = 1) -> str:
    return f"vault:v{version}:" + base64.b64encode(data).decode()


def _allows(policy: str, path: str, body: dict[str, Any]) -> bool:
    if f'path "{path}" {{ capabilities = ["deny"] }}' in policy:
        return False
    blocks = re.findall(r'path "([^"]+)" \{\n.*?"context" = \["([^"]+)"\]', policy, flags=re.DOTALL)
    return set(body) == {"ciphertext", "context"} and any(
        (path.startswith(allowed[:-1]) if allowed.endswith("*") else path == allowed)
        and body["context"] == context
        for allowed, context in blocks
    )


ROUTES = (
    (r"write sys/wrapping/lookup", "open_lookup"),
    (r"write sys/wrapping/unwrap", "open_unwrap"),
    (r"read identity/oidc/\.well-known/keys", "open_jwks"),
    (r"write auth/token/create/run", "mint"),
    (r"write auth/token/lookup-accessor", "lookup_accessor"),
    (r"write auth/token/revoke-accessor", "revoke_accessor"),
    (r"write auth/token/revoke-self", "revoke_self"),
    (r"write auth/token/renew-self", "renew_self"),
    (r"write ((?:subjects|derivatives)/)keys/([^/]+)", "create_key"),
    (r"write (subjects/)keys/([^/]+)/config", "configure_key"),
    (r"write (subjects/)keys/([^/]+)/rotate", "rotate_key"),
    (r"delete (subjects/)keys/([^/]+)", "delete_key"),
    (r"write (subjects/)encrypt/([^/]+)", "encrypt"),
    (r"write ((?:subjects|derivatives)/)decrypt/([^/]+)", "decrypt"),
    (r"write (subjects/)rewrap/([^/]+)", "rewrap"),
    (r"write (derivatives/)datakey/plaintext/([^/]+)", "data_key"),
    (r"write sign/sign/(gate|custodian)", "sign"),
    (r"read sign/keys/(gate|custodian)", "signing_key"),
    (r"read kv/data/(.+)", "read_kept"),
    (r"write kv/data/(.+)", "write_kept"),
    (r"write sys/policies/acl/(run-.+)", "write_policy"),
    (r"delete sys/policies/acl/(run-.+)", "delete_policy"),
    (r"write sys/audit-hash/main", "audit_hash"),
    (r"write identity/oidc/introspect", "introspect"),
    (r"write auth/userpass/users/([^/]+)", "add_user"),
    (r"write identity/entity/name/([^/]+)", "write_entity"),
    (r"read identity/entity/name/([^/]+)", "read_entity"),
    (r"read sys/internal/ui/mounts/auth/userpass", "userpass"),
    (r"write identity/entity-alias", "alias"),
)
