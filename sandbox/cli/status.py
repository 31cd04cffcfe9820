"""`sandbox status`: the operator's screen."""

from __future__ import annotations

import shutil
import time
from typing import Any

import click

from sandbox.cli.context import Context, current
from sandbox.cli.show import duration, grid, local_time, size
from sandbox.cli.up import where
from sandbox.errors import SandboxError, Unreachable


@click.command()
def status() -> int:
    """\b
    sandbox status

    Services, live runs with their age, Vault's seal, the audit volume, what expires. Exit code 5 when a service
    is down.
    """
    here = current()
    found = gather(here)
    if here.as_json:
        here.emit(found)
    else:
        _screen(here, found)
    return 0 if found["healthy"] else 5


def gather(here: Context) -> dict[str, Any]:
    """Everything on the screen as data. The board is the operator's; others see whether the two sockets answer.

    Raises Unreachable when nothing was ever set up here.
    """
    from sandbox.deployment import board, health
    from sandbox.deployment.locks import holder
    from sandbox.deployment.settings import Settings

    places = here.places
    if not places.app.is_dir():
        raise Unreachable(
            f"no sandbox is set up at {here.state}", code="state.none", mend="sandbox up, or another --state"
        )
    written = board.read(places)
    running = bool(holder(places.supervisor_lock)) if written else False
    services = written.get("services", {}) if running else _sockets(here)
    found: dict[str, Any] = {
        "state": str(here.state),
        "phase": written.get("phase", "") if running else "down" if written else "",
        "since": time.time() - float(written.get("started_at", time.time())) if running else 0.0,
        "services": services,
        "healthy": bool(services) and all(entry["state"] == "ready" for entry in services.values()),
        "runs": _runs(here),
        "expires_days": health.expiries(places),
    }
    if running:
        found["vault"] = health.vault(Settings.read(places).vault_port, places.ca)
    if places.audit.exists():
        usage = shutil.disk_usage(places.audit)
        found["audit_disk"] = {"free": usage.free, "total": usage.total}
    return found


def _sockets(here: Context) -> dict[str, dict[str, Any]]:
    from sandbox import client

    address = client.Address.of(here.state)
    found = {}
    for name, service in (("gate", here.gate()), ("custodian", here.custodian())):
        with service:
            up = service.healthy()
        path = address.gate_socket if name == "gate" else address.custodian_socket
        found[name] = {"state": "ready" if up else "no answer", "user": "", "pid": 0, "where": str(path)}
    return found


def _runs(here: Context) -> list[dict[str, Any]] | str:
    """Live runs, or why they cannot be seen."""
    try:
        with here.gate() as gate:
            return [run for run in gate.pages("/v1/runs") if run.get("state") not in ("settled", "refused")]
    except SandboxError as fault:
        return fault.message


def _screen(here: Context, found: dict[str, Any]) -> None:
    screen = here.console
    up = (
        f", {found['phase']} for {duration(found['since'])}"
        if found["since"]
        else f", {found['phase']}"
        if found["phase"]
        else ""
    )
    screen.print(f"{found['state']}{up}", soft_wrap=True)
    rows = [
        (name, entry["state"], entry.get("user", ""), str(entry.get("restarts", "") or ""), where(here, name))
        for name, entry in found["services"].items()
    ]
    grid(screen, ("service", "state", "user", "restarts", "where"), rows)
    if isinstance(found["runs"], str):
        screen.print(f"live runs  {found['runs']}", soft_wrap=True)
    else:
        screen.print(f"live runs  {len(found['runs'])}")
        for run in found["runs"]:
            at = local_time(str(run.get("asked_at") or run.get("at") or ""))
            screen.print(
                f"  {run.get('id') or run.get('run')}  {run.get('state')}  since {at}", soft_wrap=True
            )
    if "vault" in found:
        sealed = found["vault"].get("sealed")
        screen.print(
            f"Vault      {'does not answer' if sealed is None else 'SEALED' if sealed else 'unsealed'}"
        )
    if disk := found.get("audit_disk"):
        screen.print(f"audit disk {size(disk['free'])} free of {size(disk['total'])}")
    soon = {name: days for name, days in found["expires_days"].items() if days < 30}
    for name, days in soon.items():
        screen.print(f"expires    {name} in {days:.0f} days")
