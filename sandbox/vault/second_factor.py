"""A person's second factor (TOTP, RFC 6238), kept by Vault twice from one secret, so that one app entry serves both.

- login MFA (``identity/mfa``): asked for by Vault itself at every login of a member of the group ``second-factor``;
- the engine ``totp``: a code for a dangerous act, good once, checked by gate and custodian. They may try a code and
  never read one: reading ``totp/code/NAME`` would show it.

The secret is drawn by Vault, shown once at enrolment, and kept nowhere of ours.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, quote, urlencode, urlsplit

from sandbox.errors import Conflict, CredentialError, NotFound, VaultUnreachable
from sandbox.records import check_id
from sandbox.vault.answers import part, text
from sandbox.vault.http import Vault

GROUP = "second-factor"
"""Its members are asked for a code at login; the login enforcement has the same name."""
ISSUER = "voice-sandbox"


def has_factor(vault: Vault, name: str) -> bool:
    """Whether ``name`` has enrolled."""
    try:
        vault.read(f"totp/keys/{check_id('person', name)}")
    except NotFound:
        return False
    return True


def code_fits(vault: Vault, name: str, code: str) -> bool:
    """Try a code, which is good once.

    Raises:
        NotFound: ``totp.not_enrolled``: nobody of that name has a second factor.
        CredentialError: ``totp.used``: it was shown before.
    """
    answer = vault.write(f"totp/code/{check_id('person', name)}", {"code": code})
    return part(answer, "data").get("valid") is True


def draw(vault: Vault, name: str) -> str:
    """A new secret for ``name`` as an ``otpauth://`` address; nothing asks for it until :func:`confirm`. Repeatable.

    Raises:
        Conflict: ``totp.enrolled``: there is one that was confirmed; :func:`drop` comes first.
    """
    about = _about(vault, name)
    if _is_member(vault, about["entity_id"]):
        raise Conflict(
            f"{name} has a second factor", code="totp.enrolled", mend="Party A's approver resets it first"
        )
    vault.delete(f"totp/keys/{name}")  # left by a crash in the middle of :func:`confirm`
    vault.write("identity/mfa/method/totp/admin-destroy", about)
    made = vault.write("identity/mfa/method/totp/admin-generate", about)
    return _labelled(text(made, "data", "url"), name)


def confirm(vault: Vault, name: str, address: str, code: str) -> bool:
    """With a first code from the app the factor counts. False, and nothing changed, when the code is wrong.

    Not for two at once: the group is read and written back.
    """
    key = f"totp/keys/{check_id('person', name)}"
    vault.write(key, {"url": address})
    if not code_fits(vault, name, code):
        vault.delete(key)
        return False
    entity = _about(vault, name)["entity_id"]
    _set_members(vault, {*_members(vault), entity})
    return True


def drop(vault: Vault, name: str) -> None:
    """From here ``name`` has no second factor and may enrol anew. Repeatable. Not for two at once."""
    about = _about(vault, name)
    vault.delete(f"totp/keys/{name}")
    vault.write("identity/mfa/method/totp/admin-destroy", about)
    _set_members(vault, _members(vault) - {about["entity_id"]})


def _about(vault: Vault, name: str) -> dict[str, str]:
    """The method and the entity, as Vault wants them. Raises NotFound when nobody of that name was entered."""
    entity = text(vault.read(f"identity/entity/name/{check_id('person', name)}"), "data", "id")
    methods = part(vault.read(f"identity/mfa/login-enforcement/{GROUP}"), "data").get("mfa_method_ids")
    if not isinstance(methods, list) or len(methods) != 1:
        raise VaultUnreachable("Vault has no one method for second factors", mend="sandbox up sets it up")
    return {"method_id": str(methods[0]), "entity_id": entity}


def _group(vault: Vault) -> dict[str, Any]:
    return part(vault.read(f"identity/group/name/{GROUP}"), "data")


def _members(vault: Vault) -> set[str]:
    return {str(entity) for entity in _group(vault).get("member_entity_ids") or ()}


def _is_member(vault: Vault, entity: str) -> bool:
    return entity in _members(vault)


def _set_members(vault: Vault, members: set[str]) -> None:
    vault.write(f"identity/group/name/{GROUP}", {"member_entity_ids": sorted(members)})
    if _members(vault) != members:
        raise CredentialError("Vault did not take the second factor", code="totp.unkept", mend="ask again")


def _labelled(address: str, name: str) -> str:
    """The same address, under the person's name: Vault labels it with the entity's number."""
    said = {key: values[0] for key, values in parse_qs(urlsplit(address).query).items()}
    return f"otpauth://totp/{ISSUER}:{quote(name)}?{urlencode({**said, 'issuer': ISSUER})}"
