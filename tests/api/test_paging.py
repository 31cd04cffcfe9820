"""Every list is a page: bounded, followed to its end, and no cursor breaks it."""

from __future__ import annotations

import pytest

from sandbox.errors import Usage
from sandbox.service.paging import PAGE, limit_of, number_of, page
from tests.api.services import Service
from tests.api.test_openapi import SERVICES
from tests.fakes.studio import STEWARD
from tests.gate.world import OPERATOR
from tests.service.asgi import TestClient

LISTS = [
    pytest.param(name, path, id=f"{name} {path}")
    for name, (module, routes) in SERVICES.items()
    for method, path in sorted(module.DOCS)
    if "limit" in module.DOCS[method, path].query and "{" not in path
]


def test_a_list_is_followed_to_its_end():
    found, after = [], ""
    for _ in range(4):
        one = page(list(range(7)), {"limit": "2", **({"after": after} if after else {})})
        found.append(one["items"])
        after = one["next"]
        assert one["limit"] == 2
    assert found == [[0, 1], [2, 3], [4, 5], [6]] and after == ""
    assert page([1, 2], {"limit": "2"})["next"] == ""


@pytest.mark.parametrize("limit", ["0", "-1", "1.5", "x", "", str(PAGE + 1), "9" * 40, "²", "１"])
def test_a_limit_is_a_small_number(limit):
    with pytest.raises(Usage):
        limit_of({"limit": limit})


@pytest.mark.parametrize("after", ["-1", "x", "9" * 40, "1e3", "²", "--1"])
def test_a_cursor_is_what_a_page_gave(after):
    with pytest.raises(Usage):
        number_of({"after": after})


@pytest.mark.parametrize(("name", "path"), LISTS)
def test_every_list_is_bounded_and_goes_on(name, path, request):
    service: Service = request.getfixturevalue(f"{name}_api")
    client = TestClient(service.app)
    who = {"Authorization": f"Bearer {OPERATOR}"}
    first = client.get(path, params={"limit": "1"}, headers=who).json()
    assert set(first) >= {"items", "next", "limit"} and len(first["items"]) <= 1 and first["limit"] == 1
    if first["next"]:
        more = client.get(path, params={"limit": "1", "after": first["next"]}, headers=who).json()
        assert more["items"] and more["items"] != first["items"]
    assert client.get(path, params={"limit": "0"}, headers=who).json()["code"] == "input.invalid"


def test_a_list_of_several_pages_loses_nobody(custodian_api: Service):
    client = TestClient(custodian_api.app, headers={"Authorization": f"Bearer {STEWARD}"})
    whole = client.get("/v1/people").json()["items"]
    found, after = [], "0"
    while after:
        one = client.get("/v1/people", params={"limit": "2", "after": after}).json()
        found, after = found + one["items"], one["next"]
    assert found == whole and len(whole) > 4
