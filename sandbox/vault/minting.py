"""The gate's hand: mint wrapped credentials under ``run-*``, prove them dead, sign, read heads.

It holds no subject key and can have artifact keys made only inside a wrap that it never opens (its policy makes
wrapping compulsory and it has no default policy to re-wrap with).
"""

from __future__ import annotations

import base64
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from sandbox.errors import CredentialError, NotFound
from sandbox.records import artifact_context, check_id
from sandbox.statements import PublicKey, Signer
from sandbox.vault import heads, second_factor
from sandbox.vault.answers import part
from sandbox.vault.heads import Kept
from sandbox.vault.http import Vault
from sandbox.vault.login import log_in
from sandbox.vault.run_policy import run_policy_name
from sandbox.vault.signing import TransitSigner, public_keys

USES_BESIDES_KEYS = 3
"""What a run's ``num_uses`` needs besides one use a key: revoke-self, and two refused calls that count too."""
LEAVING_S = 2.0
"""How long Vault may take to take a token away; meanwhile a lookup may be refused as if a policy did (measured)."""


@dataclass(frozen=True)
class Wrap:
    """A wrapping token, openable once within ``ttl_s`` seconds of ``created_at`` (Vault's ISO time)."""

    token: str = field(repr=False)
    accessor: str
    creation_path: str
    created_at: str
    ttl_s: int


class RunWrap(NamedTuple):
    """A run's wrapped token, and the accessor of the token inside (alive = unopened or in use).

    When a wrap expires unopened, the token inside outlives it until its own ``ttl_s`` (measured): revoke it.
    """

    wrap: Wrap
    wrapped_accessor: str


class Minting:
    """What the gate may do at Vault. Thread-safe. Raises CredentialError where the policy refuses."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault

    @classmethod
    def without_login(cls, addr: str, ca: Path) -> Minting:
        """A hand that holds nothing, as after a kill of everything: Vault refuses whatever it asks."""
        return cls(Vault.at(addr, ca))

    @classmethod
    def login(cls, addr: str, ca: Path, wrap_file: Path) -> Minting:
        """Log in by the wrapped secret-id that the supervisor left in ``wrap_file``, and delete the file.

        Raises CredentialUsed when somebody else opened the wrap first.
        """
        vault = Vault.at(addr, ca)
        log_in(vault, "gate", wrap_file)
        return cls(vault)

    # Credentials of runs

    def mint_run(
        self, dataset: str, purpose: str, run: str, grant: str, *, uses: int, ttl_s: int, wrap_ttl_s: int
    ) -> RunWrap:
        """A service token under ``run-<dataset>-<purpose>``, wrapped; ``uses`` counts keys + USES_BESIDES_KEYS."""
        answer = self._vault.write(
            "auth/token/create/run",
            {
                "policies": [run_policy_name(dataset, purpose)],
                "ttl": f"{ttl_s}s",
                "explicit_max_ttl": f"{ttl_s}s",
                "num_uses": uses,
                "renewable": False,
                "no_default_policy": True,
                "meta": {"run_id": check_id("run", run), "grant_id": check_id("grant", grant)},
            },
            wrap_ttl_s=wrap_ttl_s,
        )
        info = part(answer, "wrap_info")
        return RunWrap(_wrap(info), str(info["wrapped_accessor"]))

    def new_artifact_key(self, agreement: str, run: str, path: str, wrap_ttl_s: int) -> Wrap:
        """A new data key for one artifact, made inside a wrap."""
        mint = f"derivatives/datakey/plaintext/{check_id('agreement', agreement)}"
        return self._wrapped(mint, run, path, {}, wrap_ttl_s)

    def open_artifact_key(self, agreement: str, run: str, path: str, wrapped: str, wrap_ttl_s: int) -> Wrap:
        """The data key of an existing artifact, put inside a wrap. ``run`` and ``path`` are those that made it."""
        again = f"derivatives/decrypt/{check_id('agreement', agreement)}"
        return self._wrapped(again, run, path, {"ciphertext": wrapped}, wrap_ttl_s)

    def _wrapped(self, path: str, run: str, artifact: str, body: Mapping[str, str], wrap_ttl_s: int) -> Wrap:
        context = base64.b64encode(artifact_context(check_id("run", run), artifact)).decode()
        answer = self._vault.write(path, {**body, "context": context}, wrap_ttl_s=wrap_ttl_s)
        return _wrap(part(answer, "wrap_info"))

    def is_dead(self, accessor: str) -> bool:
        """Proof by lookup: Vault knows no credential by this accessor. Whatever else goes wrong raises.

        A refusal proves nothing; it is asked again for as long as the token may just be on its way out.
        """
        end = time.monotonic() + LEAVING_S
        while True:
            try:
                self._vault.write("auth/token/lookup-accessor", {"accessor": accessor})
            except NotFound as fault:
                if fault.code == "vault.accessor_unknown":
                    return True
                raise
            except CredentialError as fault:
                if fault.code != "credential.denied" or time.monotonic() > end:
                    raise
                time.sleep(0.01)
            else:
                return False

    def revoke(self, accessor: str) -> None:
        """Kill a credential, opened or not; a dead one stays dead. Prove it with :meth:`is_dead`."""
        try:
            self._vault.write("auth/token/revoke-accessor", {"accessor": accessor})
        except NotFound:
            return

    def wrap_lives(self, wrap_token: str) -> bool:
        """Whether a wrapping token could still be opened; looking it up consumes nothing."""
        try:
            self._vault.write("sys/wrapping/lookup", {"token": wrap_token})
        except CredentialError as fault:
            if fault.code == "credential.used":
                return False
            raise
        return True

    # The gate's own life

    def renew(self) -> int:
        """Renew the gate's own token; its new life in seconds."""
        return int(part(self._vault.write("auth/token/renew-self"), "auth")["lease_duration"])

    def revoke_self(self) -> None:
        """End the gate's own token and with it every live run token (an incident's last step)."""
        self._vault.write("auth/token/revoke-self")

    def close(self) -> None:
        self._vault.close()

    # Evidence and facts

    def audit_hash(self, text: str) -> str:
        """``text`` as Vault's audit file shows it (HMAC): joins an accessor to its audit lines."""
        return str(part(self._vault.write("sys/audit-hash/main", {"input": text}), "data")["hash"])

    def signer(self) -> Signer:
        return TransitSigner(self._vault, "gate")

    def public_keys(self, hand: str) -> tuple[PublicKey, ...]:
        """Every version of ``gate``'s or ``custodian``'s signing key, newest first."""
        return public_keys(self._vault, hand)

    def dataset_head(self, dataset: str) -> Kept:
        return heads.read(self._vault, f"datasets/{check_id('dataset', dataset)}")

    def register_heads(self) -> Kept:
        return heads.read(self._vault, "registers")

    def read_budget(self, name: str) -> Kept:
        return heads.read(self._vault, f"budgets/{name}")

    def write_budget(self, name: str, value: Mapping[str, Any], cas: int) -> int:
        """The next check-and-set number. Raises Conflict when somebody else wrote first."""
        return heads.write(self._vault, f"budgets/{name}", value, cas)

    def has_factor(self, name: str) -> bool:
        """See :func:`sandbox.vault.second_factor.has_factor`."""
        return second_factor.has_factor(self._vault, name)

    def code_fits(self, name: str, code: str) -> bool:
        """See :func:`sandbox.vault.second_factor.code_fits`."""
        return second_factor.code_fits(self._vault, name, code)

    def jwks(self) -> dict[str, Any]:
        """The public keys of identity tokens (RFC 7517)."""
        return self._vault.read("identity/oidc/.well-known/keys")

    def identity_active(self, token: str) -> bool:
        """Whether Vault itself still stands behind an identity token: false for a disabled person."""
        return self._vault.write("identity/oidc/introspect", {"token": token}).get("active") is True


def _wrap(info: Mapping[str, Any]) -> Wrap:
    return Wrap(
        token=str(info["token"]),
        accessor=str(info["accessor"]),
        creation_path=str(info["creation_path"]),
        created_at=str(info["creation_time"]),
        ttl_s=int(info["ttl"]),
    )
