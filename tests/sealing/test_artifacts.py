"""The bytes of a sealed artifact are those of CONTRACTS, and no other bytes open."""

import hashlib
import json
import struct
from dataclasses import asdict

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from sandbox.errors import SealBroken
from sandbox.sealing.artifacts import (
    CHUNK_BYTES,
    ArtifactSealer,
    open_artifact,
    parse_header,
    read_header,
    seal_artifact,
    seal_pieces,
)
from sandbox.statements import canonical_json
from tests.fakes.artifact import artifact_header

KEY = bytes(range(32))
PLAIN = (b"weights" * 400_000)[: 2 * CHUNK_BYTES + 100]


LENGTH = len(PLAIN)


def header(length=LENGTH, **changes):
    return artifact_header(length, **changes)


def test_the_bytes_are_those_of_the_contract():
    """Written down a second time, from the paper alone."""
    sealed = seal_artifact(header(), KEY, PLAIN)
    (length,) = struct.unpack(">I", sealed[5:9])
    assert sealed[:5] == b"VSAR1"
    assert json.loads(sealed[9 : 9 + length])["chunk_bytes"] == 1 << 20
    binding, body, plain = hashlib.sha256(sealed[: 9 + length]).digest(), sealed[9 + length :], b""
    for index in range(3):
        counter = struct.pack(">I", index) + bytes([index == 2])
        chunk = body[: CHUNK_BYTES + 16]
        body = body[CHUNK_BYTES + 16 :]
        plain += AESGCM(KEY).decrypt(bytes(7) + counter, chunk, binding + counter)
    assert plain == PLAIN


@pytest.mark.parametrize("length", [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 2 * CHUNK_BYTES])
def test_every_length_comes_back(length):
    made = header(length)
    sealed = seal_artifact(made, KEY, PLAIN[:length])
    assert len(sealed) == made.sealed_bytes
    assert read_header(sealed) == made
    assert open_artifact(sealed, KEY) == PLAIN[:length]


def test_a_resend_repeats_the_same_bytes_however_it_is_cut():
    whole = seal_artifact(header(), KEY, PLAIN)
    cut = [PLAIN[at : at + 77_777] for at in range(0, len(PLAIN), 77_777)]
    assert b"".join(seal_pieces(header(), KEY, cut)) == whole
    sealer = ArtifactSealer(header(), KEY)
    assert whole.endswith(sealer.chunk(2, PLAIN[2 * CHUNK_BYTES :]))


@pytest.mark.parametrize("plain", [PLAIN[:-1], PLAIN + b"x", b""])
def test_a_length_other_than_declared_is_refused(plain):
    with pytest.raises(SealBroken):
        seal_artifact(header(), KEY, plain)


def test_a_header_is_read_as_soon_as_it_is_there_and_without_a_key():
    sealed = seal_artifact(header(), KEY, PLAIN)
    size = parse_header(sealed).body
    assert [parse_header(sealed[:n]) for n in (0, 3, 5, 8, 9, size - 1)] == [None] * 6
    assert parse_header(sealed[:size]).header == header()


@pytest.mark.parametrize("raw", [b"{}", b"[]", b"null", b"\xff", b'{"run":1}'])
def test_garbage_is_no_header(raw):
    with pytest.raises(SealBroken):
        parse_header(b"VSAR1" + struct.pack(">I", len(raw)) + raw)


def test_a_header_with_an_unknown_field_is_refused():
    raw = canonical_json({**asdict(header()), "more": 1})
    with pytest.raises(SealBroken):
        parse_header(b"VSAR1" + struct.pack(">I", len(raw)) + raw)
