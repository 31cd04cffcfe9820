"""Keys through the Vault door, and the end of the credential.

1. Each wrap's creation path is looked up, then it is opened; one that somebody opened before us stops the run.
2. The signed manifest and everything that it pins are verified; nothing unsigned is parsed.
3. Every subject's data key of the grant is unwrapped, over one TLS connection end to end to Vault.
4. The token revokes itself. From here on no live credential of this run exists; the gate proves it.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from sandbox.errors import CredentialError
from sandbox.runner.feed import PublicSource, SealedSource, Source
from sandbox.runner.grant import check_input, check_public_set
from sandbox.runs import DATA, DOORS, INPUTS, PUBLIC_FILES, VAULT_SOCKET, Grant, Input, Kind, Order, Trust
from sandbox.sealing.artifacts import open_artifact, read_header
from sandbox.sealing.reader import SealedDataset
from sandbox.vault.session import ArtifactKey, Session

NEW_KEY = "derivatives/datakey/plaintext/"
OPEN_KEY = "derivatives/decrypt/"


@dataclass(frozen=True)
class SealedInput:
    """A sealed artifact that this run may open, and its data key."""

    sealed: bytes = field(repr=False)
    key: bytes = field(repr=False)
    media_type: str

    def plain(self) -> bytes:
        """Raises SealBroken unless every chunk authenticates."""
        return open_artifact(self.sealed, self.key)


@dataclass(frozen=True)
class PublicFile:
    """A file that anybody may read, as it was granted: nothing opens it but the recipe."""

    data: bytes = field(repr=False)
    media_type: str

    def plain(self) -> bytes:
        return self.data


@dataclass(frozen=True)
class Unlocked:
    """What the keeper holds after its credential is dead."""

    source: Source | None
    artifacts: Mapping[str, ArtifactKey] = field(repr=False)
    inputs: Mapping[str, SealedInput | PublicFile] = field(repr=False)
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
    session = Session.open(
        Path(doors, VAULT_SOCKET), trust.vault_ca, None if order.unlock is None else order.unlock.token
    )
    with closing(session):
        artifacts = {
            path: session.unwrap_artifact_key(wrap.token, NEW_KEY + grant.agreement)
            for path, wrap in order.artifacts.items()
        }
        if not all(key.wrapped for key in artifacts.values()):
            raise CredentialError("an artifact key came without its wrap", code="credential.shape")
        opened = {item.path: _open_input(session, order, grant, item, Path(inputs)) for item in grant.inputs}
        source = _open_dataset(session, grant, trust, Path(data))
        if order.unlock is not None:
            session.revoke_self()
    return Unlocked(source, artifacts, opened, len(grant.subjects) if source else 0)


def _open_dataset(session: Session, grant: Grant, trust: Trust, folder: Path) -> SealedSource | None:
    if grant.dataset is None or grant.manifest_digest is None:
        return None
    dataset = SealedDataset.open(
        folder,
        dataset=grant.dataset,
        manifest_digest=grant.manifest_digest,
        keys=trust.custodian,
        keyring=session,
        subjects=grant.subjects,
    )
    return SealedSource(dataset)


def _open_input(
    session: Session, order: Order, grant: Grant, item: Input, folder: Path
) -> SealedInput | PublicFile:
    sealed = (folder / item.path).read_bytes()
    check_input(sealed, item.digest)
    if item.public:
        return PublicFile(sealed, PUBLIC_FILES[item.path])
    header = read_header(sealed)
    if (header.run, header.path) != (item.run, item.origin):
        raise CredentialError("an input is not the artifact that its grant names", code="input.foreign")
    opened = session.unwrap_artifact_key(order.inputs[item.path].token, OPEN_KEY + grant.agreement)
    return SealedInput(sealed, opened.key, header.media_type)
