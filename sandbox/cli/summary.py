"""What stands beside a verb in its noun's help: the first sentence of what it says of itself, not its example."""

from __future__ import annotations

import re

import click


def summarised(command: click.Command) -> click.Command:
    """The command; its verbs, if it has any, with a line each."""
    if isinstance(command, click.Group):
        for verb in command.commands.values():
            verb.short_help = verb.short_help or sentence(verb.help or "")
            summarised(verb)
    return command


def sentence(text: str) -> str | None:
    """The first sentence after the examples (paragraphs marked ``\\b``); None where there is none."""
    paragraphs = [part for part in re.split(r"\n\s*\n", text) if part.strip() and "\b" not in part]
    if not paragraphs:
        return None
    first = " ".join(paragraphs[0].split())
    end = re.search(r"(?<![A-Z])[.;](?= |$)", first)
    return first[: end.start()] + "." if end else first
