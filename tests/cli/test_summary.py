"""A noun's help says in a line what each verb does: a cut-off example tells a newcomer nothing."""

from __future__ import annotations

import click
import pytest

from sandbox.cli.main import GROUPS, app
from sandbox.cli.summary import sentence
from tests.cli.conftest import Sandbox

NOUNS = [name for _, names in GROUPS for name in names]

TEXTS = {
    "\b\nsandbox data list\n": None,
    "\b\nsandbox data list\n\nWhat is sealed. More of it.": "What is sealed.",
    "\b\nsandbox a\n\nAt once: Vault refuses\nthis voice; so does the gate.": "At once: Vault refuses this voice.",
    "Only prose": "Only prose",
    "": None,
}


@pytest.mark.parametrize(("text", "expected"), TEXTS.items())
def test_the_first_sentence_after_the_example(text: str, expected: str | None) -> None:
    assert sentence(text) == expected


@pytest.mark.parametrize("noun", NOUNS)
def test_every_verb_says_what_it_does(noun: str) -> None:
    context = click.Context(app)
    found = app.get_command(context, noun)
    verbs = found.commands if isinstance(found, click.Group) else {}
    assert [name for name, verb in verbs.items() if not verb.short_help or "sandbox " in verb.short_help[:8]] == []


def test_a_noun_alone_shows_its_help(sandbox: Sandbox) -> None:
    said = sandbox("runs")
    assert said.code == 2 and "Usage: sandbox runs" in said.err and "input.invalid" not in said.err


def test_what_cannot_be_understood_is_told_like_every_other_fault(sandbox: Sandbox) -> None:
    said = sandbox("data", "seal", "/no/such/folder", "--dry-run")
    assert said.code == 2 and "Usage:" not in said.err
    first, second = said.err.splitlines()
    assert first.endswith("(input.invalid)") and "/no/such/folder" in first
    assert second.strip().endswith("sandbox data seal --help")
