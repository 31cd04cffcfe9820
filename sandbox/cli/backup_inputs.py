"""What a restore and a drill are given: the list of erasures, the seal key's copy, ports that nobody holds."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import TYPE_CHECKING

from sandbox.cli.context import Context
from sandbox.errors import Usage

if TYPE_CHECKING:
    from sandbox.deployment.backup.keys import SealKey
    from sandbox.deployment.settings import Settings


def listed(path: Path | None) -> tuple[str, ...]:
    """Signed entries of erasures: of `erase`'s list, or out of an evidence pack. Raises Usage when it is neither."""
    if path is None:
        return ()
    try:
        text = path.read_text()
        first = json.loads(text.partition("\n")[0] or "{}")
        if "payload" in first:
            return tuple(line for line in text.splitlines() if line.strip())
        packed = json.loads(text)["evidence"]["erasures"] if text.strip() else []
        return tuple(base64.b64decode(one).decode() for one in packed)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise Usage(
            f"{path} is no list of erasures",
            code="restore.list",
            mend="sandbox erase --list -o FILE makes one",
        ) from None


def kept_key(here: Context, given: Path | None) -> SealKey:
    from sandbox.deployment.backup.keys import SealKey, noted

    if given is not None:
        return SealKey.read(given)
    copies = [Path(str(copy["path"])) for copy in noted(here.places, "keys")]
    for path in reversed(copies):
        if path.exists():
            return SealKey.read(path)
    raise Usage(
        "no copy of the seal key is to be found",
        code="backup.no_key",
        mend="sandbox backup key FILE, or --seal-key FILE",
    )


def free_ports(kept: Settings) -> Settings:
    """Ports that nobody holds now: the usual ones, or any."""
    from sandbox.deployment.settings import chosen, taken

    return chosen(
        kept,
        vault_port=0 if taken(kept.vault_port) or taken(kept.cluster_port) else None,
        web_port=0 if taken(kept.web_port) else None,
    )
