"""Logging in by an identity provider: a real OpenBao that asks another identity provider, which is here itself one.

Its own OIDC provider stands in for the company's; the test is the person's browser.
"""

from __future__ import annotations

import secrets
import ssl
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from sandbox.deployment import vault_people
from sandbox.deployment.vault_people import OidcFile
from sandbox.deployment.vault_setup import digest
from sandbox.errors import IdentityInvalid, Usage
from sandbox.service.identity import IdentityVerifier
from sandbox.vault import oidc_login, people
from sandbox.vault.custody import Custody
from sandbox.vault.http import Vault
from sandbox.vault.minting import Minting
from tests.vault.plugin import TEMPLATES, RealVault
from tests.vault.test_second_factor import App

pytestmark = pytest.mark.needs_vault

PROVIDER = "identity/oidc/provider/corp"


@dataclass(frozen=True)
class Corp:
    """The company's identity provider and its people, who know nothing of ours."""

    vault: RealVault
    file: OidcFile

    def employ(self, admin: Vault, name: str) -> str:
        """Their token at the provider: what a browser holds after its login there."""
        admin.write(f"auth/corp/users/{name}", {"password": "corp", "token_policies": "corp"})
        admin.write(f"identity/entity/name/{name}", {})
        entity = admin.read(f"identity/entity/name/{name}")["data"]["id"]
        mount = admin.read("sys/auth/corp")["data"]["accessor"]
        alias = {"name": name, "canonical_id": entity, "mount_accessor": mount}
        admin.write("identity/entity-alias", alias)
        with closing(self.vault.raw()) as door:
            return str(door.write(f"auth/corp/login/{name}", {"password": "corp"})["auth"]["client_token"])

    def consent(self, address: str, token: str) -> dict[str, str]:
        """The browser at the provider: ``code`` and ``state`` with which it is sent back."""
        asked = {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}
        with httpx.Client(
            verify=ssl.create_default_context(cafile=str(self.vault.ca)), trust_env=False
        ) as web:
            address = f"{self.vault.addr}/v1/{PROVIDER}/authorize"
            answer = web.get(address, params=asked, headers={"X-Vault-Token": token})
        assert answer.status_code == 200, answer.text
        return {name: str(answer.json()[name]) for name in ("code", "state")}


def configure(real_vault: RealVault, file: OidcFile) -> None:
    with real_vault.administrator() as admin:
        vault_people._provider(admin, file)


@pytest.fixture(scope="module")
def corp(real_vault: RealVault, tmp_path_factory: pytest.TempPathFactory) -> Corp:
    secret = tmp_path_factory.mktemp("oidc") / "secret"
    callback = f"{real_vault.addr}/v1/auth/oidc/oidc/callback"
    with real_vault.administrator() as admin:
        admin.write("sys/auth/corp", {"type": "userpass"})
        rights = f'path "{PROVIDER}/authorize" {{ capabilities = ["read", "update"] }}'
        admin.write("sys/policies/acl/corp", {"policy": rights})
        admin.write("identity/oidc/key/corp", {"algorithm": "RS256", "allowed_client_ids": "*"})
        client = {
            "key": "corp",
            "redirect_uris": [callback, oidc_login.LOOPBACK],
            "assignments": ["allow_all"],
        }
        admin.write("identity/oidc/client/sandbox", {**client, "client_type": "confidential"})
        admin.write("identity/oidc/scope/user", {"template": '{"username": {{identity.entity.name}}}'})
        provider = {"issuer": real_vault.addr, "allowed_client_ids": "*", "scopes_supported": ["user"]}
        admin.write(PROVIDER, provider)
        known = admin.read("identity/oidc/client/sandbox")["data"]
    secret.touch(0o600)
    secret.write_text(known["client_secret"] + "\n")
    file = OidcFile(
        issuer=f"{real_vault.addr}/v1/{PROVIDER}",
        client_id=known["client_id"],
        secret_file=str(secret),
        subject_claim="username",
        scopes=("user",),
        ca=str(real_vault.ca),
        mode="direct",
        vault_addr=real_vault.addr,
    )
    return Corp(real_vault, file)


@pytest.fixture
def elsewhere(real_vault: RealVault, corp: Corp) -> None:
    """Logins may be made in a browser on another machine."""
    configure(real_vault, corp.file)


@pytest.fixture
def browser(real_vault: RealVault, corp: Corp, fresh: Callable[[str], str]) -> tuple[str, str]:
    """Somebody of the company: their name and token there."""
    name = fresh("corp-li")
    with real_vault.administrator() as admin:
        token = corp.employ(admin, name)
    return name, token


class Pauses:
    """The waiting command line: at its first pause the person is at the provider."""

    def __init__(self, then: Callable[[], None] = lambda: None) -> None:
        self.waited: list[float] = []
        self._then = then

    def __call__(self, seconds: float) -> None:
        self.waited.append(seconds)
        if len(self.waited) == 1:
            self._then()


def back_to_vault(real_vault: RealVault, said: dict[str, str]) -> None:
    """The browser comes back to Vault, and the person confirms that it was they who began this."""
    with httpx.Client(verify=ssl.create_default_context(cafile=str(real_vault.ca)), trust_env=False) as web:
        for more in ({}, {"confirmation": "1"}):
            assert (
                web.get(f"{real_vault.addr}/v1/auth/oidc/oidc/callback", params={**said, **more}).status_code
                == 200
            )


def log_in(
    real_vault: RealVault, corp: Corp, token: str, code: Callable[[], str] | None = None
) -> tuple[str, list[float]]:
    """From another machine's browser."""
    offer = oidc_login.begin(real_vault.addr, real_vault.ca)
    assert offer.polled and offer.nonce not in repr(offer)
    pauses = Pauses(lambda: back_to_vault(real_vault, corp.consent(offer.address, token)))
    return oidc_login.wait(real_vault.addr, real_vault.ca, offer, pauses, code), pauses.waited


def test_before_a_provider_is_set_up_there_is_no_such_login(real_vault: RealVault) -> None:
    with pytest.raises(IdentityInvalid) as caught:
        oidc_login.begin(real_vault.addr, real_vault.ca, "nobodys-role")
    assert caught.value.code == "oidc.not_configured"


def test_who_was_entered_logs_in_from_another_machine_as_themself(
    real_vault: RealVault,
    custodian: Custody,
    gate: Minting,
    corp: Corp,
    elsewhere: None,
    browser: tuple[str, str],
    fresh: Callable[[str], str],
) -> None:
    name, (subject, at_corp) = fresh("eng.li"), browser
    custodian.add_person(name, secrets.token_urlsafe(12))
    custodian.map_subject(name, subject)
    custodian.map_subject(name, subject)
    token, waited = log_in(real_vault, corp, at_corp)
    assert len(waited) == 1
    shown = people.identity_token(real_vault.addr, real_vault.ca, token)
    outcome = real_vault.outcome
    assert IdentityVerifier(gate.jwks, outcome.issuer, outcome.client_id).verify(shown).name == name
    custodian.disable_person(name)
    with pytest.raises(IdentityInvalid):
        people.identity_token(real_vault.addr, real_vault.ca, token)
    with pytest.raises(IdentityInvalid):
        log_in(real_vault, corp, at_corp)


def test_a_subject_that_nobody_entered_logs_in_to_nothing(
    real_vault: RealVault, corp: Corp, elsewhere: None, browser: tuple[str, str]
) -> None:
    with pytest.raises(IdentityInvalid) as caught:
        log_in(real_vault, corp, browser[1])
    assert caught.value.code == "oidc.unknown_subject"


def test_a_second_factor_is_asked_for_by_this_way_too(
    real_vault: RealVault,
    custodian: Custody,
    corp: Corp,
    elsewhere: None,
    browser: tuple[str, str],
    fresh: Callable[[str], str],
) -> None:
    name, (subject, at_corp) = fresh("eng.wu"), browser
    custodian.add_person(name, secrets.token_urlsafe(12))
    custodian.map_subject(name, subject)
    address = custodian.draw_factor(name)
    app = App(address)
    assert custodian.confirm_factor(name, address, app.code())
    with pytest.raises(IdentityInvalid) as caught:
        log_in(real_vault, corp, at_corp)
    assert caught.value.code == "totp.missing"
    token, _ = log_in(real_vault, corp, at_corp, app.code)
    assert people.identity_token(real_vault.addr, real_vault.ca, token)


def test_nobody_comes_and_the_waiting_ends(real_vault: RealVault, corp: Corp, elsewhere: None) -> None:
    offer = oidc_login.begin(real_vault.addr, real_vault.ca)
    pauses = Pauses()
    with pytest.raises(IdentityInvalid) as caught:
        oidc_login.wait(real_vault.addr, real_vault.ca, offer, pauses, patience_s=12)
    assert caught.value.code == "oidc.timeout" and len(pauses.waited) == 3


def test_a_browser_of_this_machine_comes_back_to_it(
    real_vault: RealVault,
    custodian: Custody,
    corp: Corp,
    browser: tuple[str, str],
    fresh: Callable[[str], str],
) -> None:
    configure(real_vault, corp.file.model_copy(update={"mode": "client"}))
    name, (subject, at_corp) = fresh("eng.hu"), browser
    custodian.add_person(name, secrets.token_urlsafe(12))
    custodian.map_subject(name, subject)
    offer = oidc_login.begin(real_vault.addr, real_vault.ca)
    assert not offer.polled
    said = corp.consent(offer.address, at_corp)
    token = oidc_login.came_back(real_vault.addr, real_vault.ca, offer, said["state"], said["code"])
    assert people.identity_token(real_vault.addr, real_vault.ca, token)
    for state, code in ((said["state"], said["code"]), ("st_made-up", "x")):  # replayed; another's
        with pytest.raises(IdentityInvalid):
            oidc_login.came_back(real_vault.addr, real_vault.ca, offer, state, code)


def test_a_provider_without_device_codes_is_refused_that_way(real_vault: RealVault, corp: Corp) -> None:
    configure(real_vault, corp.file.model_copy(update={"mode": "device"}))
    with pytest.raises(Exception) as caught:
        oidc_login.begin(real_vault.addr, real_vault.ca)
    assert "device" not in str(caught.value)  # no word of Vault's answer enters an error


def test_a_client_secret_is_one_users_alone(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    for text, mode in (("", 0o600), ("SECRET", 0o644)):
        file.write_text(text)
        file.chmod(mode)
        with pytest.raises(Usage) as caught:
            vault_people._secret(file)
        assert "SECRET" not in str(caught.value)
    with pytest.raises(Usage):
        vault_people._secret(tmp_path / "none")


def test_another_provider_makes_the_setup_out_of_date(tmp_path: Path) -> None:
    for template in TEMPLATES.glob("*.hcl"):
        (tmp_path / template.name).write_text(template.read_text())
    before = digest(tmp_path)
    (tmp_path / "oidc.yaml").write_text('issuer: "https://idp.example"\n')
    assert digest(tmp_path) != before
