"""How the custodian gives a person an identity in Vault: a login, and an entity whose name is the person's id.

The login has the policy ``person`` and no other (the custodian's own policy pins it); the entity's name is what an
identity token says. Roles are not here: they come from the signed people register.
"""

from __future__ import annotations

from sandbox.errors import NotFound
from sandbox.records import check_id
from sandbox.vault.answers import part
from sandbox.vault.http import Vault

TOKEN_TTL = "12h"  # noqa: S105 - a duration


def add_person(vault: Vault, name: str, password: str) -> None:
    """Create or re-enable ``name`` with ``password``. Repeatable: the password is then set anew."""
    check_id("person", name)
    vault.write(
        f"auth/userpass/users/{name}",
        {
            "password": password,
            "token_policies": "person",
            "token_no_default_policy": True,
            "token_ttl": TOKEN_TTL,
            "token_max_ttl": TOKEN_TTL,
        },
    )
    vault.write(f"identity/entity/name/{name}", {"disabled": False})
    entity = part(vault.read(f"identity/entity/name/{name}"), "data")
    mount = part(vault.read("sys/internal/ui/mounts/auth/userpass"), "data")["accessor"]
    vault.write(
        "identity/entity-alias", {"name": name, "canonical_id": entity["id"], "mount_accessor": mount}
    )


def disable_person(vault: Vault, name: str) -> None:
    """From here ``name`` cannot log in, and no token of theirs works. Repeatable, also for nobody."""
    path = f"identity/entity/name/{check_id('person', name)}"
    try:
        vault.read(path)
    except NotFound:
        return
    vault.write(path, {"disabled": True})
