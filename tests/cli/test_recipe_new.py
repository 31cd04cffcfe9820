"""A recipe of one's own: a copy whose card has its name, and nothing else differs; nothing is ever overwritten."""

from __future__ import annotations

from pathlib import Path

import pytest

from sandbox.cli.recipe_files import files
from sandbox.cli.recipe_new import make
from sandbox.errors import Usage
from sandbox.policy.recipe import read_card

ROOT = Path(__file__).parents[2]
TEMPLATES = sorted(path.parent.name for path in (ROOT / "recipes").glob("*/recipe.yaml"))


def template(folder: Path, name: str) -> Path:
    made = folder / "recipes" / name
    made.mkdir(parents=True)
    for path, body in files(ROOT / "recipes" / name).items():
        (made / path).write_bytes(body)
    return made


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_new_recipe_is_the_old_one_under_its_own_name(tmp_path: Path, name: str) -> None:
    old = template(tmp_path, name)
    new = make("mine", old)
    assert new == old.parent / "mine" and read_card(files(new)).name == "mine"
    assert (new / "recipe.py").read_bytes() == (old / "recipe.py").read_bytes()
    before, after = ((f / "recipe.yaml").read_text().splitlines() for f in (old, new))
    assert [pair for pair in zip(before, after, strict=True) if pair[0] != pair[1]] == [
        (f"name: {name}", "name: mine")
    ]


@pytest.mark.parametrize("name", ["../mine", "Mine", "", "a/b", "-x", "a" * 49])
def test_a_name_that_is_none_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(Usage) as refused:
        make(name, template(tmp_path, "probe"))
    assert refused.value.code == "recipe.name"


def test_what_is_there_is_never_overwritten(tmp_path: Path) -> None:
    old = template(tmp_path, "probe")
    make("mine", old)
    (old.parent / "mine" / "recipe.py").write_text("# changed\n")
    with pytest.raises(Usage) as refused:
        make("mine", old)
    assert refused.value.code == "recipe.taken"
    assert (old.parent / "mine" / "recipe.py").read_text() == "# changed\n"
