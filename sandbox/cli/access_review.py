"""`sandbox access review`: every standing access with how it was used, kept or removed with one word."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import click

from sandbox.cli.context import current
from sandbox.cli.show import grid, local_time, marks
from sandbox.errors import Usage

QUARTER = timedelta(days=92)


@click.command()
@click.option("--keep", multiple=True, metavar="ACCESS", help="Keep it as it is; may be given again.")
@click.option("--remove", multiple=True, metavar="ACCESS", help="Remove it; may be given again.")
def review(keep: tuple[str, ...], remove: tuple[str, ...]) -> None:
    """\b
    sandbox access review
    sandbox access review --keep ac-7f3k9w --remove ac-2m4x8q

    As Party A's approver, once a quarter: what stands, and how it was used. An access that nobody looked at for longer
    than the agreement's access.review_every lets no run start, and no other access to its dataset be given.
    """
    if both := set(keep) & set(remove):
        raise Usage(f"{', '.join(sorted(both))} cannot be kept and removed")
    here = current()
    with here.custodian() as custodian:
        done = [
            custodian.post("/v1/access-reviews", {"access": access, "verdict": verdict})
            for verdict, chosen in (("removed", remove), ("kept", keep))
            for access in chosen
        ]
        standing = [] if done else list(custodian.pages("/v1/access-reviews"))
    if done:
        for entry in done:
            if here.as_json:
                here.emit(entry)
            else:
                said = f"{entry['access']} {entry['person']} {entry['dataset']}"
                click.echo(f"{marks(here.console.file).good} {entry['verdict']:<10} {said}")
        return
    with here.gate() as gate:
        used = usage(standing, gate.pages("/v1/runs"), datetime.now(UTC))
    if here.as_json:
        for entry in standing:
            here.emit({**entry, **used[str(entry["id"])]})
        return
    if not standing:
        click.echo("no access stands")
        return
    rows = [_row(entry, used[str(entry["id"])], marks(here.console.file).bad) for entry in standing]
    grid(
        here.console,
        ("access", "person", "dataset", "purposes", "until", "last used", "runs", "review"),
        rows,
    )


def usage(
    standing: Iterable[Mapping[str, Any]], runs: Iterable[Mapping[str, Any]], now: datetime
) -> dict[str, dict[str, Any]]:
    """Of each access: ``last_run``, ``last_used``, and how many ``runs`` of the last 92 days used its dataset. Pure.

    A run without a dataset counts for none: it is on models, and its access is that to whatever they were made from.
    """
    since = (now - QUARTER).strftime("%Y-%m-%dT%H:%M:%SZ")
    by_key: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for run in runs:
        dataset = str(run.get("dataset") or "").partition("@")[0]
        if dataset:
            by_key.setdefault((str(run["person"]), dataset), []).append(run)
    found = {}
    for row in standing:
        mine = [
            r for r in by_key.get((row["person"], row["dataset"]), ()) if r.get("purpose") in row["purposes"]
        ]
        last = max(mine, key=lambda run: str(run["asked_at"]), default=None)
        found[str(row["id"])] = {
            "last_run": str(last["id"]) if last else "",
            "last_used": str(last["asked_at"]) if last else "",
            "runs": sum(str(run["asked_at"]) >= since for run in mine),
        }
    return found


def _row(entry: Mapping[str, Any], used: Mapping[str, Any], bad: str) -> tuple[str, ...]:
    last = f"{local_time(used['last_used'])} {used['last_run']}" if used["last_used"] else "never"
    due = f"{bad} overdue" if entry["overdue"] else f"by {local_time(str(entry['due']))[:10]}"
    return (
        str(entry["id"]),
        str(entry["person"]),
        str(entry["dataset"]),
        " ".join(entry["purposes"]),
        local_time(str(entry["until"])),
        last,
        str(used["runs"]),
        due,
    )
