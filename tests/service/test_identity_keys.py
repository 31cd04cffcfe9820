"""Vault's identity keys: known ones keep nobody waiting, old ones go, and a flood of unknown ones asks Vault once."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from sandbox.errors import VaultUnreachable
from sandbox.service import identity_keys
from sandbox.service.identity_keys import (
    FETCH_AT_MOST_EVERY_S,
    RENEW_AFTER_S,
    TRUST_AT_MOST_S,
    WAIT_S,
    IdentityKeys,
)
from tests.service.test_identity import KEY, OTHER, public


class Vault:
    """Answers with the keys of now; may be silent, or hang until let go. ``now`` is the clock of everybody here."""

    def __init__(self) -> None:
        self.now, self.asked = 1000.0, 0
        self.kids: tuple[str, ...] = ("1",)
        self.silent = False
        self.hangs, self.go, self.hung = False, threading.Event(), threading.Event()

    def __call__(self) -> dict[str, Any]:
        self.asked += 1
        if self.hangs:
            self.hung.set()
            self.go.wait(30)
        if self.silent:
            raise VaultUnreachable("no answer")
        return {"keys": [public(KEY, kid) for kid in self.kids]}

    def settled(self, keys: IdentityKeys) -> None:
        """Until the question that is under way has its answer."""
        for thread in threading.enumerate():
            if thread.name == "identity keys":
                thread.join(30)


@pytest.fixture
def vault() -> Iterator[Vault]:
    found = Vault()
    yield found
    found.go.set()


@pytest.fixture
def keys(vault: Vault) -> IdentityKeys:
    return IdentityKeys(vault, monotonic=lambda: vault.now)


def test_known_keys_cost_vault_nothing(vault: Vault, keys: IdentityKeys) -> None:
    for _ in range(100):
        keys.find("1")
    assert vault.asked == 1


def test_a_key_that_vault_made_since_is_fetched(vault: Vault, keys: IdentityKeys) -> None:
    keys.find("1")
    vault.kids, vault.now = ("1", "2"), vault.now + FETCH_AT_MOST_EVERY_S
    keys.find("2")
    assert vault.asked == 2


def test_a_key_that_vault_withdrew_is_refused_once_the_cache_is_old(vault: Vault, keys: IdentityKeys) -> None:
    keys.find("1")
    vault.kids, vault.now = ("2",), vault.now + RENEW_AFTER_S
    keys.find("1")  # whoever comes first is not kept waiting for the answer
    vault.settled(keys)
    with pytest.raises(KeyError):
        keys.find("1")


def test_a_flood_of_unknown_keys_asks_vault_once_in_five_seconds(vault: Vault, keys: IdentityKeys) -> None:
    keys.find("1")
    for number in range(200):
        with pytest.raises(KeyError):
            keys.find(f"made up {number}")
    assert vault.asked == 1
    vault.now += FETCH_AT_MOST_EVERY_S
    for number in range(200):
        with pytest.raises(KeyError):
            keys.find(f"made up {number}")
    assert vault.asked == 2


def test_a_vault_that_hangs_holds_up_nobody_whose_key_is_known(vault: Vault, keys: IdentityKeys) -> None:
    keys.find("1")
    vault.hangs, vault.now = True, vault.now + RENEW_AFTER_S
    keys.find("1")
    assert vault.hung.wait(30)
    for _ in range(50):
        keys.find("1")
    assert vault.asked == 2  # one question hangs, and no second one was begun


def test_an_unknown_key_is_not_waited_for_where_vault_hangs(
    vault: Vault, keys: IdentityKeys, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys.find("1")
    vault.hangs, vault.now = True, vault.now + FETCH_AT_MOST_EVERY_S
    monkeypatch.setattr(identity_keys, "WAIT_S", 0.01)
    waits: list[float | None] = []

    def wait(timeout: float | None = None) -> bool:
        waits.append(timeout)
        vault.now += timeout or 0.0
        return False

    monkeypatch.setattr(keys._turn, "wait", wait)
    for _ in range(20):
        with pytest.raises(VaultUnreachable):
            keys.find("2")
    assert len(waits) == 1 and WAIT_S <= 2.0  # the first waits a moment; whoever comes after does not
    keys.find("1")


def test_a_vault_that_does_not_answer_is_said_and_not_taken_for_a_bad_token(
    vault: Vault, keys: IdentityKeys
) -> None:
    vault.silent = True
    with pytest.raises(VaultUnreachable):
        keys.find("1")
    vault.silent, vault.now = False, vault.now + FETCH_AT_MOST_EVERY_S
    keys.find("1")


def test_known_keys_outlive_a_silent_vault_for_an_hour_and_no_longer(
    vault: Vault, keys: IdentityKeys
) -> None:
    keys.find("1")
    vault.silent, vault.now = True, vault.now + TRUST_AT_MOST_S - 1
    keys.find("1")
    vault.settled(keys)
    vault.now += FETCH_AT_MOST_EVERY_S
    with pytest.raises(VaultUnreachable):
        keys.find("1")


def test_an_answer_that_is_no_key_set_spoils_nothing(vault: Vault) -> None:
    keys = IdentityKeys(lambda: {"errors": ["x"]}, monotonic=lambda: vault.now)
    with pytest.raises(VaultUnreachable):
        keys.find("1")


def test_two_keys_are_told_apart(vault: Vault) -> None:
    keys = IdentityKeys(lambda: {"keys": [public(KEY, "1"), public(OTHER, "2")]})
    assert keys.find("1").key != keys.find("2").key
