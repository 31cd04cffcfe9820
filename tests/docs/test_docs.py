"""What the documentation names exists: commands with their options, files, links."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from sandbox.cli.main import app
from tests.architecture.house import ROOT

PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "SECURITY.md",
    *sorted((ROOT / "docs").rglob("*.md")),
]
COMMAND = re.compile(
    r"(?:^|`|\$ )sandbox ((?:[a-z-]+)(?: [^`#\n\\]*(?:\\\n[^`#\n\\]*)*)?)", flags=re.MULTILINE
)


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


def commands(page: Path) -> list[list[str]]:
    return [found.replace("\\\n", " ").split() for found in COMMAND.findall(page.read_text())]


def fault(words: list[str]) -> str | None:
    """Why this is no command of ours, or None."""
    place: click.Command = app
    path = []
    options: set[str] = {"--help", *(name for entry in app.params for name in entry.opts)}
    while words and isinstance(place, click.Group) and not words[0].startswith("-"):
        name, *words = words
        path.append(name)
        inner = place.get_command(click.Context(place), name)
        if inner is None:
            return f"no command: sandbox {' '.join(path)}"
        place = inner
        options |= {name for entry in place.params for name in [*entry.opts, *entry.secondary_opts]}
    unknown = [word for word in words if word.startswith("--") and word.partition("=")[0] not in options]
    return f"sandbox {' '.join(path)} has no {unknown}" if unknown else None


@pytest.mark.parametrize("page", PAGES, ids=relative)
def test_every_command_on_a_page_exists(page: Path) -> None:
    assert [found for words in commands(page) if (found := fault(words))] == []


@pytest.mark.parametrize("page", PAGES, ids=relative)
def test_every_link_on_a_page_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text())
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_every_make_target_on_a_page_exists() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    named = {
        name
        for page in PAGES
        for name in re.findall(r"^(?:.*`)?make ([a-z]+)", page.read_text(), flags=re.MULTILINE)
    }
    assert named <= targets


def test_the_check_itself_finds() -> None:
    assert fault(["fly", "away"])
    assert fault(["up", "--sideways"])
    assert fault(["down", "--purge"]) is None
