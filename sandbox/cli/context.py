"""What every command gets: where the installation is, and how its answer is to look."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.console import Console

    from sandbox.client import Service
    from sandbox.deployment.places import Places


@dataclass(frozen=True)
class Context:
    """The state directory and the manner of output. ``from_click`` gets it inside a command."""

    state: Path
    as_json: bool
    environ: Mapping[str, str]

    @classmethod
    def make(cls, state: Path | None, as_json: bool, environ: Mapping[str, str]) -> Context:
        import os

        from sandbox.deployment.places import default_state

        where = state or default_state(os.getuid(), environ)
        return cls(where.absolute(), as_json, environ)

    @cached_property
    def places(self) -> Places:
        """Raises Usage when the state path cannot hold an installation."""
        from sandbox.deployment.places import Places

        return Places.at(self.state)

    def gate(self) -> Service:
        from sandbox import client

        return client.gate(self.state)

    def custodian(self) -> Service:
        from sandbox import client

        return client.custodian(self.state)

    @cached_property
    def console(self) -> Console:
        """Standard output for people: colours only on a terminal (rich keeps NO_COLOR), width respected."""
        from sandbox.cli.show import console

        return console(sys.stdout)

    def emit(self, value: Mapping[str, Any]) -> None:
        """One JSON object on its line."""
        click.echo(json.dumps(value, ensure_ascii=False, sort_keys=True))


def current() -> Context:
    """The context of the running command, with ``--json`` wherever it was given."""
    found = click.get_current_context().find_object(Context)
    if found is None:
        raise RuntimeError("no command is running")
    return found
