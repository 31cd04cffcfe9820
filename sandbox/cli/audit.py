"""``sandbox audit verify|replay|lineage|pack|repair|log``: thin; what is checked stands in ``sandbox.audit``."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sandbox.cli.context import Context, current
from sandbox.cli.show import grid, local_time, marks, thousands
from sandbox.errors import EvidenceMismatch, Usage

if TYPE_CHECKING:
    from sandbox.cli.audit_pack import Findings, Pack

SHOWN = 20
FILE = click.Path(path_type=Path, dir_okay=False, exists=True)


@click.group()
def audit() -> None:
    """\b
    sandbox audit verify
    sandbox audit replay
    sandbox audit lineage --subject spk_7f3a
    """


@audit.command()
@click.option("--pack", "kept", type=FILE, help="A pack that was kept: checked offline, without any service.")
@click.option("--trust", type=FILE, help="Trust anchors that you keep yourself; else the installation's.")
@click.option("--vault-audit", type=FILE, help="Party A's own copy of Vault's audit file.")
@click.option(
    "--witness", type=click.Path(path_type=Path), help="Where you keep the newest checkpoint you saw."
)
def verify(kept: Path | None, trust: Path | None, vault_audit: Path | None, witness: Path | None) -> int:
    """\b
    sandbox audit verify
    sandbox audit verify --pack 2026-11.json --trust trust.json

    Log, signed statements, MLflow and Vault's own audit file, each against the others. Exit code 6: they do not agree.
    """
    from sandbox.cli.audit_pack import Pack, Witness, anchors, check

    here = current()
    keys = anchors(here.state, trust)
    if kept is not None:
        pack = Pack.load(kept, vault_audit)
    else:
        with here.gate() as gate:
            pack = Pack.fetch(gate, vault_audit)
    origin = str(pack.evidence.get("origin", ""))
    remembered = Witness(witness or _own_witness(here), origin, keys)
    known = remembered.known()
    found = check(pack, keys, known)
    if found.verified.log.intact:
        remembered.keep(_notes(pack))
    if here.as_json:
        here.emit(_as_json(found))
    else:
        _show(here, found, known[-1].size if known else 0)
    return 0 if found.holds else EvidenceMismatch.exit_code


@audit.command()
def replay() -> int:
    """\b
    sandbox audit replay

    Every stored decision decided again, here, from its stored facts, which must be those that the log tells of.
    Exit code 6: one comes out otherwise, was altered, or is gone. That the log is intact says `sandbox audit verify`.
    """
    from sandbox.cli.audit_replay import Replaying

    here = current()
    with here.gate() as gate:
        found = Replaying.of(gate)
    if here.as_json:
        here.emit(found.as_json())
    else:
        found.show(here.console)
    return 0 if found.holds else EvidenceMismatch.exit_code


@audit.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
def pack(file: Path) -> None:
    """\b
    sandbox audit pack 2026-11.json

    Keeps everything that `verify` looks at in one file, to be checked elsewhere: sandbox audit verify --pack FILE
    """
    from sandbox.cli.audit_pack import Pack

    here = current()
    if file.exists():
        raise Usage(f"{file} is already there", mend="name another file")
    with here.gate() as gate:
        data = Pack.fetch(gate, None).to_bytes()
    file.write_bytes(data)
    if here.as_json:
        here.emit({"file": str(file), "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()})
        return
    click.echo(f"{marks(sys.stdout).good} kept       {file}, {thousands(len(data))} bytes")


@audit.command()
@click.argument("file", type=FILE)
@click.option("--trust", type=FILE, help="Trust anchors that you keep yourself; else the installation's.")
def certificate(file: Path, trust: Path | None) -> None:
    """\b
    sandbox audit certificate erasure-spk_7f3a-digits.dsse.json --trust trust.json

    Offline: both signatures, every field, the erasure's place in the gate's log. Exit code 6: it does not hold.
    """
    from sandbox.cli.audit_certificate import rendering, verified

    here = current()
    found = verified(file, here.state, trust)
    if here.as_json:
        here.emit({"holds": True, "digest": found.digest, **found.said})
        return
    click.echo(f"{marks(sys.stdout).good} holds      {file}")
    grid(here.console, ("", ""), rendering(found))


@audit.command()
@click.option("--trust", type=FILE, help="Trust anchors that you keep yourself; else the installation's.")
def reconcile(trust: Path | None) -> int:
    """\b
    sandbox audit reconcile

    Only MLflow against the signed statements. Exit code 6: it says something else.
    """
    from sandbox.cli.audit_pack import anchors, differences

    here = current()
    with here.gate() as gate:
        found = differences(gate, anchors(here.state, trust))
    return _left(here, [asdict(one) for one in found], "agrees     MLflow says what was signed")


@audit.command()
def repair() -> int:
    """\b
    sandbox audit repair

    Writes what was signed over what MLflow says. What no grant produced stays, for a person to explain.
    """
    here = current()
    with here.gate() as gate:
        left = gate.post("/v1/tracking/repair")["left"]
    return _left(here, left, "repaired   MLflow says what was signed")


def _left(here: Context, differences: Sequence[Mapping[str, Any]], none: str) -> int:
    """Say every difference, or that there is none; the exit code."""
    mark = marks(sys.stdout)
    if here.as_json:
        here.emit({"left": list(differences)})
    elif not differences:
        click.echo(f"{mark.good} {none}")
    else:
        for one in differences:
            click.echo(f"  {mark.bad} {one['subject']}: {one['what']}")
    return EvidenceMismatch.exit_code if differences else 0


@audit.command(short_help="From a voice, a run or a model to all that came of it.")
@click.option("--subject", default="", help="A data subject: everything that was made from that voice.")
@click.option("--run", default="", help="A run: whose voices it heard, what it made.")
@click.option("--model", default="", help="A model (digits@1).")
def lineage(subject: str, run: str, model: str) -> None:
    """\b
    sandbox audit lineage --subject spk_7f3a
    sandbox audit lineage --run r-7f3k
    """
    from sandbox.cli.audit_lineage import Graph, tree

    if sum(map(bool, (subject, run, model))) != 1:
        raise Usage("of what?", mend="one of --subject, --run, --model")
    here = current()
    with here.gate() as gate:
        graph = Graph.read(gate.get("/v1/lineage"))
        runs = {str(entry["id"]): entry for entry in gate.pages("/v1/runs")}
    start = (
        graph.find("subject", subject)
        if subject
        else graph.find(*(("run", run) if run else ("model", model)))
    )
    if here.as_json:
        for node in start:
            here.emit(graph.as_json(node))
        return
    for node in start:
        for line in tree(graph, node, runs, utf8=marks(sys.stdout).good == "✔"):
            here.console.print(line, markup=False, soft_wrap=True)


@audit.command("log", short_help="Decisions, states, people, incidents: one entry each.")
@click.option("--last", default=SHOWN, show_default=True, help="How many entries, newest last.")
def log_(last: int) -> None:
    """\b
    sandbox audit log --last 50
    """
    here = current()
    with here.gate() as gate:
        entries = list(gate.pages("/v1/log"))[-last:]
    if here.as_json:
        for entry in entries:
            here.emit(entry)
        return
    named = ("index", "at", "by", "kind")
    rows = [
        (
            *(str(e["index"]), local_time(str(e["at"])), str(e["by"]), str(e["kind"])),
            " ".join(f"{k}={v}" for k, v in e.items() if k not in named and isinstance(v, str | int))[:90],
        )
        for e in entries
    ]
    grid(here.console, ("entry", "at", "by", "what", ""), rows)


def _own_witness(here: Context) -> Path:
    """A file of this Unix user's own, one for each installation."""
    base = here.environ.get("XDG_STATE_HOME") or str(Path(here.environ.get("HOME", "/")) / ".local" / "state")
    place = hashlib.sha256(os.fsencode(here.state)).hexdigest()[:12]
    return Path(base) / "voice-sandbox" / f"{place}.checkpoint"


def _notes(pack: Pack) -> tuple[bytes, ...]:
    from sandbox.audit import Evidence

    return Evidence.from_json(pack.evidence).notes


def _show(here: Context, found: Findings, seen: int) -> None:
    """Four lines, then whatever does not agree, then who decrypted whose voice."""
    mark, say = marks(sys.stdout), here.console.print
    log, vault, verified = found.verified.log, found.vault, found.verified
    witness = f", held against the checkpoint over {thousands(seen)} that you kept" if seen else ""
    say(f"log          {thousands(log.entries)} entries, {log.checkpoints} checkpoints{witness}: "
        f"{'intact' if log.intact else 'NOT intact'}", soft_wrap=True)  # fmt: skip
    say(f"statements   {len(verified.statements)} of {verified.listed} verify")
    outside = len(vault.decrypts) - vault.inside
    say(
        f"Vault        {thousands(vault.requests)} requests, {len(vault.decrypts)} decrypts of a voice's key: "
        f"{vault.inside} inside the window of a grant, {outside} without one",
        soft_wrap=True,
    )
    differences = _count(len(found.differences), "difference") if found.differences else "no difference"
    say(f"MLflow       {_count(found.runs, 'run')}, {_count(found.models, 'model')}, {differences}")
    for fault in (*log.faults, *verified.faults, *vault.faults):
        say(f"  {mark.bad} {fault}", markup=False, soft_wrap=True)
    for one in found.differences:
        say(
            f"  {mark.bad} {one.subject}: {one.what}   {mark.arrow} sandbox audit repair",
            markup=False,
            soft_wrap=True,
        )
    if vault.decrypts:
        people = _people(found)
        rows = [
            (
                local_time(d.at.isoformat()),
                people.get(d.run, "nobody known"),
                d.key,
                d.run or "-",
                d.grant or "none",
            )
            for d in vault.decrypts[-SHOWN:]
        ]
        say("")
        grid(here.console, ("decrypted at", "for", "voice", "run", "under grant"), rows)


def _count(number: int, name: str) -> str:
    return f"{number} {name}{'' if number == 1 else 's'}"


def _people(found: Findings) -> dict[str, str]:
    return {str(s.predicate["run"]): str(s.predicate["person"]) for s in found.verified.named("grant")}


def _as_json(found: Findings) -> dict[str, Any]:
    log, people = found.verified.log, _people(found)
    return {
        "holds": found.holds,
        "log": {
            "entries": log.entries,
            "checkpoints": log.checkpoints,
            "covered": log.covered,
            "intact": log.intact,
        },
        "statements": {"listed": found.verified.listed, "verify": len(found.verified.statements)},
        "vault": {
            "requests": found.vault.requests,
            "decrypts": [
                {**asdict(d), "at": d.at.isoformat(), "person": people.get(d.run, "")}
                for d in found.vault.decrypts
            ],
            "inside": found.vault.inside,
        },
        "mlflow": {
            "runs": found.runs,
            "models": found.models,
            "differences": [asdict(one) for one in found.differences],
        },
        "faults": [*log.faults, *found.verified.faults, *found.vault.faults],
    }
