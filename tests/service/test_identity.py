"""Only tokens of our Vault, for our audience, in their time, name a caller."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sandbox.errors import IdentityInvalid
from sandbox.service.identity import IdentityVerifier

KEY = Ed25519PrivateKey.generate()
OTHER = Ed25519PrivateKey.generate()
NOW = 1_800_000_000.0
GOOD: dict[str, Any] = {"iss": "https://v/oidc", "aud": "sandbox", "exp": NOW + 300, "name": "eng.li"}


def jwks() -> dict[str, Any]:
    raw = base64.urlsafe_b64encode(KEY.public_key().public_bytes_raw()).decode().rstrip("=")
    return {"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "1", "x": raw, "alg": "EdDSA"}]}


def token(claims: dict[str, Any], key: Ed25519PrivateKey = KEY, kid: str = "1") -> str:
    return jwt.encode(claims, key, algorithm="EdDSA", headers={"kid": kid})


@pytest.fixture
def verifier() -> IdentityVerifier:
    return IdentityVerifier(jwks, "https://v/oidc", "sandbox", clock=lambda: NOW)


def test_a_good_token_names_its_person(verifier: IdentityVerifier) -> None:
    assert verifier.verify(token(GOOD)).name == "eng.li"


@pytest.mark.parametrize(
    "bad",
    [
        pytest.param(lambda: token(GOOD | {"aud": "another"}), id="another-audience"),
        pytest.param(lambda: token(GOOD | {"iss": "https://w/oidc"}), id="another-issuer"),
        pytest.param(lambda: token(GOOD | {"exp": NOW}), id="expired"),
        pytest.param(lambda: token({k: v for k, v in GOOD.items() if k != "exp"}), id="no-expiry"),
        pytest.param(lambda: token({k: v for k, v in GOOD.items() if k != "name"}), id="no-name"),
        pytest.param(lambda: token(GOOD | {"name": "../etc"}), id="odd-name"),
        pytest.param(lambda: token(GOOD, OTHER), id="another-key"),
        pytest.param(lambda: token(GOOD, kid="2"), id="unknown-key"),
        pytest.param(
            lambda: jwt.encode(GOOD, "secret-secret-secret-secret-secret", "HS256", {"kid": "1"}), id="hmac"
        ),
        pytest.param(lambda: jwt.encode(GOOD, None, "none", {"kid": "1"}), id="unsigned"),
        pytest.param(lambda: "x.y.z", id="garbage"),
        pytest.param(lambda: "", id="empty"),
    ],
)
def test_anything_else_names_nobody(verifier: IdentityVerifier, bad: Callable[[], str]) -> None:
    with pytest.raises(IdentityInvalid):
        verifier.verify(bad())


def test_unknown_keys_do_not_make_vault_busy() -> None:
    asked: list[int] = []

    def fetch() -> dict[str, Any]:
        asked.append(1)
        return jwks()

    verifier = IdentityVerifier(fetch, "https://v/oidc", "sandbox", clock=lambda: NOW)
    for _ in range(20):
        with pytest.raises(IdentityInvalid):
            verifier.verify(token(GOOD, kid="2"))
    assert len(asked) == 1
