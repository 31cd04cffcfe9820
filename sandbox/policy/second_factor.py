"""Who must hold a second factor (``configs/gate.yaml``, ``identity``): read by gate and custodian alike."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from sandbox.errors import Usage
from sandbox.policy.documents import Model, fit, parse

NAME = "configs/gate.yaml"


class IdentityFile(Model):
    """``required``: nobody does what cannot be taken back without a code. ``enrolled``: asked of those who enrolled."""

    totp: Literal["required", "enrolled"] = "required"


def totp_required(path: Path) -> bool:
    """What ``gate.yaml`` at ``path`` says. Raises Usage, with the line of a fault; what is not said is required."""
    try:
        data = path.read_bytes()
    except OSError:
        raise Usage(f"{path} cannot be read", mend="sandbox up installs it") from None
    document = parse(data, NAME)
    said = "identity" in document.value
    return not said or fit(document, IdentityFile, ("identity",)).totp == "required"
