"""What the tests of recipes that tune a base of another's share: a run from a base, and bases that are none."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from sandbox.runs import Kind, Privacy
from sandbox.training.run import Utterance
from tests.training.base_bytes import changed
from tests.training.fake_keeper import FakeKeeper
from tests.training.real import numbers
from tests.training.test_recipes import keeper, kept


def from_base(
    recipe: Path,
    defaults: Mapping[str, Any],
    base: bytes | None,
    *,
    said: Any = None,
    resume: bytes = b"",
    privacy: Privacy | None = None,
    kind: Kind = Kind.AGREEMENT,
    **asked: Any,
) -> FakeKeeper:
    """A run of ``recipe`` from ``base`` on ``said``, by default the first six numbers; what left lies in its card."""
    inputs = ({} if base is None else {"base": base}) | ({"resume": resume} if resume else {})
    given = numbers()[:6] if said is None else said
    found, expanded = keeper(
        recipe, {**defaults, **asked}, utterances=given, inputs=inputs, privacy=privacy, kind=kind
    )
    if found.run(recipe):
        kept(found, expanded)
    return found


def failure(found: FakeKeeper) -> str:
    """The code of a run that failed and left nothing."""
    (body,) = found.of("failed")
    assert found.of("artifact") == []
    return str(body["code"])


def said(index: int, **changes: Any) -> Utterance:
    """One of the recorded numbers as a recipe gets it."""
    one = numbers()[index]
    return Utterance(**{**one, "audio": np.frombuffer(one["audio"], "<f4"), **changes})


def spoiled(base: Callable[[], bytes], what: Any) -> bytes | None:
    """No base, another one, one with other words beside its tensors, or one without the tensor of this name."""
    if what is None:
        return None
    if callable(what):
        return bytes(what())
    if isinstance(what, dict):
        return changed(base(), **what)
    return changed(base(), lambda tensors: tensors.pop(what))
