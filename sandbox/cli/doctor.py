"""`sandbox doctor`."""

from __future__ import annotations

from dataclasses import asdict

import click

from sandbox.cli.context import current
from sandbox.cli.show import marks


@click.command()
def doctor() -> int:
    """\b
    sandbox doctor

    Looks at programs, engine, image, permissions, services, Vault's seal, what expires, disks and stray containers.
    Changes nothing. Exit code 5 when something must be mended.
    """
    from sandbox.deployment.doctor import examine

    here = current()
    findings = examine(here.places)
    bad = [finding for finding in findings if finding.level == "bad"]
    if here.as_json:
        for finding in findings:
            here.emit(asdict(finding))
        return 5 if bad else 0
    mark = marks(here.console.file)
    signs = {
        "ok": f"[green]{mark.good}[/green]",
        "note": f"[yellow]{mark.warn}[/yellow]",
        "bad": f"[red]{mark.bad}[/red]",
    }
    for finding in findings:
        here.console.print(f"{signs[finding.level]} {finding.check:<12} {finding.says}", soft_wrap=True)
        if finding.mend:
            here.console.print(f"  {'':<12} {mark.arrow} {finding.mend}", soft_wrap=True)
    here.console.print(f"{len(bad)} to mend" if bad else "nothing to mend")
    return 5 if bad else 0
