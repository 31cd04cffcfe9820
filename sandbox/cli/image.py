"""`sandbox image list|review|approve|revoke`: who did not install the runner image says that it may run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sandbox.cli.context import current
from sandbox.cli.recipe_review import history_line
from sandbox.cli.show import grid, local_time, marks
from sandbox.errors import EvidenceMismatch, NotFound

if TYPE_CHECKING:
    from sandbox.client import Service

FOLDER = click.Path(path_type=Path, file_okay=False, exists=True)


@click.group()
def image() -> None:
    """\b
    sandbox image review
    sandbox image approve 3f9a20c4e1b7…
    """


@image.command("list")
def list_() -> None:
    """\b
    sandbox image list

    Runner images that were installed here, and who approved them.
    """
    here = current()
    with here.gate() as gate:
        found = list(gate.pages("/v1/images"))
    if here.as_json:
        for entry in found:
            here.emit(entry)
        return
    rows = [
        (
            str(entry["id"])[:12],
            "installed" if entry["installed"] else "",
            ", ".join(entry["approved_by"]) or "nobody",
            ", ".join(entry["revoked_by"]),
            local_time(str(entry["at"])),
        )
        for entry in found
    ]
    grid(here.console, ("image", "", "approved by", "revoked by", "since"), rows)


@image.command()
@click.argument("which", metavar="[IMAGE]", required=False)
@click.option(
    "--against", type=FOLDER, help="A copy of the sources that you trust: its files are hashed and compared."
)
def review(which: str | None, against: Path | None) -> int:
    """\b
    sandbox image review
    sandbox image review --against ~/voice-sandbox

    What the installed image was made from, and what changed since the one approved last. Exit code 6: a file differs
    from your copy of the sources.
    """
    here = current()
    with here.gate() as gate:
        found = gate.get(f"/v1/images/{resolve(gate, which)}")
    differ = differing(found["inputs"], against) if against else []
    code = EvidenceMismatch.exit_code if differ else 0
    if here.as_json:
        here.emit({**found, **({"differ": differ} if against else {})})
        return code
    screen, mark = here.console, marks(here.console.file)
    lines = [
        f"image {found['id']}" + (" (installed)" if found["installed"] else ""),
        f"  installed by {found['installed_by'] or 'unknown'} {mark.dot} {local_time(str(found['at']))}",
        f"  made from {len(found['inputs'])} files, together sha256:{found['digest']}",
        f"  approved by {', '.join(found['approved_by']) or 'nobody'}",
        *(history_line(entry) for entry in found["history"]),
    ]
    if found["before"]:
        lines.append(f"against {found['before'][:12]}…, approved last:")
        lines += [f"  {name} differs" for name in found["changed"]] or ["  no file differs"]
    if against:
        good = f"{mark.good} every file is the one in {against}" if not differ else ""
        lines += [f"{mark.bad} {name} is not the one in {against}" for name in differ] or [good]
    for line in lines:
        screen.print(line, markup=False, soft_wrap=True)
    screen.print(f"{mark.arrow} sandbox image approve {found['id']}", markup=False, soft_wrap=True)
    return code


@image.command()
@click.argument("which", metavar="IMAGE")
def approve(which: str) -> None:
    """\b
    sandbox image approve 3f9a20c4e1b7…

    As a reviewer who is no operator: runs may use this very image.
    """
    _say(which, "approve", "approved", {})


@image.command()
@click.argument("which", metavar="IMAGE")
@click.option("--reason", required=True, help="Stands in the signed history.")
def revoke(which: str, reason: str) -> None:
    """\b
    sandbox image revoke 3f9a20c4e1b7… --reason "CVE-2026-1234 in its libc"

    As a reviewer: from now on no run starts in this image.
    """
    _say(which, "revoke", "revoked", {"reason": reason})


def _say(which: str, verb: str, done: str, body: Mapping[str, Any]) -> None:
    here = current()
    with here.gate() as gate:
        found = resolve(gate, which)
        answer = gate.post(f"/v1/images/{found}/{verb}", body)
    if here.as_json:
        here.emit(answer)
    else:
        click.echo(f"{marks(here.console.file).good} {done:<10} image {found}")


def resolve(gate: Service, which: str | None) -> str:
    """The id that is meant: the installed image, or the one that begins so. Raises NotFound."""
    listed = list(gate.pages("/v1/images"))
    start = (which or "").removeprefix("sha256:").rstrip("…")
    found = [str(e["id"]) for e in listed if (str(e["id"]).startswith(start) if start else e["installed"])]
    if len(found) != 1:
        raise NotFound(
            f"no one image is meant by {which or 'nothing'}", code="image.unknown", mend="sandbox image list"
        )
    return found[0]


def differing(inputs: Mapping[str, str], sources: Path) -> list[str]:
    """Names of inputs whose bytes in ``sources`` are others, or missing. The installation's own anchors lie nowhere."""
    from sandbox.statements import sha256

    own = ("trust.json", "BASE_IMAGE")
    return [
        name
        for name, digest in sorted(inputs.items())
        if name not in own
        and not ((sources / name).is_file() and sha256((sources / name).read_bytes()) == digest)
    ]
