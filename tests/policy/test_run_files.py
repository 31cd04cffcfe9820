"""Every shipped run file could be granted: its card knows what it asks for, and the shipped limits allow it."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from sandbox.policy.documents import read
from sandbox.policy.recipe import expand, read_card
from sandbox.policy.request import RunFile
from sandbox.runs import BASE

ROOT = Path(__file__).parents[2]
FILES = sorted(
    p for p in (ROOT / "configs" / "runs").glob("*.yaml") if p.stem != "clone"
)  # clone is to be refused


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_run_file_asks_for_what_its_card_and_the_shipped_limits_allow(path: Path) -> None:
    asked = read(path.read_bytes(), RunFile, path.name)
    folder = ROOT / "recipes" / asked.recipe
    card = read_card({name: (folder / name).read_bytes() for name in ("recipe.yaml", "recipe.py")})
    assert asked.purpose in card.purposes and set(asked.inputs) <= set(card.inputs)
    assert BASE not in asked.inputs or asked.purpose == "optimise"
    assert (asked.dataset is None) == (card.dataset == "none")
    expand(card, asked.parameters)
    limits = yaml.safe_load((ROOT / "configs" / "gate.yaml").read_text())["limits"]
    hours = int(limits["run_time_max"].removesuffix("h"))
    assert asked.compute.time_limit <= hours * 3600
