"""The one place that imports mlflow: when first used, quietly, with its telemetry off, its faults translated."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sandbox.errors import Unreachable

if TYPE_CHECKING:
    from mlflow import MlflowClient

#: What the embedded server and our own process must never do (LINEAGE.md). Read by mlflow when it is imported.
SWITCHES = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_AI_GATEWAY": "false",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "DO_NOT_TRACK": "true",
}


def connect(uri: str) -> MlflowClient:
    """A client for ``uri`` (a database, or an https server). Takes a second; the first on a database migrates it.

    Raises:
        Unreachable: no such database or server.
    """
    os.environ.update(SWITCHES)
    # mlflow's own tables still use a loader that SQLAlchemy 2.1 calls outdated; nothing of ours does.
    warnings.filterwarnings("ignore", message="The ``noload`` loader strategy is deprecated")
    from mlflow import MlflowClient

    for name in ("mlflow.store.db.utils", "alembic.runtime.migration"):
        logging.getLogger(name).setLevel(logging.WARNING)
    with translated():
        return MlflowClient(tracking_uri=uri, registry_uri=uri)


@contextmanager
def translated() -> Iterator[None]:
    """mlflow's, SQLAlchemy's and requests' faults as Unreachable; their text could quote a token, so only the class."""
    from mlflow.exceptions import MlflowException
    from requests import RequestException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except MlflowException as fault:
        raise Unreachable(
            f"MLflow refused: {fault.error_code}", code="tracking.refused", mend="sandbox doctor"
        ) from None
    except (SQLAlchemyError, RequestException, OSError) as fault:
        raise Unreachable(
            f"MLflow does not answer: {type(fault).__name__}",
            code="tracking.unreachable",
            mend="sandbox doctor",
        ) from None
