"""What a configured Vault is made of. Every step may be repeated; none reads or writes a secret but the supervisor's.

Needs a root token (or, on a Vault of one's own, an administrator's) in ``vault``.
"""

from __future__ import annotations

import time
from pathlib import Path
from string import Template
from typing import Any

from sandbox.deployment import vault_people
from sandbox.errors import CredentialError, NotFound
from sandbox.statements import canonical_json, sha256
from sandbox.vault.answers import part
from sandbox.vault.http import Vault
from sandbox.vault.signing import HANDS

POLICIES = ("gate", "custodian", "supervisor", "person")
MAX_USES = 32_768
"""Most uses of one run token: caps every request, also one that asks for none. 10,000 people, sealed three times."""


def digest(templates: Path) -> str:
    """sha256 over the policies and this file: another one means that a Vault set up before is out of date."""
    parts = [[name, sha256((templates / f"{name}.hcl").read_bytes())] for name in POLICIES]
    code = [sha256(Path(str(file)).read_bytes()) for file in (__file__, vault_people.__file__)]
    provider = vault_people.provider(templates).model_dump(mode="json")
    return sha256(canonical_json([*parts, ["setup", *code], ["oidc", provider]]))


def configure(vault: Vault, templates: Path, issuer: str) -> tuple[str, str]:
    """(client id of identity tokens, their issuer)."""
    _mounts(vault)
    _signing_keys(vault)
    known = vault_people.configure(vault, templates)
    _policies(vault, templates, known)
    _run_role(vault)
    _logins(vault)
    return _identity(vault, issuer)


def _mounts(vault: Vault) -> None:
    mounts = part(vault.read("sys/mounts"), "data")
    for name in ("subjects", "derivatives", "sign"):
        if f"{name}/" not in mounts:
            vault.write(f"sys/mounts/{name}", {"type": "transit"})
        vault.write(f"{name}/config/keys", {"disable_upsert": True})
    if "totp/" not in mounts:
        vault.write("sys/mounts/totp", {"type": "totp"})
    if "kv/" not in mounts:
        vault.write("sys/mounts/kv", {"type": "kv", "options": {"version": "2"}})
    _patiently(vault, "kv/config", {"cas_required": True, "max_versions": 10})
    logins = part(vault.read("sys/auth"), "data")
    for name in ("approle", "userpass", "oidc"):
        if f"{name}/" not in logins:
            vault.write(f"sys/auth/{name}", {"type": name})


def _patiently(vault: Vault, path: str, body: dict[str, Any]) -> None:
    """A new KV store upgrades itself for a moment and refuses meanwhile."""
    for _ in range(50):
        try:
            vault.write(path, body)
        except CredentialError as fault:
            if fault.code != "vault.rejected":
                raise
            time.sleep(0.1)
            continue
        return
    vault.write(path, body)


def _signing_keys(vault: Vault) -> None:
    for hand in HANDS:
        try:
            vault.read(f"sign/keys/{hand}")
        except NotFound:
            vault.write(f"sign/keys/{hand}", {"type": "ed25519"})


def _policies(vault: Vault, templates: Path, known: dict[str, str]) -> None:
    for name in POLICIES:
        text = (templates / f"{name}.hcl").read_text()
        if name == "custodian":
            text = Template(text).substitute(known)
        vault.write(f"sys/policies/acl/{name}", {"policy": text})


def _run_role(vault: Vault) -> None:
    """The only role the gate may mint under; it caps what a request asks for."""
    vault.write(
        "auth/token/roles/run",
        {
            "allowed_policies_glob": ["run-*"],
            "orphan": False,
            "renewable": False,
            "token_type": "service",  # a batch token cannot be revoked
            "token_explicit_max_ttl": "15m",
            "token_no_default_policy": True,
            "token_num_uses": MAX_USES,
        },
    )


def _logins(vault: Vault) -> None:
    for hand in HANDS:
        vault.write(
            f"auth/approle/role/{hand}",
            {
                "token_policies": [hand],
                "token_no_default_policy": True,  # with "default" it could re-wrap what it must not open
                "token_type": "service",
                "token_period": "1h",
                "bind_secret_id": True,
                "secret_id_num_uses": 1,
                "secret_id_ttl": "10m",
            },
        )
    vault.write(
        "auth/approle/role/supervisor",
        {
            "token_policies": ["supervisor"],
            "token_no_default_policy": True,
            "token_type": "service",
            "token_ttl": "1m",
            "token_max_ttl": "1m",
            "bind_secret_id": True,
        },
    )


def supervisor_login(vault: Vault) -> dict[str, str]:
    """What ``supervisor.json`` holds: a new secret-id of the supervisor, and the role ids of the three."""
    roles = {
        f"{hand}_role_id": str(part(vault.read(f"auth/approle/role/{hand}/role-id"), "data")["role_id"])
        for hand in (*HANDS, "supervisor")
    }
    fresh = part(vault.write("auth/approle/role/supervisor/secret-id"), "data")
    return {**roles, "secret_id": str(fresh["secret_id"])}


def _identity(vault: Vault, issuer: str) -> tuple[str, str]:
    """Identity tokens say a person's name and live five minutes; they are signed by a key that rotates daily."""
    vault.write("identity/oidc/config", {"issuer": issuer})
    key = {"algorithm": "EdDSA", "rotation_period": "24h", "verification_ttl": "24h"}
    vault.write("identity/oidc/key/sandbox", {**key, "allowed_client_ids": []})
    vault.write(
        "identity/oidc/role/sandbox",
        {"key": "sandbox", "ttl": "5m", "template": '{"name": {{identity.entity.name}}}'},
    )
    client_id = str(part(vault.read("identity/oidc/role/sandbox"), "data")["client_id"])
    vault.write("identity/oidc/key/sandbox", {**key, "allowed_client_ids": [client_id]})
    found = vault.read("identity/oidc/.well-known/openid-configuration")
    return client_id, str(found["issuer"])
