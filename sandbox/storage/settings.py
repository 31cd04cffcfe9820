"""What the operator set in ``configs/storage.yaml``: where sealed datasets lie. Nothing of it is secret."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from sandbox.errors import Usage
from sandbox.policy.documents import Model, read
from sandbox.policy.fields import Size, Span, Text, Whole

FILE = "configs/storage.yaml"
LOCAL = "local"
_BUCKET = re.compile(
    r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])((?:/[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}){1,8})/?"
)
_LOOPBACK = ("127.0.0.1", "::1", "localhost")


def _root(value: str) -> str:
    if value != LOCAL and not _BUCKET.fullmatch(value):
        raise ValueError("write local, or s3://BUCKET/PREFIX in plain letters")
    return value


def _endpoint(value: str) -> str:
    url = urlsplit(value)
    if (
        url.scheme not in ("http", "https")
        or not re.fullmatch(r"[A-Za-z0-9.:\[\]-]+", url.netloc)  # nobody's name or password
        or not url.hostname
        or url.port == 0  # raises where it is none
        or url.query
        or url.fragment
    ):
        raise ValueError("write an address like https://s3.example.org")
    if url.scheme == "http" and url.hostname not in _LOOPBACK:
        raise ValueError("an object store beyond this machine is spoken to by https")
    return value


class StorageFile(Model):
    """``configs/storage.yaml``."""

    sealed: Annotated[Text, AfterValidator(_root)] = LOCAL
    endpoint: Annotated[Text, AfterValidator(_endpoint)] | None = None
    region: Text | None = None
    ca: Text | None = None
    attempts: Annotated[Whole, Field(ge=1, le=20)] = 6
    timeout: Annotated[Span, Field(ge=1, le=600)] = 30
    cache_max: Size = 200 << 30

    @model_validator(mode="after")
    def _fits(self) -> StorageFile:
        if self.sealed == LOCAL and (self.endpoint or self.region or self.ca):
            raise ValueError("endpoint, region and ca are for a bucket, but sealed is local")
        if self.sealed != LOCAL and not self.region:
            raise ValueError(
                "a bucket needs its region (an S3-compatible store's own word for it, or us-east-1)"
            )
        return self


@dataclass(frozen=True)
class Location:
    """A bucket, the prefix below which datasets lie (no slash at either end), and how patiently it is asked."""

    bucket: str
    prefix: str
    region: str
    endpoint: str | None = None  # None: Amazon's own for the region
    ca: str | None = None
    attempts: int = 6
    timeout_s: int = 30


@dataclass(frozen=True)
class Storage:
    """``location`` is None where datasets lie in the state directory, as they do unless somebody chose otherwise."""

    location: Location | None = None
    cache_bytes: int = 200 << 30


def load(app: Path) -> Storage:
    """What ``app/configs/storage.yaml`` says. Raises Usage with the line of a fault, or when it is missing."""
    path = app / FILE
    try:
        data = path.read_bytes()
    except OSError:
        raise Usage(f"{path} cannot be read", mend="sandbox up installs it") from None
    return parse(data)


def parse(data: bytes) -> Storage:
    """Raises Usage, as :func:`load`."""
    file = read(data, StorageFile, FILE)
    found = _BUCKET.fullmatch(file.sealed)
    if found is None:
        return Storage(None, file.cache_max)
    location = Location(
        bucket=found[1],
        prefix=found[2].strip("/"),
        region=file.region or "",
        endpoint=file.endpoint,
        ca=file.ca,
        attempts=file.attempts,
        timeout_s=file.timeout,
    )
    return Storage(location, file.cache_max)
