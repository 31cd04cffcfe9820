"""Statements: nothing unsigned is parsed, nothing signed is taken for something else."""

import json

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sandbox import statements
from sandbox.errors import StatementError
from sandbox.statements import Ed25519Signer, PublicKey

A, B, STRANGER = (Ed25519Signer(Ed25519PrivateKey.generate()) for _ in range(3))
DIGEST = "0" * 64


def signed(*signers: Ed25519Signer) -> bytes:
    return statements.sign_statement("run", [("r-2345", DIGEST)], {"epsilon": 8.0}, signers)


def test_a_statement_comes_back_as_it_was_signed() -> None:
    opened = statements.open_statement(signed(A), "run", [A.public])
    assert opened.predicate == {"epsilon": 8.0}
    assert opened.subjects == (("r-2345", DIGEST),)
    assert opened.digest == statements.sha256(signed(A))


@pytest.mark.parametrize(
    ("data", "keys", "threshold", "name"),
    [
        pytest.param(signed(STRANGER), [A.public], 1, "run", id="signed by a stranger"),
        pytest.param(signed(), [A.public], 1, "run", id="not signed"),
        pytest.param(signed(A), [A.public], 1, "model", id="another statement"),
        pytest.param(signed(A), [A.public, B.public], 2, "run", id="one of two signatures"),
        pytest.param(signed(A), [A.public, A.public], 2, "run", id="one key counted twice"),
        pytest.param(signed(A), [], 1, "run", id="no key is no permission"),
        pytest.param(b"{}", [A.public], 1, "run", id="not an envelope"),
        pytest.param(b"\xff", [A.public], 1, "run", id="not text"),
    ],
)
def test_what_is_not_signed_as_required_is_refused(
    data: bytes, keys: list[PublicKey], threshold: int, name: str
) -> None:
    with pytest.raises(StatementError):
        statements.open_statement(data, name, keys, threshold)


@pytest.mark.parametrize("part", ["payload", "payloadType", "signatures"])
def test_one_changed_part_is_refused(part: str) -> None:
    value = json.loads(signed(A))
    other = json.loads(statements.sign_statement("run", [], {}, [B]))
    value[part] = "application/x-other" if part == "payloadType" else other[part]
    with pytest.raises(StatementError):
        statements.open_statement(json.dumps(value).encode(), "run", [A.public])


def test_another_payload_type_is_refused_even_when_signed() -> None:
    with pytest.raises(StatementError, match="payload type"):
        statements.open_envelope(signed(A), statements.AGREEMENT, [A.public])


def test_canonical_json_is_one_spelling_and_refuses_nan() -> None:
    assert statements.canonical_json({"b": 1, "a": ["é"]}) == '{"a":["é"],"b":1}'.encode()
    with pytest.raises(StatementError):
        statements.canonical_json(float("nan"))


def test_a_public_key_reads_back_from_its_text() -> None:
    assert PublicKey.from_text(A.public.text) == A.public
    for bad in ("rsa:AAAA", "ed25519:AAAA", "ed25519:%%%"):
        with pytest.raises(StatementError):
            PublicKey.from_text(bad)
