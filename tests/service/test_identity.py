"""Only tokens of our Vault, for our audience, in their time, name a caller."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import hashes, hmac, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sandbox.errors import IdentityInvalid
from sandbox.service.identity import SKEW_S, TOKEN_BYTES, IdentityVerifier

KEY = Ed25519PrivateKey.generate()
OTHER = Ed25519PrivateKey.generate()
RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
CURVE = ec.generate_private_key(ec.SECP256R1())
NOW = 1_800_000_000.0
GOOD: dict[str, Any] = {
    "iss": "https://v/oidc",
    "aud": "sandbox",
    "exp": NOW + 300,
    "iat": NOW,
    "name": "eng.li",
}


def text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def public(key: Ed25519PrivateKey, kid: str) -> dict[str, Any]:
    raw = text(key.public_key().public_bytes_raw())
    return {"kty": "OKP", "crv": "Ed25519", "kid": kid, "x": raw, "alg": "EdDSA", "use": "sig"}


def jwks() -> dict[str, Any]:
    return {"keys": [public(KEY, "1")]}


def token(claims: dict[str, Any], key: Ed25519PrivateKey = KEY, kid: str = "1", **header: Any) -> str:
    return jwt.encode(claims, key, algorithm="EdDSA", headers={"kid": kid, **header})


def written(header: dict[str, Any], claims: object, sign: Callable[[bytes], bytes] = KEY.sign) -> str:
    """A token byte by byte, where the library would not write it."""
    said = f"{text(json.dumps(header).encode())}.{text(json.dumps(claims).encode())}"
    return f"{said}.{text(sign(said.encode()))}"


def by_hmac(said: bytes) -> bytes:
    """Key confusion: our public key, which anybody may read, as the secret of an HMAC."""
    secret = KEY.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    made = hmac.HMAC(secret, hashes.SHA256())
    made.update(said)
    return made.finalize()


def without(*names: str) -> dict[str, Any]:
    return {name: value for name, value in GOOD.items() if name not in names}


@pytest.fixture
def verifier() -> IdentityVerifier:
    return IdentityVerifier(jwks, "https://v/oidc", "sandbox", clock=lambda: NOW)


def test_a_good_token_names_its_person(verifier: IdentityVerifier) -> None:
    assert verifier.verify(token(GOOD)).name == "eng.li"
    assert verifier.verify(token(GOOD)).expires == NOW + 300


EDDSA = {"alg": "EdDSA", "kid": "1"}
BAD: dict[str, Callable[[], str]] = {
    "another audience": lambda: token(GOOD | {"aud": "another"}),
    "our audience among others": lambda: token(GOOD | {"aud": ["sandbox", "another"]}),
    "no audience": lambda: token(without("aud")),
    "another issuer": lambda: token(GOOD | {"iss": "https://w/oidc"}),
    "an issuer that begins like ours": lambda: token(GOOD | {"iss": "https://v/oidc/child"}),
    "no issuer": lambda: token(without("iss")),
    "expired": lambda: token(GOOD | {"exp": NOW}),
    "expired a second ago": lambda: token(GOOD | {"exp": NOW - 1}),
    "no end": lambda: token(without("exp")),
    "not valid yet": lambda: token(GOOD | {"nbf": NOW + SKEW_S + 1}),
    "made in the future": lambda: token(GOOD | {"iat": NOW + SKEW_S + 1}),
    "no name": lambda: token(without("name")),
    "a name that is no id": lambda: token(GOOD | {"name": "../etc"}),
    "a name that is a list": lambda: token(GOOD | {"name": ["eng.li"]}),
    "a name that is a number": lambda: token(GOOD | {"name": 7}),
    "an end that is a text": lambda: written(EDDSA, GOOD | {"exp": str(NOW + 300)}),
    "an end that is true": lambda: written(EDDSA, GOOD | {"exp": True}),
    "an end that never comes": lambda: written(EDDSA, GOOD | {"exp": float("inf")}),
    "an end that is no number": lambda: written(EDDSA, GOOD | {"exp": float("nan")}),
    "a beginning that is a list": lambda: written(EDDSA, GOOD | {"nbf": [1]}),
    "a beginning that is true": lambda: written(EDDSA, GOOD | {"nbf": True}),
    "claims that are a list": lambda: written(EDDSA, ["eng.li"]),
    "another key": lambda: token(GOOD, OTHER),
    "an unknown key id": lambda: token(GOOD, kid="2"),
    "no key id": lambda: jwt.encode(GOOD, KEY, algorithm="EdDSA"),
    "a key id that is a list": lambda: written({"alg": "EdDSA", "kid": ["1"]}, GOOD),
    "a key of its own in the header": lambda: token(GOOD, OTHER, jwk=public(OTHER, "1")),
    "an extension that must be understood": lambda: token(GOOD, crit=["b64"], b64=True),
    "our public key as a secret": lambda: written({"alg": "HS256", "kid": "1"}, GOOD, by_hmac),
    "a secret of its own": lambda: jwt.encode(GOOD, "secret" * 6, "HS256", {"kid": "1"}),
    "an RSA key under our id": lambda: jwt.encode(GOOD, RSA, "RS256", {"kid": "1"}),
    "an elliptic key under our id": lambda: jwt.encode(GOOD, CURVE, "ES256", {"kid": "1"}),
    "unsigned": lambda: jwt.encode(GOOD, None, "none", {"kid": "1"}),
    "unsigned, spelt otherwise": lambda: written({"alg": "NoNe", "kid": "1"}, GOOD, lambda _: b""),
    "our algorithm, spelt otherwise": lambda: written({"alg": "eddsa", "kid": "1"}, GOOD),
    "no signature": lambda: token(GOOD).rpartition(".")[0] + ".",
    "one changed byte": lambda: token(GOOD)[:-6] + "AAAA" + token(GOOD)[-2:],
    "too large": lambda: token(GOOD | {"more": "x" * TOKEN_BYTES}),
    "garbage": lambda: "x.y.z",
    "no ASCII": lambda: "é.é.é",
    "empty": lambda: "",
}


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
def test_anything_else_names_nobody(verifier: IdentityVerifier, bad: Callable[[], str]) -> None:
    with pytest.raises(IdentityInvalid):
        verifier.verify(bad())


def test_a_clock_of_vaults_that_is_a_little_ahead_keeps_nobody_out(verifier: IdentityVerifier) -> None:
    ahead = GOOD | {"iat": NOW + SKEW_S, "nbf": NOW + SKEW_S}
    assert verifier.verify(token(ahead)).name == "eng.li"


@pytest.mark.parametrize(
    ("claims", "code"),
    [
        ({"exp": NOW - 1}, "identity.expired"),
        ({"nbf": NOW + 3600}, "identity.early"),
        ({"iss": "https://w"}, "identity.invalid"),
    ],
)
def test_a_refusal_says_what_to_do_but_nothing_of_the_token(
    verifier: IdentityVerifier, claims: dict[str, Any], code: str
) -> None:
    shown = token(GOOD | claims)
    with pytest.raises(IdentityInvalid) as caught:
        verifier.verify(shown)
    assert caught.value.code == code and caught.value.mend
    assert shown not in str(caught.value) and caught.value.__cause__ is None


def test_an_installation_without_an_audience_knows_nobody() -> None:
    verifier = IdentityVerifier(jwks, "https://v/oidc", "", clock=lambda: NOW)
    with pytest.raises(IdentityInvalid):
        verifier.verify(token(GOOD | {"aud": ""}))


@pytest.mark.parametrize(
    "odd",
    [
        pytest.param({"kty": "RSA", "kid": "1", "n": "AQAB", "e": "AQAB"}, id="an RSA key"),
        pytest.param({"kty": "oct", "kid": "1", "k": "AAAA"}, id="a secret"),
        pytest.param(public(OTHER, "1") | {"use": "enc"}, id="a key for encryption"),
        pytest.param(public(OTHER, "1") | {"d": "AAAA"}, id="a private key"),
        pytest.param({"kty": "OKP", "crv": "Ed25519", "kid": "9", "x": "short"}, id="a broken key"),
        pytest.param({"kty": "OKP", "crv": "Ed25519"}, id="a key without anything"),
    ],
)
def test_an_odd_key_in_vaults_answer_is_passed_over_and_spoils_no_other(odd: dict[str, Any]) -> None:
    verifier = IdentityVerifier(
        lambda: {"keys": [odd, public(KEY, "1"), odd | {"kid": "7"}]},
        "https://v/oidc",
        "sandbox",
        lambda: NOW,
    )
    assert verifier.verify(token(GOOD)).name == "eng.li"
    with pytest.raises(IdentityInvalid):
        verifier.verify(token(GOOD, OTHER, kid="7"))
