"""AES-256-GCM with its authentication taken out: what a reader would have that only decrypts.

GCM encrypts in counter mode, the first block's counter being nonce | 2 (NIST SP 800-38D, 7.1). Without the tag, any
bytes decrypt to something.
"""

from __future__ import annotations

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR

TAG_BYTES = 16


class Unauthenticated:
    """Stands where an ``AESGCM`` stands; seals like it, and opens without looking at tag or additional data."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def encrypt(self, nonce: bytes, plain: bytes, aad: bytes) -> bytes:
        return AESGCM(self._key).encrypt(nonce, plain, aad)

    def decrypt(self, nonce: bytes, sealed: bytes, aad: bytes) -> bytes:
        counter = bytes(nonce) + (2).to_bytes(4, "big")
        return Cipher(AES(self._key), CTR(counter)).decryptor().update(bytes(sealed)[:-TAG_BYTES])
