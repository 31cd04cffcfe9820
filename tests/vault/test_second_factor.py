"""A person's second factor on a real OpenBao: enrolled, asked for at login, good once, and dropped by somebody else."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from contextlib import closing

import pyotp
import pytest

from sandbox.errors import Conflict, CredentialError, IdentityInvalid, NotFound
from sandbox.vault import people
from sandbox.vault.custody import Custody
from sandbox.vault.minting import Minting
from tests.vault.plugin import RealVault
from tests.vault.test_people import Person
from tests.vault.test_policies import attempt

pytestmark = pytest.mark.needs_vault


@pytest.fixture
def anna(real_vault: RealVault, custodian: Custody, fresh: Callable[[str], str]) -> Person:
    person = Person(fresh("anna.f"), secrets.token_urlsafe(12), real_vault)
    custodian.add_person(person.name, person.password)
    return person


class App:
    """An authenticator app that gives each code once: the present one, then its neighbours, which also count."""

    def __init__(self, address: str) -> None:
        self._codes = pyotp.parse_uri(address)
        assert isinstance(self._codes, pyotp.TOTP)
        self._given: set[str] = set()

    def code(self) -> str:
        now = time.time()
        for away in (0, 30, -30):
            found = str(self._codes.at(now + away))  # type: ignore[union-attr, arg-type]
            if found not in self._given:
                self._given.add(found)
                return found
        raise AssertionError("more codes than a minute has")


@pytest.fixture
def app(custodian: Custody, anna: Person) -> App:
    address = custodian.draw_factor(anna.name)
    found = App(address)
    assert custodian.confirm_factor(anna.name, address, found.code())
    return found


def log_in(anna: Person, code: Callable[[], str] | None) -> str:
    return people.login(anna.vault.addr, anna.vault.ca, anna.name, anna.password, code)


def test_the_address_for_the_app_names_the_person_and_the_product(custodian: Custody, anna: Person) -> None:
    address = custodian.draw_factor(anna.name)
    assert address.startswith(f"otpauth://totp/voice-sandbox:{anna.name}?") and "secret=" in address
    assert not custodian.has_factor(anna.name)
    anna.login()  # nothing asks for a factor that was not confirmed
    assert custodian.draw_factor(anna.name) != address


def test_a_wrong_first_code_enrols_nobody(custodian: Custody, gate: Minting, anna: Person) -> None:
    assert not custodian.confirm_factor(anna.name, custodian.draw_factor(anna.name), "000000")
    assert not gate.has_factor(anna.name)
    anna.login()


def test_who_enrolled_is_asked_for_a_code_at_login(anna: Person, app: App) -> None:
    with pytest.raises(IdentityInvalid) as caught:
        anna.login()
    assert caught.value.code == "totp.missing"
    with pytest.raises(IdentityInvalid) as caught:
        log_in(anna, lambda: "000000")
    assert caught.value.code == "totp.wrong"
    code = app.code()
    assert people.whoami(anna.vault.addr, anna.vault.ca, log_in(anna, lambda: code)).name == anna.name
    with pytest.raises(IdentityInvalid) as caught:
        log_in(anna, lambda: code)
    assert caught.value.code == "totp.wrong"


def test_guessing_codes_at_login_is_stopped(anna: Person, app: App) -> None:
    codes = set()
    for _ in range(7):
        with pytest.raises(IdentityInvalid) as caught:
            log_in(anna, lambda: "000000")
        codes.add(caught.value.code)
    assert caught.value.code == "totp.locked" and codes == {"totp.wrong", "totp.locked"}


def test_a_code_for_an_act_is_good_once_for_gate_and_custodian_together(
    gate: Minting, custodian: Custody, anna: Person, app: App
) -> None:
    code = app.code()
    assert gate.has_factor(anna.name) and gate.code_fits(anna.name, code)
    for hand in (custodian, gate):
        with pytest.raises(CredentialError) as caught:
            hand.code_fits(anna.name, code)
        assert caught.value.code == "totp.used"
    assert not gate.code_fits(anna.name, "000000")


def test_nobodys_code_fits(gate: Minting, fresh: Callable[[str], str]) -> None:
    nobody = fresh("nobody.f")
    assert not gate.has_factor(nobody)
    with pytest.raises(NotFound) as caught:
        gate.code_fits(nobody, "000000")
    assert caught.value.code == "totp.not_enrolled"


def test_a_factor_is_not_replaced_before_it_is_dropped(
    custodian: Custody, gate: Minting, anna: Person, app: App
) -> None:
    with pytest.raises(Conflict):
        custodian.draw_factor(anna.name)
    custodian.drop_factor(anna.name)
    custodian.drop_factor(anna.name)
    assert not gate.has_factor(anna.name)
    anna.login()
    with pytest.raises(NotFound):
        gate.code_fits(anna.name, app.code())
    address = custodian.draw_factor(anna.name)
    assert custodian.confirm_factor(anna.name, address, App(address).code())


def test_one_persons_factor_is_nothing_to_another(custodian: Custody, anna: Person, app: App) -> None:
    other = Person(f"{anna.name}x", secrets.token_urlsafe(12), anna.vault)
    custodian.add_person(other.name, other.password)
    other.login()
    custodian.draw_factor(other.name)
    custodian.drop_factor(other.name)
    with pytest.raises(IdentityInvalid):
        anna.login()


BOTH = {
    "read a code": ("read", "totp/code/{name}", None, None),
    "list people's factors": ("read", "totp/keys?list=true", None, None),
}
GATE = BOTH | {
    "make a factor": (
        "write",
        "totp/keys/{name}",
        {"url": "otpauth://totp/x:y?secret=GEZDGNBVGY3TQOJQ"},
        None,
    ),
    "drop a factor": ("delete", "totp/keys/{name}", None, None),
    "draw one": (
        "write",
        "identity/mfa/method/totp/admin-generate",
        {"method_id": "x", "entity_id": "y"},
        None,
    ),
    "let somebody in without": (
        "write",
        "identity/group/name/second-factor",
        {"member_entity_ids": []},
        None,
    ),
}
CUSTODIAN = BOTH | {
    "choose a secret": ("write", "totp/keys/{name}", {"key": "GEZDGNBVGY3TQOJQ", "account_name": "x"}, None),
    "draw by another method": (
        "write", "identity/mfa/method/totp/admin-generate", {"method_id": "x", "entity_id": "y"}, None,
    ),
    "end the enforcement": ("delete", "identity/mfa/login-enforcement/second-factor", None, None),
    "change the enforcement": (
        "write", "identity/mfa/login-enforcement/second-factor", {"mfa_method_ids": ["x"]}, None,
    ),
    "give the group a policy": ("write", "identity/group/name/second-factor", {"policies": ["gate"]}, None),
    "give those who come by OIDC a policy": (
        "write", "identity/group/name/oidc-people", {"policies": ["gate"]}, None,
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", GATE)
def test_the_gate_may_only_try_a_code(gate: Minting, anna: Person, app: App, what: str) -> None:
    verb, path, body, wrap = GATE[what]
    assert attempt(gate._vault, verb, path.format(name=anna.name), body, wrap) == "credential.denied"


@pytest.mark.parametrize("what", CUSTODIAN)
def test_the_custodian_may_not(custodian: Custody, anna: Person, app: App, what: str) -> None:
    verb, path, body, wrap = CUSTODIAN[what]
    assert attempt(custodian._vault, verb, path.format(name=anna.name), body, wrap) == "credential.denied"


@pytest.mark.parametrize(
    ("verb", "path", "body"),
    [
        ("read", "totp/code/{name}", None),
        ("write", "totp/code/{name}", {"code": "000000"}),
        ("write", "totp/keys/{name}", {"url": "otpauth://totp/x:y?secret=GEZDGNBVGY3TQOJQ"}),
        ("write", "identity/mfa/method/totp/generate", {"method_id": "x"}),
        ("write", "identity/group/name/second-factor", {"member_entity_ids": []}),
    ],
)
def test_a_person_touches_no_factor_at_vault_not_even_their_own(
    real_vault: RealVault,
    custodian: Custody,
    anna: Person,
    verb: str,
    path: str,
    body: dict[str, object] | None,
) -> None:
    with closing(real_vault.raw(anna.login())) as vault:
        assert attempt(vault, verb, path.format(name=anna.name), body, None) == "credential.denied"


def test_the_secret_stands_in_no_audit_line(real_vault: RealVault, custodian: Custody, anna: Person) -> None:
    address = custodian.draw_factor(anna.name)
    custodian.confirm_factor(anna.name, address, App(address).code())
    secret = address.split("secret=")[1].split("&")[0]
    assert len(secret) >= 32 and secret not in real_vault.server.audit_log.read_text()
