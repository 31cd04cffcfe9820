"""The gate's own credential is least privilege, renewed, and made anew while it serves: the old one is dead then."""

from __future__ import annotations

import threading
import time
from contextlib import closing

import jwt
import pytest

from sandbox.errors import CredentialError
from sandbox.service.identity_keys import IdentityKeys
from sandbox.vault import people
from sandbox.vault.custody import Custody
from sandbox.vault.login import log_in
from sandbox.vault.minting import Minting
from tests.vault.plugin import RealVault
from tests.vault.test_people import Person

pytestmark = pytest.mark.needs_vault


def test_a_gate_gets_a_fresh_login_while_it_serves_and_its_old_token_is_dead(real_vault: RealVault) -> None:
    """The supervisor leaves another wrap; requests that run meanwhile find the old token or the new one, never none."""
    vault = real_vault.raw()
    with closing(vault):
        log_in(vault, "gate", real_vault.login_file("gate"))
        serving = Minting(vault)
        old = _token(vault)
        refused: list[str] = []
        stop, asked = threading.Event(), [0] * 4

        def serve(number: int) -> None:
            while not stop.is_set():
                try:
                    serving.has_factor("nobody.here")
                except CredentialError as fault:
                    refused.append(fault.code)
                asked[number] += 1

        def each_asks_twice() -> None:
            """So that what each of them had begun before is over."""
            before, end = list(asked), time.monotonic() + 60
            while any(now < then + 2 for now, then in zip(asked, before, strict=True)):
                assert time.monotonic() < end, "a request does not end"
                time.sleep(0.01)

        requests = [threading.Thread(target=serve, args=(number,), daemon=True) for number in range(4)]
        for request in requests:
            request.start()
        each_asks_twice()
        with closing(real_vault.gate()) as fresh:
            vault.use(_token(fresh._vault))
            each_asks_twice()
            with closing(real_vault.raw(old)) as leaving:
                leaving.write("auth/token/revoke-self")
                with pytest.raises(CredentialError) as caught:
                    Minting(leaving).renew()
                assert caught.value.code == "credential.dead"
            each_asks_twice()
            stop.set()
            for request in requests:
                request.join(30)
            assert not refused
            assert serving.renew() > 0


def _token(vault: object) -> str:
    return str(vault._adapter.token)  # type: ignore[attr-defined]


def test_a_signing_key_that_vault_rotated_is_fetched_and_the_old_one_goes(
    real_vault: RealVault, gate: Minting, custodian: Custody
) -> None:
    person = Person("rota.k", "a long enough one", real_vault)
    custodian.add_person(person.name, person.password)
    token = person.login()
    now = [1000.0]
    keys = IdentityKeys(gate.jwks, monotonic=lambda: now[0])

    def kid() -> str:
        shown = people.identity_token(real_vault.addr, real_vault.ca, token)
        return str(jwt.get_unverified_header(shown)["kid"])

    before = kid()
    keys.find(before)
    with real_vault.administrator() as admin:
        admin.write("identity/oidc/key/sandbox/rotate", {"verification_ttl": "1s"})
        after = kid()
        assert after != before
        now[0] += 10
        keys.find(after)
        admin.write("identity/oidc/key/sandbox/rotate", {"verification_ttl": "24h"})
    latest = kid()
    now[0] += 10
    keys.find(latest)
    assert latest not in (before, after)
