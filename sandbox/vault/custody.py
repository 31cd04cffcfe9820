"""The custodian's hand: make, wrap under, bar and destroy data subjects' keys; move heads; write run policies; people.

It never holds a voice key's decrypt: only ``index.*``. It admits and starts nothing.
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from sandbox.errors import Conflict, CredentialError, EvidenceMismatch, NotFound
from sandbox.records import INDEX_KEY, check_id
from sandbox.statements import PublicKey, Signer
from sandbox.vault import enrolment, heads, second_factor
from sandbox.vault.answers import part
from sandbox.vault.heads import Kept
from sandbox.vault.http import Vault
from sandbox.vault.keys import context, data_key_of, key_name
from sandbox.vault.login import log_in
from sandbox.vault.run_policy import run_policy, run_policy_name
from sandbox.vault.signing import TransitSigner, public_keys

_PINNED = {"type": "aes256-gcm96", "derived": True}
_MUST_BE = {
    **_PINNED,
    "exportable": False,
    "allow_plaintext_backup": False,
    "deletion_allowed": False,
    "convergent_encryption": False,
    "soft_deleted": False,
}

_INTAKE_KEY_BYTES = 32  # an X25519 private key is any 32 random bytes (RFC 7748, 5)


class Custody:
    """What the custodian may do at Vault. Thread-safe. Raises CredentialError where the policy refuses."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault

    @classmethod
    def login(cls, addr: str, ca: Path, wrap_file: Path) -> Custody:
        """As :meth:`sandbox.vault.minting.Minting.login`."""
        vault = Vault.at(addr, ca)
        log_in(vault, "custodian", wrap_file)
        return cls(vault)

    # Keys of data subjects

    def create_subject_key(self, dataset: str, subject: str) -> None:
        """Make the key, or accept the one there. Repeatable.

        Vault answers a create of an existing key with that key's settings, whatever was asked: they are checked.

        Raises:
            EvidenceMismatch: a key of that name exists with settings that protect less.
        """
        self._create(f"subjects/keys/{key_name(dataset, subject)}")

    def create_derivatives_key(self, agreement: str) -> None:
        """The key under which everything derived under an agreement is sealed. Repeatable; raises likewise."""
        self._create(f"derivatives/keys/{check_id('agreement', agreement)}")

    def _create(self, path: str) -> None:
        shown = part(self._vault.write(path, _PINNED), "data")
        wrong = sorted(name for name, value in _MUST_BE.items() if shown.get(name, False) != value)
        if wrong:
            raise EvidenceMismatch(
                f"{path} exists with other settings ({', '.join(wrong)}): nothing was wrapped under it",
                code="key.squatted",
            )

    def wrap_data_key(self, dataset: str, subject: str, key: bytes) -> str:
        """``vault:v1:…``. Raises CredentialError when the subject's key does not exist: none is made in passing."""
        body = {"plaintext": base64.b64encode(key).decode(), "context": context(dataset)}
        answer = self._vault.write(f"subjects/encrypt/{key_name(dataset, subject)}", body)
        return str(part(answer, "data")["ciphertext"])

    def unwrap_index_key(self, dataset: str, wrapped: str) -> bytes:
        """The 32 bytes of a dataset's index key; the only key the custodian may unwrap."""
        body = {"ciphertext": wrapped, "context": context(dataset)}
        return data_key_of(self._vault.write(f"subjects/decrypt/{key_name(dataset, INDEX_KEY)}", body))

    def rotate_key(self, dataset: str, subject: str) -> None:
        """Add a version to a subject's key; what is wrapped from here on is wrapped under it. Raises NotFound."""
        self._vault.write(f"subjects/keys/{key_name(dataset, subject)}/rotate")

    def rewrap_data_key(self, dataset: str, subject: str, wrapped: str) -> str:
        """The same data key under the newest version, without its being shown. Raises NotFound, SealBroken."""
        body = {"ciphertext": wrapped, "context": context(dataset)}
        answer = self._vault.write(f"subjects/rewrap/{key_name(dataset, subject)}", body)
        return str(part(answer, "data")["ciphertext"])

    def retire_wraps(self, dataset: str, subject: str, below: int) -> None:
        """From here nothing opens that was wrapped under a version lower than ``below``. Raises NotFound."""
        path = f"subjects/keys/{key_name(dataset, subject)}/config"
        self._vault.write(path, {"min_decryption_version": below})

    def destroy_key(self, dataset: str, subject: str) -> None:
        """Destroy a subject's key for good. Repeatable: a key that is gone stays gone."""
        path = f"subjects/keys/{key_name(dataset, subject)}"
        try:
            self._vault.write(f"{path}/config", {"deletion_allowed": True})
            self._vault.delete(path)
        except NotFound:
            return

    def prove_destroyed(self, dataset: str, subject: str, wrapped: str) -> None:
        """Vault must not know the key any more: a stored wrap cannot be rewrapped.

        Raises EvidenceMismatch when the key answers, is only soft-deleted, or the refusal means anything else.
        """
        body = {"ciphertext": wrapped, "context": context(dataset)}
        said = "the wrap still opens"
        try:
            self._vault.write(f"subjects/rewrap/{key_name(dataset, subject)}", body)
        except NotFound as fault:
            if fault.code == "vault.key_missing":
                return
            said = fault.code
        except CredentialError as fault:
            said = fault.code
        raise EvidenceMismatch(
            f"the key of {subject} in {dataset} is not destroyed ({said})", code="key.not_destroyed"
        )

    # Heads and policies

    def head(self, dataset: str) -> Kept:
        return heads.read(self._vault, f"datasets/{check_id('dataset', dataset)}")

    def set_head(self, dataset: str, value: Mapping[str, Any], cas: int) -> int:
        """The next check-and-set number. Raises Conflict when somebody else moved the head first."""
        return heads.write(self._vault, f"datasets/{check_id('dataset', dataset)}", value, cas)

    def register_heads(self) -> Kept:
        """Every register's head in one value, so that a reader sees all of them at one moment."""
        return heads.read(self._vault, "registers")

    def set_register_heads(self, value: Mapping[str, Any], cas: int) -> int:
        """As :meth:`set_head`."""
        return heads.write(self._vault, "registers", value, cas)

    def write_run_policy(self, dataset: str, purpose: str, barred: Iterable[str] = ()) -> None:
        """Let runs of this dataset and purpose unwrap every subject's key but the ``barred``."""
        path = f"sys/policies/acl/{run_policy_name(dataset, purpose)}"
        self._vault.write(path, {"policy": run_policy(dataset, barred)})

    def delete_run_policy(self, dataset: str, purpose: str) -> None:
        """From here no run of this dataset and purpose unwraps anything, live tokens included. Repeatable."""
        self._vault.delete(f"sys/policies/acl/{run_policy_name(dataset, purpose)}")

    # Consignments

    def intake_key(self) -> bytes:
        """The private half of the intake key: 32 bytes, made at the first call, kept nowhere but in Vault.

        Raises:
            EvidenceMismatch: what lies there is no such key; none is made in its place.
        """
        kept = heads.read(self._vault, "intake")
        if not kept.value:
            drawn = base64.b64encode(secrets.token_bytes(_INTAKE_KEY_BYTES)).decode()
            # Somebody else's first call came first: theirs is the key. The policy lets none be replaced.
            with suppress(Conflict, CredentialError):
                heads.write(self._vault, "intake", {"private": drawn}, kept.cas)
            kept = heads.read(self._vault, "intake")
        try:
            private = base64.b64decode(str(kept.value["private"]), validate=True)
        except (KeyError, ValueError):
            private = b""
        if len(private) != _INTAKE_KEY_BYTES:
            raise EvidenceMismatch("Vault's intake entry holds no key", code="key.unreadable")
        return private

    # People

    def add_person(self, name: str, password: str) -> None:
        """See :func:`sandbox.vault.enrolment.add_person`."""
        enrolment.add_person(self._vault, name, password)

    def disable_person(self, name: str) -> None:
        """See :func:`sandbox.vault.enrolment.disable_person`."""
        enrolment.disable_person(self._vault, name)

    def map_subject(self, name: str, subject: str) -> None:
        """See :func:`sandbox.vault.enrolment.map_subject`."""
        enrolment.map_subject(self._vault, name, subject)

    def has_factor(self, name: str) -> bool:
        """See :func:`sandbox.vault.second_factor.has_factor`."""
        return second_factor.has_factor(self._vault, name)

    def code_fits(self, name: str, code: str) -> bool:
        """See :func:`sandbox.vault.second_factor.code_fits`."""
        return second_factor.code_fits(self._vault, name, code)

    def draw_factor(self, name: str) -> str:
        """See :func:`sandbox.vault.second_factor.draw`."""
        return second_factor.draw(self._vault, name)

    def confirm_factor(self, name: str, address: str, code: str) -> bool:
        """See :func:`sandbox.vault.second_factor.confirm`."""
        return second_factor.confirm(self._vault, name, address, code)

    def drop_factor(self, name: str) -> None:
        """See :func:`sandbox.vault.second_factor.drop`."""
        second_factor.drop(self._vault, name)

    # Its own life, and evidence

    def signer(self) -> Signer:
        return TransitSigner(self._vault, "custodian")

    def public_keys(self, hand: str) -> tuple[PublicKey, ...]:
        """Every version of ``gate``'s or ``custodian``'s signing key, newest first."""
        return public_keys(self._vault, hand)

    def jwks(self) -> dict[str, Any]:
        """The public keys of identity tokens (RFC 7517)."""
        return self._vault.read("identity/oidc/.well-known/keys")

    def identity_active(self, token: str) -> bool:
        """Whether Vault itself still stands behind an identity token: false for a disabled person."""
        return self._vault.write("identity/oidc/introspect", {"token": token}).get("active") is True

    def renew(self) -> int:
        """Renew the custodian's own token; its new life in seconds."""
        return int(part(self._vault.write("auth/token/renew-self"), "auth")["lease_duration"])

    def revoke_self(self) -> None:
        """Log out."""
        self._vault.write("auth/token/revoke-self")

    def close(self) -> None:
        self._vault.close()
