"""A party's own signing key: ed25519, in a file that only its owner can read. It never leaves the party's desk."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sandbox.errors import Usage
from sandbox.statements import Ed25519Signer, PublicKey

KEY_BYTES_MAX = 4096


def make_key(name: Path) -> tuple[Path, Path]:
    """Write ``NAME.key`` (PKCS #8 PEM, 0600) and ``NAME.pub`` (``ed25519:BASE64``). Raises Usage when one is there."""
    base = name.with_suffix("") if name.suffix in (".key", ".pub") else name
    private, public = base.with_name(f"{base.name}.key"), base.with_name(f"{base.name}.pub")
    for path in (private, public):
        if path.exists():
            raise Usage(f"{path} is already there", code="key.exists", mend="choose another name")
    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    _write(private, pem, 0o600)
    try:
        _write(public, f"{Ed25519Signer(key).public.text}\n".encode(), 0o644)
    except Usage:
        private.unlink()  # the one just made, and no other
        raise
    return private, public


def read_key(path: Path) -> Ed25519Signer:
    """Raises Usage when it is no ed25519 key, or when others than its owner could have read it."""
    try:
        with open(os.open(path, os.O_RDONLY | os.O_CLOEXEC), "rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            pem = file.read(KEY_BYTES_MAX)
    except OSError as fault:
        raise Usage(f"{path}: {os.strerror(fault.errno or 0)}", code="key.unreadable") from None
    if mode & 0o077:
        raise Usage(
            f"{path} can be read by others (mode {mode:o})", code="key.exposed", mend=f"chmod 600 {path}"
        )
    try:
        key = serialization.load_pem_private_key(pem, password=None)
    except (ValueError, TypeError):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise Usage(
            f"{path} is no ed25519 private key", code="key.invalid", mend="sandbox agreement keygen NAME"
        )
    return Ed25519Signer(key)


def read_public(path: Path) -> PublicKey:
    """Raises Usage when the file is not there; StatementError when it holds no public key."""
    try:
        text = path.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError):
        raise Usage(f"{path} is no readable public key file", code="key.unreadable") from None
    return PublicKey.from_text(text)


def _write(path: Path, data: bytes, mode: int) -> None:
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
        with open(handle, "wb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(data)
    except OSError as fault:
        raise Usage(
            f"{path}: {os.strerror(fault.errno or 0)}", code="key.unwritable", mend="name another folder"
        ) from None
