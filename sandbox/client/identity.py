"""Who is asking: the person's short-lived Vault login, kept 0600, renewed into identity tokens as needed.

The file lies in the runtime directory (a tmpfs that ends with the session), never below the state. An identity
token says only who; what the person may do is decided from the signed people register.
"""

from __future__ import annotations

import base64
import json
import os
import stat
import time
from collections.abc import Callable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any, Protocol

from sandbox.client.address import Address, Public
from sandbox.errors import IdentityInvalid, SandboxError

_RENEW_BEFORE_S = 30.0


class Bearer(Protocol):
    """What a service is shown: ``token()`` returns an identity token that is still valid for some seconds."""

    def token(self) -> str: ...


class Login:
    """The login of this Unix user at one installation."""

    def __init__(self, state: Path, path: Path, *, clock: Callable[[], float] = time.time) -> None:
        self.state = state
        self.path = path
        self._clock = clock
        self._identity = ""
        self._until = 0.0

    @classmethod
    def at(cls, state: Path, environ: Mapping[str, str] | None = None) -> Login:
        """The login for ``state``, in ``$XDG_RUNTIME_DIR`` (else a private directory of the Unix user)."""
        place = sha256(str(state.resolve()).encode()).hexdigest()[:12]
        return cls(
            state,
            _runtime(os.environ if environ is None else environ) / f"{place}.login",
        )

    def save(self, vault_token: str) -> None:
        """Keep a fresh Vault token; readable by this Unix user alone from its first byte on."""
        _private(self.path.parent)
        new = self.path.with_suffix(".new")
        new.unlink(missing_ok=True)
        with open(
            os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600),
            "w",
        ) as file:
            file.write(vault_token)
        new.replace(self.path)
        self._identity, self._until = "", 0.0

    def vault_token(self) -> str:
        """Raises IdentityInvalid when nobody is logged in, or the file is not this Unix user's alone."""
        try:
            with open(os.open(self.path, os.O_RDONLY | os.O_NOFOLLOW)) as file:
                found = os.fstat(file.fileno())
                if found.st_uid != os.getuid() or stat.S_IMODE(found.st_mode) & 0o077:
                    raise IdentityInvalid(
                        f"{self.path} is not yours alone",
                        mend="delete it, then sandbox login",
                    )
                return file.read().strip()
        except OSError:
            raise IdentityInvalid(
                "nobody is logged in", code="identity.none", mend="sandbox login NAME"
            ) from None

    def forget(self) -> None:
        self.path.unlink(missing_ok=True)
        self._identity, self._until = "", 0.0

    def token(self) -> str:
        """An identity token with at least half a minute to live. Raises IdentityInvalid when the login ended."""
        if self._clock() < self._until - _RENEW_BEFORE_S:
            return self._identity
        from sandbox.vault import (
            people,
        )  # lazily: `--help` and a refused login need no Vault library

        public = Public.read(self.state)
        try:
            fresh: str = people.identity_token(
                public.vault_addr, Address.of(self.state).vault_ca, self.vault_token()
            )
        except IdentityInvalid:
            raise
        except SandboxError as fault:
            if fault.exit_code == 5:
                raise
            raise IdentityInvalid(
                "the login has ended",
                code="identity.expired",
                mend="sandbox login NAME",
            ) from None
        self._identity, self._until = fresh, expiry(fresh)
        return fresh


def expiry(token: str) -> float:
    """Unix time at which an identity token ends; 0 when it does not say. Read, not verified: the service verifies."""
    return float(claims(token).get("exp") or 0)


def claims(token: str) -> dict[str, Any]:
    """What an identity token says, unverified: only for showing the person who they are."""
    try:
        body = token.split(".")[1]
        found = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    except (IndexError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _runtime(environ: Mapping[str, str]) -> Path:
    if given := environ.get("XDG_RUNTIME_DIR"):
        return Path(given) / "voice-sandbox"
    session = Path(f"/run/user/{os.getuid()}")
    if session.is_dir():
        return session / "voice-sandbox"
    if os.getuid() == 0:
        return Path("/run/voice-sandbox-login")
    return Path(f"/tmp/voice-sandbox-{os.getuid()}")  # noqa: S108 - its owner and mode are checked before use


def _private(directory: Path) -> None:
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = directory.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise IdentityInvalid(
            f"{directory} belongs to somebody else",
            mend="set XDG_RUNTIME_DIR to a directory of yours",
        )
    directory.chmod(0o700)
