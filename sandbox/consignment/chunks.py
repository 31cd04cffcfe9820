"""One file of a consignment: chunks of AES-256-GCM, each bound to its consignment, file and place.

A file is at least one chunk; a chunk is ``ciphertext | tag16`` of 1 MiB of plaintext, the last one of what is left.
Nonce: u32 file | 3 zero bytes | u32 chunk | u8 last, big-endian; a key encrypts one consignment once, so none repeats.
AAD: canonical JSON ``["consignment/1", consignment, file, chunk, last]``. Manner of STREAM (Hoang et al. 2015): a file
that is cut at a chunk's end lacks its last one.
"""

from __future__ import annotations

from collections.abc import Iterator

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from sandbox.consignment.envelope import FORMAT
from sandbox.errors import ConsignmentError
from sandbox.statements import canonical_json

CHUNK_BYTES = 1 << 20
TAG_BYTES = 16
MAX_FILE_BYTES = (257 << 20) + 257 * TAG_BYTES  # the largest recording that is taken, with what is said of it


def encrypt_file(key: bytes, consignment: str, file: int, plain: bytes) -> Iterator[bytes]:
    """The chunks of one file, in order."""
    cipher, view = AESGCM(key), memoryview(plain)
    count = max(1, -(-len(plain) // CHUNK_BYTES))
    for chunk in range(count):
        last = chunk == count - 1
        part = view[chunk * CHUNK_BYTES : (chunk + 1) * CHUNK_BYTES]
        yield cipher.encrypt(_nonce(file, chunk, last), part, _aad(consignment, file, chunk, last))


def decrypt_file(key: bytes, consignment: str, file: int, sealed: bytes) -> bytes:
    """The plaintext of one file, in memory.

    Raises:
        ConsignmentError: a chunk is altered, missing, of another place, file or consignment.
    """
    cipher, view, found = AESGCM(key), memoryview(sealed), bytearray()
    size = CHUNK_BYTES + TAG_BYTES
    count = max(1, -(-len(sealed) // size))
    for chunk in range(count):
        last = chunk == count - 1
        part = view[chunk * size : (chunk + 1) * size]
        try:
            found += cipher.decrypt(_nonce(file, chunk, last), part, _aad(consignment, file, chunk, last))
        except InvalidTag:
            raise ConsignmentError(
                f"file {file} of {consignment} does not authenticate", code="consignment.forged"
            ) from None
    return bytes(found)


def _nonce(file: int, chunk: int, last: bool) -> bytes:
    return file.to_bytes(4, "big") + bytes(3) + chunk.to_bytes(4, "big") + bytes([last])


def _aad(consignment: str, file: int, chunk: int, last: bool) -> bytes:
    return canonical_json([FORMAT, consignment, file, chunk, last])
