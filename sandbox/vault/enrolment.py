"""How the custodian gives a person an identity in Vault: a login, and an entity whose name is the person's id.

The login has the policy ``person`` and no other (the custodian's own policy pins it); the entity's name is what an
identity token says. Roles are not here: they come from the signed people register.
"""

from __future__ import annotations

from typing import Any

from sandbox.errors import NotFound
from sandbox.records import check_id
from sandbox.vault.answers import part
from sandbox.vault.http import Vault

TOKEN_TTL = "12h"  # noqa: S105 - a duration
OIDC_GROUP = "oidc-people"


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
    _alias(vault, "userpass", name, part(vault.read(f"identity/entity/name/{name}"), "data")["id"])


def map_subject(vault: Vault, name: str, subject: str) -> None:
    """Let the identity provider's ``subject`` log in as ``name``, who was entered before. Repeatable.

    A login by OIDC carries no policy of its own; members of the group get ``person``. So a subject that is mapped to
    nobody logs in to nothing. Not for two at once: the group is read and written back.

    Raises:
        Conflict: ``oidc.subject_taken``: the subject is somebody else's.
    """
    entity = part(vault.read(f"identity/entity/name/{check_id('person', name)}"), "data")["id"]
    group = part(vault.read(f"identity/group/name/{OIDC_GROUP}"), "data")
    _alias(vault, "oidc", subject, entity)
    members = {str(member) for member in group.get("member_entity_ids") or ()}
    vault.write(f"identity/group/name/{OIDC_GROUP}", {"member_entity_ids": sorted({*members, entity})})


def _alias(vault: Vault, mount: str, name: str, entity: Any) -> None:
    accessor = part(vault.read(f"sys/internal/ui/mounts/auth/{mount}"), "data")["accessor"]
    vault.write("identity/entity-alias", {"name": name, "canonical_id": entity, "mount_accessor": accessor})


def disable_person(vault: Vault, name: str) -> None:
    """From here ``name`` cannot log in, and no token of theirs works. Repeatable, also for nobody."""
    path = f"identity/entity/name/{check_id('person', name)}"
    try:
        vault.read(path)
    except NotFound:
        return
    vault.write(path, {"disabled": True})
