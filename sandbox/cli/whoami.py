"""`sandbox whoami`: person, party, roles, second factor, and until when the login lasts."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

import click

from sandbox.cli.context import Context, current
from sandbox.cli.show import local_time
from sandbox.errors import SandboxError
from sandbox.runs import utc


@click.command()
def whoami() -> None:
    """\b
    sandbox whoami

    The person, as Vault knows them, the roles that the signed register gives them, and how long the login lasts.
    """
    here = current()
    found = _known(here)
    if here.as_json:
        here.emit(found)
        return
    roles = found.get("roles")
    shown = ", ".join(str(role) for role in roles) if isinstance(roles, list) else str(found.get("note", ""))
    lines = {
        "person": found["name"],
        "party": found.get("party", "-"),
        "roles": shown or "-",
        "second factor": found["second_factor"],
        "login until": local_time(found["login_until"]),
    }
    for name, value in lines.items():
        here.console.print(f"{name:<14} {value}", soft_wrap=True, markup=False, highlight=False)


def _known(here: Context) -> dict[str, Any]:
    """Raises IdentityInvalid when nobody is logged in; what a service does not answer is left out."""
    from sandbox.client import Address, Login, Public
    from sandbox.client.identity import claims
    from sandbox.vault import people

    keep = Login.at(here.state, here.environ)
    name = str(claims(keep.token()).get("name", ""))
    who = people.whoami(
        Public.read(here.state).vault_addr, Address.of(here.state).vault_ca, keep.vault_token()
    )
    ends = utc(datetime.fromtimestamp(time.time() + who.expires_in_s, UTC))
    found: dict[str, Any] = {"name": name, "login_until": ends, "second_factor": "unknown"}
    try:
        with here.custodian() as custodian:
            found["second_factor"] = str(custodian.get("/v1/second-factor")["second_factor"])
            entry = next(iter(custodian.pages("/v1/people", {"person": name})), {})
            found |= {field: entry[field] for field in ("party", "roles", "status") if field in entry}
    except SandboxError as fault:
        found["note"] = fault.message
    return found
