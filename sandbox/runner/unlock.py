"""Keys through the Vault door, and the end of the credential.

1. Each wrap's creation path is looked up, then it is opened; one that somebody opened before us stops the run.
2. The signed manifest and everything that it pins are verified; nothing unsigned is parsed.
3. Every subject's data key of the grant is unwrapped, one request each, over one TLS connection end to end to Vault.
4. The token revokes itself. From here on no live credential of this run exists; the gate proves it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sandbox.errors import CredentialError
from sandbox.runner.feed import PublicSource, SealedSource, Source
from sandbox.runner.grant import check_input, check_public_set
from sandbox.runner.outgoing import ArtifactKey
from sandbox.runs import DATA, DOORS, INPUTS, VAULT_SOCKET, Grant, Kind, Order, Trust
from sandbox.sealing.artifacts import open_artifact, read_header
from sandbox.sealing.reader import SealedDataset
from sandbox.vault.session import Session

NEW_KEY = "derivatives/datakey/plaintext/"
OPEN_KEY = "derivatives/decrypt/"
RUN_TOKEN = "auth/token/create/run"  # noqa: S105 - a path, no secret


@dataclass(frozen=True)
class SealedInput:
    """A sealed artifact that this run may open, and its data key."""

    sealed: bytes = field(repr=False)
    key: bytes = field(repr=False)
    media_type: str

    def plain(self) -> bytes:
        return open_artifact(self.sealed, self.key)


@dataclass(frozen=True)
class Unlocked:
    """What the keeper holds after its credential is dead."""

    source: Source | None
    artifacts: Mapping[str, ArtifactKey] = field(repr=False)
    inputs: Mapping[str, SealedInput] = field(repr=False)
    subjects: int


def unlock(
    grant: Grant, order: Order, trust: Trust, *, doors: str = DOORS, data: str = DATA, inputs: str = INPUTS
) -> Unlocked:
    """Open everything that the grant names, then let the credential die.

    Raises:
        CredentialUsed: a wrap had been opened before.
        CredentialError: a wrap comes from another path, or Vault refuses.
        KeyBarred, SubjectErased: a subject may not be read, or cannot any more.
        SealError: the sealed data is not what was signed.
    """
    if grant.kind is Kind.DRY:
        check_public_set(grant, data)
        return Unlocked(PublicSource(Path(data)), {}, {}, 0)
    with Session(f"{doors}/{VAULT_SOCKET}", trust.vault_ca) as session:
        artifacts: dict[str, ArtifactKey] = {}
        for path, wrap in order.artifacts.items():
            key, wrapped = session.open_key(wrap.token, expect=NEW_KEY + grant.agreement)
            if wrapped is None:
                raise CredentialError("an artifact key came without its wrap", code="credential.shape")
            artifacts[path] = ArtifactKey(key, wrapped)
        opened = {
            item.path: _open_input(
                session, order.inputs[item.path].token, grant, item.path, item.digest, inputs
            )
            for item in grant.inputs
        }
        source: Source | None = None
        if order.unlock is not None and grant.dataset is not None and grant.manifest_digest is not None:
            session.login(order.unlock.token, expect=RUN_TOKEN)
            dataset = SealedDataset.open(
                Path(data),
                dataset=grant.dataset,
                manifest_digest=grant.manifest_digest,
                keys=trust.custodian,
                keyring=session.keyring(grant.dataset),
                subjects=grant.subjects,
            )
            session.revoke_self()
            source = SealedSource(dataset)
        return Unlocked(source, artifacts, opened, len(grant.subjects) if source else 0)


def _open_input(
    session: Session, token: str, grant: Grant, path: str, digest: str, folder: str
) -> SealedInput:
    sealed = Path(folder, path).read_bytes()
    check_input(sealed, digest)
    header = read_header(sealed)
    key, _ = session.open_key(token, expect=OPEN_KEY + grant.agreement)
    return SealedInput(sealed, key, header.media_type)
