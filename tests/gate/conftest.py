"""A founded house, copied for each test; doors that look often, so that tests need not wait."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

from sandbox.bench.postgres import Cluster
from sandbox.gate.database.store import Store
from sandbox.gate.gate import Gate
from sandbox.gate.incidents import kill
from sandbox.gate.runs import conversation, watch
from sandbox.gate.subjects import withdrawal
from sandbox.isolation import doors
from sandbox.runs import RunState
from tests.fakes.postgres import fresh
from tests.gate import scripts
from tests.gate.founding import copied, found
from tests.gate.world import World, admit, muted_power_cuts, reaches, short_folder

BOTH = "both_databases"
DATABASES = SQLITE, POSTGRES = ("sqlite", "postgresql")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", f"{BOTH}: each test runs on SQLite and on a real PostgreSQL")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if metafunc.definition.get_closest_marker(BOTH) and "database" in metafunc.fixturenames:
        metafunc.parametrize("database", DATABASES, indirect=True)


@pytest.fixture(scope="session")
def founded() -> Iterator[World]:
    with short_folder() as state:
        yield found(state)


@pytest.fixture(scope="session")
def founded_on_postgres(postgres: Cluster) -> Iterator[World]:
    """Founded anew: what stands in the database stands there in PostgreSQL's own way."""
    with short_folder() as state:
        yield found(state, fresh(postgres))


@pytest.fixture
def database(request: pytest.FixtureRequest) -> str:
    """Which database this test's installation stands on."""
    return str(getattr(request, "param", SQLITE))


@pytest.fixture
def founding(request: pytest.FixtureRequest, database: str) -> tuple[World, str]:
    """What this test's installation is a copy of, and its database's address (empty: a file of its own)."""
    if database == SQLITE:
        return request.getfixturevalue("founded"), ""
    world: World = request.getfixturevalue("founded_on_postgres")
    return world, fresh(request.getfixturevalue("postgres"), str(make_url(world.database).database))


@pytest.fixture
def world(founding: tuple[World, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """An installation of this test's own. What waits a second for MLflow waits longer: a busy machine is no fault."""
    for where, name, seconds in (
        (doors, "ACCEPT_S", 0.05),
        (conversation, "POLL_S", 0.04),
        (watch, "LOOK_S", 0.02),
        (watch, "TELL_S", 0.05),
        (kill, "SHOWN_S", 20.0),
        (withdrawal, "TELL_S", 20.0),
    ):
        monkeypatch.setattr(where, name, seconds)
    with short_folder() as state, muted_power_cuts():
        world = copied(founding[0], state, founding[1])
        yield world
        world.close()


@pytest.fixture
def store(founding: tuple[World, str], tmp_path: Path) -> Iterator[Store]:
    """A database that holds nothing of an installation but what its founding left."""
    store = Store(founding[1] or f"sqlite:///{tmp_path / 'gate.db'}")
    yield store
    store.close()


@pytest.fixture
def gate(world: World) -> Gate:
    return world.gate()


@pytest.fixture
def live(world: World, gate: Gate) -> str:
    """A run that waits in training."""
    world.script = scripts.waits
    run = admit(gate)
    gate.supervision.begin(run)
    reaches(gate, run, RunState.TRAINING)
    return run
