"""The narrow gap to MLflow's own pages: reads pass by name, everything else is refused."""

from __future__ import annotations

import pytest

from sandbox.gate.console.mlflow_proxy import allowed

API = "/mlflow/ajax-api/2.0/mlflow"

PASSES = [
    ("GET", "/mlflow"),
    ("GET", "/mlflow/"),
    ("GET", "/mlflow/static-files/static/js/main.1a2b.js"),
    ("GET", "/mlflow/version"),
    ("GET", f"{API}/experiments/get"),
    ("GET", f"{API}/runs/get"),
    ("GET", f"{API}/metrics/get-history-bulk-interval"),
    ("GET", f"{API}/registered-models/search"),
    ("GET", f"{API}/model-versions/get"),
    ("GET", "/mlflow/ajax-api/3.0/mlflow/logged-models/m-1a2b"),
    ("POST", f"{API}/runs/search"),
    ("POST", f"{API}/experiments/search"),
    ("POST", "/mlflow/api/3.0/mlflow/traces/search"),
]
REFUSED = [
    ("POST", f"{API}/runs/create"),
    ("POST", f"{API}/runs/update"),
    ("POST", f"{API}/runs/set-tag"),
    ("POST", f"{API}/runs/delete"),
    ("POST", f"{API}/runs/log-metric"),
    ("POST", f"{API}/experiments/create"),
    ("POST", f"{API}/registered-models/alias"),
    ("POST", f"{API}/model-versions/search"),
    ("POST", f"{API}/metrics/get-history"),
    ("POST", "/mlflow/"),
    ("PUT", f"{API}/runs/search"),
    ("PATCH", f"{API}/model-versions/update"),
    ("DELETE", f"{API}/runs/get"),
    ("HEAD", f"{API}/runs/get"),
    ("OPTIONS", "/mlflow/"),
    ("GET", f"{API}/artifacts/list"),
    ("GET", "/mlflow/get-artifact"),
    ("GET", "/mlflow/api/2.0/mlflow-artifacts/artifacts"),
    ("GET", "/mlflow/model-versions/get-artifact"),
    ("POST", "/mlflow/graphql"),
    ("GET", "/mlflow/graphql"),
    ("POST", "/mlflow/ajax-api/3.0/jobs"),
    ("GET", "/mlflow/ajax-api/3.0/jobs/search"),
    ("POST", "/mlflow/gateway/chat/invocations"),
    ("GET", "/mlflow/ajax-api/2.0/mlflow/gateway-proxy"),
    ("POST", "/mlflow/ajax-api/2.0/mlflow/gateway-proxy"),
    ("GET", f"{API}/runs/get/../delete"),
    ("GET", "/mlflow/static-files/../../etc/passwd"),
    ("GET", "/mlflow/static-files//etc"),
    ("GET", "/mlflow/static-files/%2e%2e/x"),
    ("GET", f"{API}/runs/get\n"),
    ("GET", f"{API}/runs/get?x"),
    ("GET", "/v1/runs"),
    ("GET", "/mlflowx"),
]


@pytest.mark.parametrize(("method", "path"), PASSES)
def test_reading_passes(method, path):
    assert allowed(method, path)


@pytest.mark.parametrize(("method", "path"), REFUSED)
def test_everything_else_is_refused(method, path):
    assert not allowed(method, path)
