"""What Vault needs to know people by: second factors, and logins by an identity provider (``configs/vault/oidc.yaml``).

Every step may be repeated. The client secret lies in a file of root's alone, is read when Vault is set up, and may be
deleted then; beside it the flow uses PKCE (RFC 7636).
"""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Literal

from sandbox.errors import NotFound, Usage
from sandbox.policy.documents import Model, read
from sandbox.policy.fields import Text
from sandbox.vault.answers import part, text
from sandbox.vault.enrolment import OIDC_GROUP, TOKEN_TTL
from sandbox.vault.http import Vault
from sandbox.vault.oidc_login import LOOPBACK, ROLE
from sandbox.vault.second_factor import GROUP, ISSUER

OIDC_FILE = "oidc.yaml"


class OidcFile(Model):
    """``configs/vault/oidc.yaml``; an empty ``issuer`` is no identity provider."""

    issuer: str = ""
    client_id: str = ""
    secret_file: str = ""
    subject_claim: Text = "sub"
    scopes: tuple[Text, ...] = ("profile",)
    ca: str = ""
    mode: Literal["client", "direct", "device"] = "device"
    vault_addr: str = ""


def configure(vault: Vault, templates: Path) -> dict[str, str]:
    """What the custodian's policy is filled in with: ``userpass``, ``oidc`` (accessors) and ``totp`` (a method)."""
    _group(vault, OIDC_GROUP, ["person"])
    known = {name: text(vault.read(f"sys/auth/{name}"), "data", "accessor") for name in ("userpass", "oidc")}
    found = provider(templates)
    if found.issuer:
        _provider(vault, found)
    return {**known, "totp": _second_factor(vault)}


def provider(templates: Path) -> OidcFile:
    """What ``oidc.yaml`` says; no file names no provider. Raises Usage with the line of a fault."""
    file = templates / OIDC_FILE
    return read(file.read_bytes(), OidcFile, f"configs/vault/{OIDC_FILE}") if file.exists() else OidcFile()


def _second_factor(vault: Vault) -> str:
    """The one method. Whoever is in the group is asked for a code at every login, by whatever way."""
    enforcement = f"identity/mfa/login-enforcement/{GROUP}"
    try:
        return str(part(vault.read(enforcement), "data")["mfa_method_ids"][0])
    except NotFound:
        pass
    settings = {
        "issuer": ISSUER,
        "digits": 6,
        "period": 30,
        "skew": 1,
        "algorithm": "SHA1",
        "method_name": GROUP,
    }
    method = text(vault.write("identity/mfa/method/totp", settings), "data", "method_id")
    group = _group(vault, GROUP, [])
    vault.write(enforcement, {"mfa_method_ids": [method], "identity_group_ids": [group]})
    return method


def _group(vault: Vault, name: str, policies: list[str]) -> str:
    vault.write(f"identity/group/name/{name}", {"type": "internal", "policies": policies})
    return text(vault.read(f"identity/group/name/{name}"), "data", "id")


def _provider(vault: Vault, file: OidcFile) -> None:
    config = {
        "oidc_discovery_url": file.issuer,
        "oidc_client_id": file.client_id,
        "oidc_client_secret": _secret(Path(file.secret_file)),
        "default_role": ROLE,
    }
    if file.ca:
        config["oidc_discovery_ca_pem"] = Path(file.ca).read_text()
    vault.write("auth/oidc/config", config)
    callback = f"{file.vault_addr}/v1/auth/oidc/oidc/callback"
    vault.write(
        f"auth/oidc/role/{ROLE}",
        {
            "role_type": "oidc",
            "callback_mode": file.mode,
            "user_claim": file.subject_claim,
            "bound_audiences": [file.client_id],
            "oidc_scopes": list(file.scopes),
            "allowed_redirect_uris": [callback if file.mode == "direct" else LOOPBACK],
            "token_policies": [],  # an unknown subject logs in to nothing: the group gives the policy
            "token_no_default_policy": True,
            "token_ttl": TOKEN_TTL,
            "token_max_ttl": TOKEN_TTL,
        },
    )


def _secret(file: Path) -> str:
    """Raises Usage when it is missing, empty, or anybody else's too."""
    try:
        found, held = file.stat(), file.read_text().strip()
    except (OSError, UnicodeDecodeError):
        raise Usage(
            f"{file} holds no client secret", code="oidc.secret", mend="the identity provider gives one out"
        ) from None
    if not held or stat.S_IMODE(found.st_mode) & 0o077:
        raise Usage(f"{file} is empty, or not one user's alone", code="oidc.secret", mend=f"chmod 600 {file}")
    return held
