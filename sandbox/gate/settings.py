"""What the operator set (``configs/gate.yaml``) and what ``up`` found out (``app/public.json``)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from sandbox.errors import Unreachable, Usage
from sandbox.gate.places import Places
from sandbox.policy.documents import Model, read
from sandbox.policy.fields import Size, Span, Text, Whole
from sandbox.policy.second_factor import IdentityFile
from sandbox.policy.serving import REQUESTS_PER_MINUTE, ListenFile, Rate

_read = lru_cache(maxsize=8)(read)  # the same bytes say the same, and every decision asks

Positive = Annotated[Whole, Field(ge=1)]


class WebFile(Model):
    port: Annotated[Whole, Field(ge=1, le=65535)] = 8300


class LimitsFile(Model):
    run_time_max: Span = 4 * 3600
    credential_ttl_s: Annotated[Whole, Field(ge=30, le=900)] = 300
    wrap_ttl_s: Annotated[Whole, Field(ge=10, le=120)] = 60
    reconnect_s: Annotated[Whole, Field(ge=5, le=600)] = 60
    live_runs_max: Positive = 2
    requests_per_minute: Rate = REQUESTS_PER_MINUTE
    base_max: Annotated[Size, Field(ge=1)] = 4 << 30


class GateFile(Model):
    """``configs/gate.yaml``."""

    region: Text
    web: WebFile = WebFile()
    limits: LimitsFile = LimitsFile()
    database: str = ""  # empty: SQLite in the state directory
    identity: IdentityFile = IdentityFile()
    listen: ListenFile = ListenFile()


class PublicFile(Model):
    """``configs/public.yaml``: the public speech of dry runs."""

    digest: str = ""
    source: str = ""
    licence: str = ""


@dataclass(frozen=True)
class Settings:
    """Everything the gate is told; nothing of it is secret."""

    region: str
    web_port: int
    run_time_max_s: int
    credential_ttl_s: int
    wrap_ttl_s: int
    reconnect_s: int
    live_runs_max: int
    public_digest: str
    vault_addr: str
    oidc_issuer: str
    oidc_client_id: str
    image_id: str
    engine: str
    image_inputs: Mapping[str, str] = field(default_factory=dict)  # file -> sha256: what it was made from
    image_installed_by: str = ""  # a Unix user
    totp_required: bool = True  # by whoever does what cannot be taken back
    base_max_bytes: int = 4 << 30  # of one published file


def load(places: Places) -> Settings:
    """Raises Usage with the line of a fault, Unreachable when ``up`` has not published yet."""
    file = _read(_bytes(places.app / "configs" / "gate.yaml"), GateFile, "configs/gate.yaml")
    public = _read(_bytes(places.app / "configs" / "public.yaml"), PublicFile, "configs/public.yaml")
    known = _published(places)
    return Settings(
        region=file.region,
        web_port=int(known.get("web_port") or file.web.port),
        run_time_max_s=file.limits.run_time_max,
        credential_ttl_s=file.limits.credential_ttl_s,
        wrap_ttl_s=file.limits.wrap_ttl_s,
        reconnect_s=file.limits.reconnect_s,
        live_runs_max=file.limits.live_runs_max,
        public_digest=public.digest,
        vault_addr=str(known.get("vault_addr", "")),
        oidc_issuer=str(known.get("oidc_issuer", "")),
        oidc_client_id=str(known.get("oidc_client_id", "")),
        image_id=str(known.get("image_id", "")),
        engine=str(known.get("engine", "podman")),
        image_inputs={str(name): str(digest) for name, digest in (known.get("image_inputs") or {}).items()},
        image_installed_by=str(known.get("image_installed_by", "")),
        totp_required=file.identity.totp == "required",
        base_max_bytes=file.limits.base_max,
    )


def database(places: Places) -> str:
    """Where the gate's tables are: as ``configs/gate.yaml`` says, else SQLite in the state."""
    file = _read(_bytes(places.app / "configs" / "gate.yaml"), GateFile, "configs/gate.yaml")
    return file.database or places.database


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        raise Usage(f"{path} cannot be read", mend="sandbox up installs it") from None


def _published(places: Places) -> dict[str, Any]:
    try:
        found = json.loads((places.app / "public.json").read_bytes())
    except (OSError, ValueError):
        raise Unreachable(f"{places.app / 'public.json'} is not there yet", mend="sandbox up") from None
    return dict(found)
