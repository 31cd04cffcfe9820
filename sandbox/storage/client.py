"""The client that speaks to an object store: fsspec's S3 file system, with one key and our own patience."""

from __future__ import annotations

from typing import Any

import s3fs

from sandbox.storage.credential import StorageKey
from sandbox.storage.settings import Location

PARTS_AT_ONCE = 4
CONNECTIONS = 32


def connect(location: Location, key: StorageKey) -> Any:
    """A file system that knows this key and no other: not the environment's, a profile's or a machine's."""
    system = s3fs.S3FileSystem(
        key=key.id,
        secret=key.secret,
        endpoint_url=location.endpoint,
        client_kwargs={"region_name": location.region, **({"verify": location.ca} if location.ca else {})},
        config_kwargs={
            "connect_timeout": min(location.timeout_s, 10),
            "read_timeout": location.timeout_s,
            "retries": {"total_max_attempts": 1},
            "max_pool_connections": CONNECTIONS,
            "signature_version": "s3v4",
        },
        use_listings_cache=False,
        skip_instance_cache=True,
        max_concurrency=PARTS_AT_ONCE,
    )
    system.retries = 1
    return system
