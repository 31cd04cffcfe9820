"""`sandbox recipe review|revoke`: the exact files, what changed since the last approval, who said what when."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import click

from sandbox.cli.context import current
from sandbox.cli.show import local_time, marks
from sandbox.errors import EvidenceMismatch, NotFound, Usage

if TYPE_CHECKING:
    from rich.console import Console

    from sandbox.cli.diff_view import Line
    from sandbox.client import Service

PREFIX_LEAST = 6


@click.command()
@click.argument("which", metavar="NAME|DIGEST")
@click.option(
    "--whole", is_flag=True, help="Every file in full, not only what changed since the last approval."
)
def review(which: str, whole: bool) -> None:
    """\b
    sandbox recipe review digits
    sandbox recipe review 4be1c0ffee12 --whole

    Shows a recipe's exact files against the version of its name that was approved last. A name means the version that
    was submitted last. What a terminal would hide is written out.
    """
    from sandbox.cli.diff_view import unified

    here = current()
    with here.gate() as gate:
        digest = resolve(gate, which)
        found = gate.get(f"/v1/recipes/{digest}/review")
        new = exact_files(gate, digest)
        before = str(found.get("before") or "")
        old = exact_files(gate, before) if before and not whole else {}
    lines = list(unified(old, new))
    if here.as_json:
        from sandbox.statements import sha256

        listed = [
            {"path": path, "sha256": sha256(data), "bytes": len(data)} for path, data in sorted(new.items())
        ]
        here.emit({**found, "files": listed, "diff": "\n".join(line.text for line in lines)})
        return
    _said(here.console, found)
    against = f"against sha256:{before}, approved last" if old else "every file in full"
    here.console.print(f"{against}:", style="bold", markup=False, soft_wrap=True)
    coloured(here.console, lines)
    purposes = " ".join(f"--purpose {purpose}" for purpose in found["purposes"])
    arrow = marks(here.console.file).arrow
    here.console.print(
        f"{arrow} sandbox recipe approve {found['name']} sha256:{digest} {purposes}",
        markup=False,
        soft_wrap=True,
    )


@click.command()
@click.argument("digest")
@click.option("--reason", required=True, help="Stands in the signed history.")
def revoke(digest: str, reason: str) -> None:
    """\b
    sandbox recipe revoke sha256:4be1… --reason "writes names into metrics"

    As a reviewer: from now on no run uses these bytes, whoever approved them. Who revoked may approve again.
    """
    here = current()
    with here.gate() as gate:
        found = resolve(gate, digest)
        answer = gate.post(f"/v1/recipes/{found}/revoke", {"reason": reason})
    if here.as_json:
        here.emit(answer)
        return
    click.echo(f"{marks(here.console.file).good} revoked    {answer['name']} sha256:{found}")
    click.echo(f"  runs that go on with it: sandbox incident kill --scope recipe:{found}")


def resolve(gate: Service, which: str) -> str:
    """The digest meant by a name (its newest version), a digest, or the beginning of one.

    Raises NotFound, and Usage for a beginning that several digests share.
    """
    listed = list(gate.pages("/v1/recipes"))
    named = [str(entry["digest"]) for entry in listed if entry["name"] == which]
    if named:
        return named[-1]
    start = which.removeprefix("sha256:").rstrip("…")
    found = sorted({str(e["digest"]) for e in listed if str(e["digest"]).startswith(start)})
    if len(start) >= PREFIX_LEAST and len(found) > 1:
        raise Usage(
            f"{start} begins {len(found)} digests", mend="write more of it: sandbox recipe list --json"
        )
    if len(start) < PREFIX_LEAST or not found:
        raise NotFound(f"no recipe is called {which}", code="recipe.unknown", mend="sandbox recipe list")
    return found[0]


def exact_files(gate: Service, digest: str) -> dict[str, bytes]:
    """The files of a recipe, once they are the bytes that the digest names. Raises EvidenceMismatch."""
    from sandbox.runs import recipe_digest

    answer = gate.get(f"/v1/recipes/{digest}/files")
    found = {str(path): base64.b64decode(str(text)) for path, text in answer["files"].items()}
    if recipe_digest(found) != digest:
        raise EvidenceMismatch(f"the gate showed other files than {digest[:12]}…", code="recipe.changed")
    return found


def coloured(screen: Console, lines: Iterable[Line]) -> None:
    """A diff as people know it: green what came, red what went."""
    from rich.text import Text

    styles = {"file": "bold", "hunk": "cyan", "added": "green", "removed": "red"}
    for line in lines:
        screen.print(Text(line.text, style=styles.get(line.kind, "")), soft_wrap=True)


def _said(screen: Console, found: Mapping[str, Any]) -> None:
    mark = marks(screen.file)
    approved = found.get("approved_for") or {}
    by = ", ".join(f"{name} for {' '.join(purposes)}" for name, purposes in approved.items()) or "nobody"
    lines = [
        f"{found['name']} sha256:{found['digest']}",
        f"  submitted by {found['submitted_by']} {mark.dot} {local_time(str(found['at']))}",
        f"  made for {', '.join(found['purposes'])}",
        f"  approved by {by}",
    ]
    lines += [f"{mark.bad} revoked by {', '.join(found['revoked_by'])}"] if found.get("revoked_by") else []
    lines += [history_line(entry) for entry in found.get("history", ())]
    for line in lines:
        screen.print(line, markup=False, soft_wrap=True)


def history_line(entry: Mapping[str, Any]) -> str:
    """``2026-11-26 19:00:00+0100  rev.chen approved for train``."""
    more = f" for {' '.join(entry['purposes'])}" if entry.get("purposes") else ""
    more += f": {entry['reason']}" if entry.get("reason") else ""
    return f"  {local_time(str(entry['at']))}  {entry['by']} {entry['status']}{more}"
