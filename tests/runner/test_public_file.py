"""A published file on its way to the trainer: checked against the grant, said to be what it is, opened by nobody."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from sandbox.errors import StatementError
from sandbox.runner import unlock as unlocking
from sandbox.runs import JSON, PYTORCH, Input, Order, Trust
from tests.fakes.grants import grant as some_grant


class NoVault:
    """A session that nobody asks for anything: no artifact leaves, and no input is sealed."""

    def close(self) -> None: ...


@pytest.mark.parametrize(("name", "media_type"), [("file", PYTORCH), ("config", JSON)])
def test_it_is_handed_over_as_it_was_granted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, media_type: str
) -> None:
    monkeypatch.setattr(unlocking.Session, "open", lambda *_: NoVault())
    (tmp_path / name).write_bytes(b"published")
    given = Input(name, hashlib.sha256(b"published").hexdigest(), "", "")
    grant = replace(some_grant(), dataset=None, artifacts=(), inputs=(given,))
    order, trust = Order(b"", None, {}, {}), Trust("", (), ())
    found = unlocking.unlock(grant, order, trust, inputs=str(tmp_path)).inputs[name]
    assert (found.plain(), found.media_type) == (b"published", media_type)
    (tmp_path / name).write_bytes(b"Published")
    with pytest.raises(StatementError) as said:
        unlocking.unlock(grant, order, trust, inputs=str(tmp_path))
    assert said.value.code == "input.digest"
