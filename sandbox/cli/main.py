"""``sandbox NOUN VERB``: the entry point. Nouns are imported when used, so ``--help`` stays fast."""

from __future__ import annotations

import importlib
import io
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from sandbox.cli.context import Context
from sandbox.cli.failure import explain
from sandbox.cli.summary import summarised
from sandbox.errors import SandboxError, Usage

#: Name on the command line -> (module:object, one line). The line stands here so that help imports nothing.
NOUNS: dict[str, tuple[str, str]] = {
    "up": ("sandbox.cli.up:up", "Start everything on this machine; may run twice."),
    "down": ("sandbox.cli.down:down", "Stop everything, in order; --purge removes it."),
    "status": ("sandbox.cli.status:status", "One screen: what runs, what is open, what expires."),
    "doctor": ("sandbox.cli.doctor:doctor", "What is missing or broken, and the mend."),
    "login": ("sandbox.cli.login:login", "Log in as a person."),
    "logout": ("sandbox.cli.login:logout", "Forget the login."),
    "whoami": ("sandbox.cli.whoami:whoami", "Who is logged in, with which roles, until when."),
    "run": ("sandbox.cli.run:run", "Ask for a run and watch it."),
    "runs": ("sandbox.cli.runs:runs", "Runs: list, show, watch, compare, again, stop, resume, kill."),
    "models": ("sandbox.cli.models:models", "Models: list, show the card of one."),
    "recipe": ("sandbox.cli.recipe:recipe", "Recipes: new, dry-run, submit, review, approve, revoke, list."),
    "image": ("sandbox.cli.image:image", "The runner image: review, approve, revoke, list."),
    "open": ("sandbox.cli.open:open_", "A one-time link to the pages."),
    "incident": ("sandbox.cli.incident:incident", "Stop what must stop, in seconds; notices, drill."),
    "alert": ("sandbox.cli.alert:alert", "What the gate raised by itself, and who has seen it."),
    "agreement": (
        "sandbox.cli.agreement:agreement",
        "Agreements: keygen, check, diff, sign, activate, status.",
    ),
    "data": ("sandbox.cli.data:data", "Datasets: pack, receive, seal, verify, correct, budgets."),
    "intake": ("sandbox.cli.intake:intake", "Consignments: list, show, review, accept, reject, quarantine."),
    "people": ("sandbox.cli.people:people", "Who is who, with which roles."),
    "access": ("sandbox.cli.access:access", "Who may use which dataset for what: ask, decide, review."),
    "consent": ("sandbox.cli.consent:consent", "Consents of data subjects."),
    "subject": ("sandbox.cli.subject:subject", "Everything held about one person, sealed for Party A."),
    "erase": ("sandbox.cli.erase:erase", "Forget a person: destroy the key, taint what came of it."),
    "backup": ("sandbox.cli.backup:backup", "Backups: make, restore, drill; the seal key apart."),
    "privacy": ("sandbox.cli.privacy:privacy", "Audit what epsilon claims, with canaries."),
    "policy": ("sandbox.cli.policy:policy", "Explain a decision; try a table of cases."),
    "audit": ("sandbox.cli.audit:audit", "Verify the evidence; follow a voice; compare with MLflow."),
    "demo": ("sandbox.demo.cli:demo", "The whole story, on real parts."),
}

GROUPS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("Work", ("login", "logout", "whoami", "run", "runs", "models", "recipe", "privacy", "open")),
    ("The reviewer", ("image",)),
    (
        "Party A and the data steward",
        ("agreement", "data", "intake", "people", "access", "consent", "subject", "erase"),
    ),
    ("The auditor", ("audit", "policy")),
    ("The operator", ("up", "down", "status", "doctor", "backup", "incident", "alert", "demo")),
)


class Lazy(click.Group):
    """A group whose commands are modules, imported only when called."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return [name for _, names in GROUPS for name in names if _exists(NOUNS[name][0])]

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        if name not in NOUNS:
            return None
        module, _, attribute = NOUNS[name][0].partition(":")
        if not _exists(NOUNS[name][0]):
            return None
        return summarised(getattr(importlib.import_module(module), attribute))

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        shown = set(self.list_commands(ctx))
        for title, names in GROUPS:
            if rows := [(name, NOUNS[name][1]) for name in names if name in shown]:
                with formatter.section(title):
                    formatter.write_dl(rows)


EXAMPLE = """\b
sandbox up
sandbox login eng.li
sandbox run configs/runs/digits.yaml
sandbox runs list

Trains speech models on another party's voices: sealed on disk, decrypted only inside an isolated container."""


@click.group(
    cls=Lazy, help=EXAMPLE, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110}
)
@click.option(
    "--state", type=click.Path(path_type=Path), help="The installation's directory, if not the usual one."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line instead of text; times in UTC.")
@click.version_option(package_name="voice-sandbox", message="%(prog)s %(version)s")
@click.pass_context
def app(ctx: click.Context, state: Path | None, as_json: bool) -> None:
    ctx.obj = Context.make(state, as_json, os.environ)


def main(argv: list[str] | None = None) -> int:
    """Runs one command. Every fault on purpose is one clear message and an exit code; never a traceback."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(
            stream, io.TextIOWrapper
        ):  # a sign that a terminal cannot show is no fault of the command
            stream.reconfigure(errors="replace")
    arguments = hoist(sys.argv[1:] if argv is None else argv)
    as_json = "--json" in arguments
    try:
        answer = app.main(arguments, prog_name="sandbox", standalone_mode=False)
    except SandboxError as fault:
        return explain(fault, as_json=as_json)
    except click.exceptions.Abort:
        click.echo("interrupted", err=True)
        return 130
    except KeyboardInterrupt:
        click.echo("interrupted", err=True)
        return 130
    except click.ClickException as fault:
        _usage(fault, as_json)
        return 2
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as fault:
        if os.environ.get("VOICE_SANDBOX_TRACEBACK"):
            raise
        # Its class and place, not its text: a foreign message could quote a request.
        where = _where(fault)
        return explain(
            SandboxError(f"unexpected {type(fault).__name__} at {where}", mend="report it"), as_json=as_json
        )
    return answer if isinstance(answer, int) else 0


def hoist(arguments: Sequence[str]) -> list[str]:
    """``--json`` and ``--state`` may stand anywhere; they are moved to the front, where the root command takes them."""
    front: list[str] = []
    rest: list[str] = []
    words = iter(arguments)
    for word in words:
        if word == "--":
            rest += [word, *words]
        elif word == "--json" or word.startswith("--state="):
            front.append(word)
        elif word == "--state":
            front += [word, *([value] if (value := next(words, None)) is not None else [])]
        else:
            rest.append(word)
    return front + rest


def _usage(fault: click.ClickException, as_json: bool) -> None:
    if isinstance(fault, click.exceptions.NoArgsIsHelpError) and not as_json:
        fault.show()
        return
    path = fault.ctx.command_path if isinstance(fault, click.UsageError) and fault.ctx else "sandbox"
    explain(Usage(fault.format_message(), mend=f"{path} --help"), as_json=as_json)


def _where(fault: BaseException) -> str:
    step = fault.__traceback__
    place = ""
    while step is not None:
        file = step.tb_frame.f_code.co_filename
        if f"{os.sep}sandbox{os.sep}" in file:
            place = f"{file.rpartition(f'{os.sep}sandbox{os.sep}')[2]}:{step.tb_lineno}"
        step = step.tb_next
    return place or "an unknown place"


def _exists(target: str) -> bool:
    from importlib.util import find_spec

    try:
        return find_spec(target.partition(":")[0]) is not None
    except ModuleNotFoundError:
        return False


def entry() -> Any:
    """For ``python -m sandbox.cli.main`` and the console script."""
    sys.exit(main())


if __name__ == "__main__":
    entry()
