"""The keeper's hand: open a run's wrapped credentials through the Vault door, once, and give them back.

Order of use: :meth:`Session.open`, :meth:`Session.unwrap_data_key` for every subject of the grant,
:func:`unwrap_artifact_key` for every artifact and input, :meth:`Session.revoke_self`, :meth:`Session.close`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from sandbox.errors import (
    CredentialError,
    CredentialUsed,
    KeyBarred,
    NotFound,
    SandboxError,
    SubjectErased,
)
from sandbox.vault.answers import part, text
from sandbox.vault.http import Vault
from sandbox.vault.keys import context, data_key_of, key_name

RUN_TOKEN = "auth/token/create/run"  # noqa: S105 - a path, not a token


class ArtifactKey(NamedTuple):
    """A data key (32 bytes) and, for a new artifact, the wrap to store beside it (else empty)."""

    key: bytes
    wrapped: str

    def __repr__(self) -> str:
        return "ArtifactKey(…)"


class Session:
    """One run's conversation with Vault: one connection, one credential, no second chance."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault

    @classmethod
    def open(cls, door: Path, ca_pem: str, wrap_token: str | None, expect: str = RUN_TOKEN) -> Session:
        """Connect and, unless ``wrap_token`` is None (a run without a dataset), take the run's token out of its wrap.

        1. look the wrap up: its creation path must be ``expect``, or somebody re-wrapped it;
        2. unwrap it, which works once.

        Raises:
            CredentialUsed: it was opened before, or has expired. Stop; it is an incident unless it expired.
            CredentialError: it was created by another path than ``expect``.
            VaultUnreachable: no door, another certificate, or no answer in time.
        """
        return cls.over(Vault.through(door, ca_pem), wrap_token, expect)

    @classmethod
    def over(cls, vault: Vault, wrap_token: str | None, expect: str = RUN_TOKEN) -> Session:
        """:meth:`open` over a conversation that stands already; closes it when it raises."""
        session = cls(vault)
        try:
            if wrap_token is not None:
                answer = session._unwrap(wrap_token, expect)
                session._vault.use(text(answer, "auth", "client_token"))
        except SandboxError:
            session.close()
            raise
        return session

    def unwrap_data_key(self, dataset: str, subject: str, wrapped: str) -> bytes:
        """The data key (32 bytes) that ``wrapped`` holds; ``subject`` may be ``_index``.

        Raises:
            SubjectErased: the subject's key was destroyed.
            KeyBarred: the key exists, but this dataset and purpose may not use it, or it is being withdrawn.
            SealBroken: the wrap belongs to another key, dataset or a retired version.
            CredentialError: the run's token is dead or used up.
        """
        path = f"subjects/decrypt/{key_name(dataset, subject)}"
        try:
            answer = self._vault.write(path, {"ciphertext": wrapped, "context": context(dataset)})
        except NotFound:
            raise SubjectErased(f"{subject} of {dataset} was erased: its key is destroyed") from None
        except CredentialError as fault:
            if fault.code in ("credential.denied", "vault.key_soft_deleted"):
                raise KeyBarred(f"{subject} of {dataset} may not be used for this purpose") from None
            raise
        return data_key_of(answer)

    def unwrap_artifact_key(self, wrap_token: str, expect: str) -> ArtifactKey:
        """See :func:`unwrap_artifact_key`."""
        data = self._unwrap(wrap_token, expect)
        return ArtifactKey(data_key_of(data), str(part(data, "data").get("ciphertext", "")))

    def revoke_self(self) -> None:
        """Give the run's token back. What follows under it is refused."""
        self._vault.write("auth/token/revoke-self")
        self._vault.use(None)

    def close(self) -> None:
        self._vault.close()

    def _unwrap(self, wrap_token: str, expect: str) -> dict[str, Any]:
        token = self._vault.token
        try:
            self._vault.use(None)
            seen = text(
                self._vault.write("sys/wrapping/lookup", {"token": wrap_token}), "data", "creation_path"
            )
            if seen != expect:
                raise CredentialError(
                    f"a credential for {expect} was created by {seen!r}: not used", code="credential.foreign"
                )
            self._vault.use(wrap_token)
            return self._vault.write("sys/wrapping/unwrap")
        except CredentialError as fault:
            if fault.code == "credential.dead":  # a consumed wrap's own token is no longer a token at all
                raise CredentialUsed("the credential was opened before, or has expired") from None
            raise
        finally:
            self._vault.use(token)


def unwrap_artifact_key(session: Session, wrap_token: str, expect: str) -> ArtifactKey:
    """The data key behind an artifact's or an input's wrap; the run's own token stays in use.

    ``expect`` is ``derivatives/datakey/plaintext/<agreement>`` for a new artifact and
    ``derivatives/decrypt/<agreement>`` for an input. Raises as :meth:`Session.open`.
    """
    return session.unwrap_artifact_key(wrap_token, expect)
