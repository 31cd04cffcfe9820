"""Each form of theft on a real OpenBao: what the keeper or the gate sees of it, and what its audit file shows."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from sandbox.audit import Window
from sandbox.audit.vault_watch import Later, Seen, judge
from sandbox.errors import CredentialError, CredentialUsed, SandboxError
from sandbox.vault.http import Vault
from sandbox.vault.minting import Minting
from sandbox.vault.session import RUN_TOKEN, Session
from tests.audit.test_vault_file import Place, place, thief, window
from tests.vault.plugin import RealVault

__all__ = ["place", "window"]  # fixtures

pytestmark = pytest.mark.needs_vault


@dataclass
class Ours:
    """What the gate would know of the run of ``window``."""

    window_: Window
    marks: set[str] = field(default_factory=set)

    def window(self, grant: str) -> Window | None:
        return self.window_ if grant == self.window_.grant else None

    def owns(self, mark: str) -> bool:
        return mark in {self.window_.token, *self.window_.wraps, *self.marks}

    def minting(self, at: datetime) -> bool:
        return False


def seen(place: Place, window: Window, marks: set[str] | None = None) -> list[Seen]:
    """Everything but the run's own decrypts."""
    found: list[Seen] = []
    for line in place.vault.audited()[place.start :]:
        answer = judge(line, Ours(window, marks or set()), young=False)
        assert not isinstance(answer, Later)
        found += [one for one in answer if one.what != "vault.decrypt"]
    return found


def whats(found: list[Seen]) -> list[str]:
    return [one.what for one in found]


def test_a_whole_run_shows_nothing_but_its_decrypts(place: Place, window: Window) -> None:
    place.custodian.unwrap_index_key(place.dataset, place.wraps["_index"])
    place.custodian.write_run_policy(place.dataset, "train")
    assert seen(place, window) == []


def mint(gate: Minting, place: Place, wrap_ttl_s: int = 30) -> tuple[str, str, str, str]:
    """Wrapping token, its accessor, the accessor inside, when it was made."""
    made = gate.mint_run(
        place.dataset, "train", "r-abc234", "g-abc234", uses=4, ttl_s=60, wrap_ttl_s=wrap_ttl_s
    )
    return made.wrap.token, made.wrap.accessor, made.wrapped_accessor, made.wrap.created_at


def test_a_wrap_is_alive_until_somebody_opens_it(place: Place, gate: Minting) -> None:
    """What tells an early unwrap, and one that never came; and when its life began."""
    token, accessor, inside, created = mint(gate, place)
    assert not gate.is_dead(accessor)
    age = datetime.now(UTC) - datetime.fromisoformat(created)
    assert timedelta(0) <= age < timedelta(minutes=1)
    with place.vault.door() as door, closing(Session.open(door, place.vault.ca_pem, token)):
        dies(gate, accessor)
        assert not gate.is_dead(inside)
        gate.revoke(inside)
        assert gate.is_dead(inside)


def dies(gate: Minting, accessor: str) -> None:
    """OpenBao removes a wrap's token beside its answer; whoever comes in between is the second, and told so."""
    deadline = time.monotonic() + 20
    while not gate.is_dead(accessor):
        assert time.monotonic() < deadline, "an opened wrap stays alive"
        time.sleep(0.01)


@pytest.fixture
def stolen(place: Place, gate: Minting) -> Iterator[tuple[Session, str, str]]:
    """A thief's session, the wrapping token that the keeper will try, the accessor of the thief's token."""
    token, _, inside, _ = mint(gate, place)
    with place.vault.door() as door, closing(Session.open(door, place.vault.ca_pem, token)) as session:
        yield session, token, inside


def test_who_comes_second_knows_and_what_the_first_has_dies_when_it_is_revoked(
    place: Place, gate: Minting, stolen: tuple[Session, str, str]
) -> None:
    session, token, inside = stolen
    with place.vault.door() as door, pytest.raises(CredentialUsed):
        Session.open(door, place.vault.ca_pem, token)
    gate.revoke(inside)
    with pytest.raises(CredentialError) as caught:
        session.unwrap_data_key(place.dataset, "spk_anna", place.wraps["spk_anna"])
    assert caught.value.code == "credential.dead" and gate.is_dead(inside)


def test_what_was_taken_out_and_wrapped_anew_has_another_path(
    place: Place, gate: Minting, window: Window
) -> None:
    token, accessor, inside, _ = mint(gate, place)
    with place.vault.administrator() as root:
        auth = _unwrapped(place.vault, token)
        again = root.write("sys/wrapping/wrap", {"token": auth["client_token"]}, wrap_ttl_s=30)["wrap_info"]
    with place.vault.door() as door, pytest.raises(CredentialError) as caught:
        Session.open(door, place.vault.ca_pem, str(again["token"]), RUN_TOKEN)
    assert caught.value.code == "credential.foreign"
    marks = {gate.audit_hash(accessor), gate.audit_hash(inside)}
    assert "vault.wrapped_again" in whats(seen(place, window, marks))


def test_a_wrap_that_was_wrapped_again_keeps_its_path_and_only_the_file_shows_it(
    place: Place, gate: Minting, window: Window
) -> None:
    """OpenBao hands the first creation path on, so no keeper can tell: nobody begins before the file is read."""
    token, accessor, inside, _ = mint(gate, place)
    with place.vault.administrator() as root:
        again = root.write("sys/wrapping/rewrap", {"token": token})["wrap_info"]
    assert again["creation_path"] == RUN_TOKEN
    dies(gate, accessor)
    with place.vault.door() as door:
        Session.open(door, place.vault.ca_pem, str(again["token"]), RUN_TOKEN).close()
    marks = {gate.audit_hash(accessor), gate.audit_hash(inside)}
    assert "vault.wrapped_again" in whats(seen(place, window, marks))


def _unwrapped(vault: RealVault, token: str) -> dict[str, str]:
    with closing(vault.raw(token)) as own:
        return dict(own.write("sys/wrapping/unwrap")["auth"])


def strangers(act: Callable[[Place, Vault, Vault], None]) -> Callable[[Place, Window], list[Seen]]:
    def look(place: Place, window: Window) -> list[Seen]:
        with thief(place, meta={"grant_id": "g-abc234", "run_id": "r-abc234"}) as (root, own):
            act(place, root, own)
        return [one for one in seen(place, window) if one.what != "vault.root_attempt"]

    return look


def _decrypts(place: Place, _: Vault, own: Vault) -> None:
    own.write(place.anna, place.asked)


def _looks(place: Place, _: Vault, own: Vault) -> None:
    own.write("auth/token/revoke-self")


def _mints(place: Place, root: Vault, _: Vault) -> None:
    root.write(f"derivatives/datakey/plaintext/{place.agreement}", {"context": "eA=="})


def _writes(place: Place, root: Vault, _: Vault) -> None:
    root.write(f"sys/policies/acl/run-{place.dataset}-train", {"policy": 'path "x" {capabilities=["deny"]}'})


ACTS = {
    "a decrypt of no grant": (_decrypts, "vault.decrypt_of_no_grant"),
    "an unknown accessor": (_looks, "vault.unknown_accessor"),
    "a data key of no grant": (_mints, "vault.key_of_no_grant"),
    "a run's policy by another hand": (_writes, "vault.policy_written"),
}


@pytest.mark.parametrize(("act", "what"), ACTS.values(), ids=ACTS)
def test_the_file_shows_what_it_was(
    place: Place, window: Window, act: Callable[[Place, Vault, Vault], None], what: str
) -> None:
    [found] = strangers(act)(place, window)
    assert found.what == what
    assert found.about.get("dataset", place.dataset) == place.dataset
    assert found.about.get("agreement", place.agreement) == place.agreement


def test_a_root_token_by_the_shares_and_a_token_of_the_gates_own_are_seen(
    place: Place, gate: Minting, window: Window
) -> None:
    with place.vault.administrator():
        mint(gate, place)
    assert set(whats(seen(place, window))) == {"vault.root_attempt", "vault.key_of_no_grant"}


def test_refused_logins_count_for_the_name_that_was_tried(place: Place, window: Window) -> None:
    with closing(place.vault.raw()) as anybody:
        for _ in range(3):
            with pytest.raises(SandboxError):
                anybody.write("auth/userpass/login/eng.nobody", {"password": "guess"})
    found = seen(place, window)
    assert [(one.what, one.by) for one in found] == [("vault.login_refused", "eng.nobody")] * 3
    assert len({one.unit for one in found}) == 3
