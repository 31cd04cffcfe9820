"""`sandbox up`: steps as they happen, then a table of what runs where."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

from sandbox.cli.context import Context, current
from sandbox.cli.show import grid, marks
from sandbox.cli.up_view import UpView


@click.command()
@click.option(
    "--vault-port", type=click.IntRange(0, 65535), help="Vault's port on 127.0.0.1 (0: any free one)."
)
@click.option(
    "--web-port", type=click.IntRange(0, 65535), help="The pages' port on 127.0.0.1 (0: any free one)."
)
@click.option("--engine", type=click.Choice(["podman", "docker"]), help="The container engine.")
@click.option("--tracking-uri", help="A MLflow server of your own, instead of the embedded one.")
@click.option(
    "--public-speech", type=click.Path(path_type=Path), help="Speech for dry runs: metadata.csv and files."
)
@click.option(
    "--storage-keys",
    type=click.Path(path_type=Path),
    help="The object store's two keys (configs/storage.yaml).",
)
def up(
    vault_port: int | None,
    web_port: int | None,
    engine: str | None,
    tracking_uri: str | None,
    public_speech: Path | None,
    storage_keys: Path | None,
) -> None:
    """\b
    sandbox up
    sandbox --state /srv/voices up --vault-port 8210 --web-port 8310

    Starts Vault, custodian, gate, launcher and MLflow's pages, and waits until all are healthy. Choices are kept: after
    a restart of the machine, `sandbox up` again finds everything. The first time it also builds the runner image.
    """
    from sandbox.deployment.install import Source
    from sandbox.deployment.up import Asked
    from sandbox.deployment.up import up as bring_up

    here = current()
    with UpView(here) as view:
        board = bring_up(
            here.places,
            Source.running(os.environ),
            Asked(vault_port, web_port, engine, tracking_uri, public_speech, storage_keys),
            view.say,
            view.seen,
        )
    if here.as_json:
        here.emit({"phase": board["phase"], "services": board["services"], "web": _web(here)})
    else:
        table(here, board)


def table(here: Context, board: dict[str, Any]) -> None:
    """What runs where, as whom; and what comes next."""
    from sandbox.deployment.files import read_json

    rows = [
        (name, str(found["state"]), str(found["user"]), str(found["pid"] or ""), where(here, name))
        for name, found in board["services"].items()
    ]
    grid(here.console, ("service", "state", "user", "pid", "where"), rows)
    mark = marks(here.console.file)
    first = here.places.first_login
    following = f"sandbox login NAME {mark.dot} sandbox doctor"
    if first.exists():
        name = str(read_json(first).get("name", "NAME"))
        following = f"sandbox login {name} --new-password --enrol, then the guide's first steps"
    here.console.print(f"  state {here.state}   pages {_web(here)}   next: {following}")
    if first.exists():
        here.console.print(f"  first login: {first} (delete it once that person has logged in)")


def where(here: Context, name: str) -> str:
    """Where a service listens, as far as everybody may know."""
    from sandbox.client import Address
    from sandbox.deployment.files import read_json

    address, places = Address.of(here.state), here.places
    public = read_json(address.public)
    return {
        "vault": str(public.get("vault_addr", "")),
        "gate": f"{address.gate_socket} {marks(here.console.file).dot} {public.get('web', '')}",
        "custodian": str(address.custodian_socket),
        "launcher": str(places.launcher_socket),
        "mlflow": str(places.mlflow_socket),
    }.get(name, "")


def _web(here: Context) -> str:
    from sandbox.client import Public

    return Public.read(here.state).web
