"""One clear message for every fault: what, why, what next. Refusals list all their reasons."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import Any

import click

from sandbox.errors import Refused, SandboxError


def explain(fault: SandboxError, *, as_json: bool = False) -> int:
    """Say it on standard error (with ``as_json`` as one object on standard output); returns the exit code."""
    if as_json:
        click.echo(json.dumps({"error": as_dict(fault)}, ensure_ascii=False, sort_keys=True))
    elif isinstance(fault, Refused) and fault.reasons:
        _reasons(fault)
    else:
        from sandbox.cli.show import marks

        click.echo(f"{marks(sys.stderr).bad} {fault.message}   ({fault.code})", err=True)
        if fault.mend:
            click.echo(f"  {marks(sys.stderr).arrow} {fault.mend}", err=True)
    return fault.exit_code


def as_dict(fault: SandboxError) -> dict[str, Any]:
    """The fault as data, for ``--json``."""
    found: dict[str, Any] = {"code": fault.code, "message": fault.message, "mend": fault.mend}
    if isinstance(fault, Refused):
        found["reasons"] = [asdict(reason) for reason in fault.reasons]
        found["decision"] = fault.decision
    return found


def _reasons(fault: Refused) -> None:
    """The table of EXPERIENCE: code, whom it is about and why, the mend."""
    from rich.table import Table
    from rich.text import Text

    from sandbox.cli.show import console, marks

    screen, mark = console(sys.stderr), marks(sys.stderr)
    count = len(fault.reasons)
    said = f"refused for {count} reason{'s' if count > 1 else ''}; nothing was decrypted"
    if fault.code != Refused.code:  # no run was asked for, and the message says what was not done
        said = f"{fault.message}   ({fault.code})"
    screen.print(Text.assemble((mark.bad, "red"), f" {said}"), soft_wrap=True)
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0), pad_edge=False)
    for reason in fault.reasons:
        about = f"{reason.about}: {reason.why}" if reason.about else reason.why
        mend = f"{mark.arrow} {reason.mend}" if reason.mend else ""
        table.add_row(Text(f"  {reason.code}", style="bold"), Text(about), Text(mend, style="dim"))
    screen.print(table)
    if fault.mend:
        screen.print(Text(f"  {mark.arrow} {fault.mend}"), soft_wrap=True)
    if fault.decision:
        screen.print(
            f"  decision {fault.decision} is in the log {mark.dot} every fact it used: "
            f"sandbox policy explain {fault.decision}",
            highlight=False,
            soft_wrap=True,
        )
