"""The description is generated, complete, and the same as the one that is kept in ``docs/api``."""

from __future__ import annotations

from pathlib import Path

import pytest

from sandbox.custodian import openapi as custodian_openapi
from sandbox.custodian.api import routes as custodian_routes
from sandbox.gate.routes import openapi as gate_openapi
from sandbox.gate.routes.api import routes as gate_routes
from sandbox.policy.entries import Role
from sandbox.service.bare import Bare
from sandbox.service.openapi import PATH, undescribed, written
from tests.api.services import Service
from tests.gate.world import ENGINEER
from tests.service.asgi import TestClient

ROOT = Path(__file__).parents[2]
BARE = Bare()
SERVICES = {
    "gate": (gate_openapi, gate_routes(BARE, BARE)),
    "custodian": (custodian_openapi, custodian_routes(BARE)),
}


@pytest.mark.parametrize("name", SERVICES)
def test_every_route_is_described_and_nothing_else_is(name):
    module, routes = SERVICES[name]
    assert undescribed(routes, module.DOCS) == set()


@pytest.mark.parametrize("name", SERVICES)
def test_the_kept_description_is_the_generated_one(name):
    module, routes = SERVICES[name]
    assert (ROOT / f"docs/api/{name}.json").read_text() == written(module.TITLE, routes, module.DOCS), (
        f"run: python -m sandbox.{name}.openapi > docs/api/{name}.json"
    )


@pytest.mark.parametrize("name", SERVICES)
def test_each_description_says_what_a_caller_needs(name):
    module, routes = SERVICES[name]
    for route in routes:
        doc = module.DOCS[route.method, route.path]
        assert doc.summary.endswith((".", "`", ")")) or doc.summary
        assert set(doc.who) <= set(Role.__args__)
        assert route.open or route.method != "POST" or doc.who, f"{route.path}: who may?"


def test_a_route_without_a_description_is_found():
    module, routes = SERVICES["gate"]
    assert undescribed([*routes[1:]], module.DOCS) == {(routes[0].method, routes[0].path)}


@pytest.mark.parametrize("name", SERVICES)
def test_it_is_served_to_whoever_has_an_identity(name, request):
    service: Service = request.getfixturevalue(f"{name}_api")
    client = TestClient(service.app)
    assert client.get(PATH).status_code == 401
    assert client.get(PATH, headers={"Authorization": f"Bearer {ENGINEER}"}).json() == service.document
