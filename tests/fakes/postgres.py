"""A real PostgreSQL for tests: one server for the session, a database for each test. Never skipped."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

from sandbox.bench.postgres import Cluster, cluster

_NUMBERS = itertools.count(1)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Cluster]:
    with cluster(durable=False) as running:
        yield running


def fresh(running: Cluster, template: str = "template0") -> str:
    """The address of a database that nobody else has: empty, or a copy."""
    return running.create(f"gate_{next(_NUMBERS)}", template)
