from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from sandbox.tracking.reconcile import SignedRun
from sandbox.tracking.view import Tracking
from tests.tracking.runs import EXPECTED


def show(tracking: Tracking, signed: SignedRun) -> str:
    """What the gate does for one run, from beginning to end."""
    place = tracking.open_run(signed.grant, signed.grant_digest)
    if signed.model is not None:
        tracking.register_model(place, signed.grant, signed.grant_digest, signed.model)
    if signed.outcome is not None:
        tracking.settle_run(place, signed.outcome, signed.settled)
    return place


@pytest.fixture(scope="session")
def empty(tmp_path_factory) -> Path:
    """A migrated database (two seconds), to be copied."""
    folder = tmp_path_factory.mktemp("mlflow")
    Tracking(f"sqlite:///{folder}/mlflow.db", str(folder / "artifacts")).client.search_experiments()
    return folder / "mlflow.db"


@pytest.fixture
def tracking(empty, tmp_path) -> Tracking:
    shutil.copy(empty, tmp_path / "mlflow.db")
    return Tracking(
        f"sqlite:///{tmp_path}/mlflow.db", str(tmp_path / "artifacts"), clock=lambda: 1_795_000_000.0
    )


@pytest.fixture
def shown(tracking) -> Tracking:
    """Two runs and a model, as signed."""
    for signed in EXPECTED:
        show(tracking, signed)
    return tracking
