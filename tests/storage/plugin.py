"""One real S3 server for the session, started when the first test wants it."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.fakes.s3 import S3


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3]:
    from tests.fakes.s3 import s3  # sessions that want no server have not all of its libraries

    with s3() as found:
        yield found


@pytest.fixture
def objects(s3_server: S3) -> Iterator[S3]:
    """The server behind a network in which all goes well, until the test says otherwise."""
    yield s3_server
    s3_server.network.coming.clear()
    s3_server.relay.delay_s = 0.0


@pytest.fixture
def prefix() -> str:
    """Where in the bucket this test's objects lie."""
    return f"voices/{secrets.token_hex(4)}"
