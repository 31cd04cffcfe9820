"""What the operator set for backups (``configs/backup.yaml``): how long a snapshot of Vault may live."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field

from sandbox.errors import Usage
from sandbox.policy.documents import Model, read
from sandbox.policy.fields import Whole


class BackupFile(Model):
    snapshot_days: Annotated[Whole, Field(ge=1, le=366)]


def snapshot_days(path: Path) -> int:
    """Raises Usage, with the line of a fault; a bound that is not written is none."""
    try:
        data = path.read_bytes()
    except OSError:
        raise Usage(f"{path} cannot be read", code="backup.config", mend="sandbox up installs it") from None
    return read(data, BackupFile, "configs/backup.yaml").snapshot_days
