"""What one person can use up, and for how long a browser session knows its roles."""

from __future__ import annotations

import base64

import pytest

from sandbox.errors import TooMany
from sandbox.gate.console.sessions import Sessions
from sandbox.gate.deciding import recipes


def test_a_session_has_the_roles_of_now_and_ends_with_the_last_of_them() -> None:
    held = {"aud.wang": ("auditor",)}
    sessions = Sessions(standing=lambda name: held.get(name, ()))
    cookie = sessions.enter(sessions.ticket("aud.wang", ("auditor",)))
    assert sessions.visitor(cookie).roles == ("auditor",)
    held["aud.wang"] = ("ml_engineer",)
    assert sessions.visitor(cookie).roles == ("ml_engineer",)
    del held["aud.wang"]
    assert sessions.visitor(cookie) is None


def test_one_person_fills_no_disk_with_recipes(gate, monkeypatch) -> None:
    monkeypatch.setattr(recipes, "A_DAY", 2)
    known = gate.house.recipes.files(next(iter(gate.house.recipes.listing()))["digest"])

    def body(number: int) -> dict[str, dict[str, str]]:
        files = {**known, f"extra{number}.py": b"# %d" % number}
        return {"files": {path: base64.b64encode(data).decode() for path, data in files.items()}}

    for number in range(2):
        gate.house.recipes.submit(body(number), "eng.some")
    with pytest.raises(TooMany) as caught:
        gate.house.recipes.submit(body(2), "eng.some")
    assert caught.value.code == "recipe.too_many"
    gate.house.recipes.submit(body(1), "eng.some")  # the same bytes again take no room
    gate.house.recipes.submit(body(3), "eng.other")
