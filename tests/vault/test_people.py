"""A person's login, what an identity token says, and how it ends."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from sandbox.errors import IdentityInvalid, SandboxError
from sandbox.service.identity import IdentityVerifier
from sandbox.vault import people
from sandbox.vault.custody import Custody
from sandbox.vault.minting import Minting
from tests.vault.plugin import RealVault
from tests.vault.test_policies import attempt

pytestmark = pytest.mark.needs_vault


@dataclass(frozen=True)
class Person:
    name: str
    password: str
    vault: RealVault

    def login(self) -> str:
        return people.login(self.vault.addr, self.vault.ca, self.name, self.password)

    def identity(self, token: str) -> str:
        return people.identity_token(self.vault.addr, self.vault.ca, token)


@pytest.fixture
def anna(real_vault: RealVault, custodian: Custody, fresh: Callable[[str], str]) -> Person:
    person = Person(fresh("anna.k"), secrets.token_urlsafe(12), real_vault)
    custodian.add_person(person.name, person.password)
    return person


def test_an_identity_token_says_the_persons_name_to_this_installation_for_five_minutes(
    real_vault: RealVault, gate: Minting, anna: Person
) -> None:
    outcome, token = real_vault.outcome, anna.identity(anna.login())
    caller = IdentityVerifier(gate.jwks, outcome.issuer, outcome.client_id).verify(token)
    assert caller.name == anna.name
    assert 290 < caller.expires - time.time() <= 300
    for issuer, audience in ((outcome.issuer, "another"), ("https://another", outcome.client_id)):
        with pytest.raises(IdentityInvalid):
            IdentityVerifier(gate.jwks, issuer, audience).verify(token)
    assert gate.identity_active(token)


def test_a_login_says_who_it_is_and_ends_when_asked(real_vault: RealVault, anna: Person) -> None:
    token = anna.login()
    who = people.whoami(real_vault.addr, real_vault.ca, token)
    assert (who.name, 0 < who.expires_in_s <= 12 * 3600) == (anna.name, True)
    people.logout(real_vault.addr, real_vault.ca, token)
    people.logout(real_vault.addr, real_vault.ca, token)
    for ask in (people.whoami, people.identity_token):
        with pytest.raises(IdentityInvalid):
            ask(real_vault.addr, real_vault.ca, token)


def test_a_disabled_person_gets_nothing_more_at_once(gate: Minting, custodian: Custody, anna: Person) -> None:
    token = anna.login()
    shown = anna.identity(token)
    custodian.disable_person(anna.name)
    custodian.disable_person(anna.name)
    with pytest.raises(IdentityInvalid):
        anna.identity(token)
    with pytest.raises(IdentityInvalid):
        anna.login()
    assert not gate.identity_active(shown)
    assert not custodian.identity_active(shown)
    custodian.add_person(anna.name, anna.password)
    assert gate.identity_active(anna.identity(anna.login()))


def test_disabling_nobody_is_no_error(custodian: Custody, fresh: Callable[[str], str]) -> None:
    custodian.disable_person(fresh("nobody"))


def test_a_wrong_password_and_an_unknown_name_look_the_same(real_vault: RealVault, anna: Person) -> None:
    said = set()
    for name in (anna.name, "nobody.here"):
        with pytest.raises(IdentityInvalid) as caught:
            people.login(real_vault.addr, real_vault.ca, name, "wrong")
        said.add(caught.value.message.replace(name, "NAME"))
    assert len(said) == 1


def test_guessing_locks_the_name(real_vault: RealVault, anna: Person) -> None:
    for _ in range(5):
        with pytest.raises(IdentityInvalid):
            people.login(real_vault.addr, real_vault.ca, anna.name, "wrong")
    with pytest.raises(IdentityInvalid):
        anna.login()


def test_a_person_changes_their_own_password_and_nobody_elses(
    real_vault: RealVault, custodian: Custody, anna: Person, fresh: Callable[[str], str]
) -> None:
    other = Person(fresh("ben.b"), secrets.token_urlsafe(12), real_vault)
    custodian.add_person(other.name, other.password)
    token, new = anna.login(), secrets.token_urlsafe(12)
    people.change_password(real_vault.addr, real_vault.ca, token, anna.name, new)
    with pytest.raises(IdentityInvalid):
        anna.login()
    people.login(real_vault.addr, real_vault.ca, anna.name, new)
    with pytest.raises(IdentityInvalid):
        people.change_password(real_vault.addr, real_vault.ca, token, other.name, new)
    other.login()


@pytest.mark.parametrize("name", ["../x", "Anna", "a/b", "", "anna?list=true"])
def test_a_name_that_is_none_reaches_no_vault(real_vault: RealVault, custodian: Custody, name: str) -> None:
    with pytest.raises(SandboxError) as caught:
        people.login(real_vault.addr, real_vault.ca, name, "x")
    assert caught.value.exit_code == 2
    with pytest.raises(SandboxError) as caught:
        custodian.add_person(name, "x")
    assert caught.value.exit_code == 2


PERSON = {
    "mint": ("write", "auth/token/create/run", {"policies": ["run-ds1-train"]}, 30),
    "make tokens": ("write", "auth/token/create", {}, None),
    "decrypt": ("write", "subjects/decrypt/ds1.spk_a1", {"ciphertext": "x", "context": "eA=="}, None),
    "read a head": ("read", "kv/data/datasets/ds1", None, None),
    "change their policies": ("write", "auth/userpass/users/x/policies", {"token_policies": "gate"}, None),
    "rename themselves": ("write", "identity/entity/name/x", {"disabled": False}, None),
    "read people": ("read", "identity/entity/name/x", None, None),
    "sign": ("write", "sign/sign/gate", {"input": "eA=="}, None),
    "write a policy": ("write", "sys/policies/acl/run-x", {"policy": "x"}, None),
    "wrap": ("write", "sys/wrapping/wrap", {"x": "y"}, 30),
    "keep things": ("write", "cubbyhole/x", {"x": "y"}, None),
    "get another role's identity": ("read", "identity/oidc/token/other", None, None),
}


@pytest.mark.parametrize("what", PERSON)
def test_a_person_may_not(real_vault: RealVault, anna: Person, what: str) -> None:
    vault = real_vault.raw(anna.login())
    assert attempt(vault, *PERSON[what]) == "credential.denied"
    vault.close()
