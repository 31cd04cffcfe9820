"""One line at a time: what is ours is nothing, what is young waits, and each stranger is named for what it is."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

import pytest

from sandbox.audit import Window
from sandbox.audit.vault_watch import Later, judge
from tests.audit.test_vault_join import MINT, NEW_KEY, OLD_KEY, WINDOW
from tests.fakes.audit_lines import DENIED, answer, asked

RUN = {"policies": ("run-digits-train",), "grant": "g-2345", "accessor": "hmac-sha256:token"}
STRANGER = {**RUN, "accessor": "hmac-sha256:thief"}
GATE, CUSTODIAN = {"policies": ("gate",)}, {"policies": ("custodian",), "accessor": "hmac-sha256:custodian"}
VOICE = "subjects/decrypt/digits.spk_aa"


@dataclass
class Ours:
    windows: dict[str, Window] = field(default_factory=lambda: {"g-2345": WINDOW})
    marks: frozenset[str] = frozenset({"hmac-sha256:token", "hmac-sha256:unlock", "hmac-sha256:model"})
    dying: bool = False

    def window(self, grant: str) -> Window | None:
        return self.windows.get(grant)

    def owns(self, mark: str) -> bool:
        return mark in self.marks

    def minting(self, at: datetime) -> bool:
        return self.dying


def seen(line, *, young=False, ours=None):
    found = judge(line, ours or Ours(), young=young)
    return found if isinstance(found, Later) else [one.what for one in found]


QUIET = {
    "a request": asked(answer(VOICE, **STRANGER)),
    "a minted token": answer(MINT, wrap="hmac-sha256:unlock", **GATE),
    "an artifact's key": answer(NEW_KEY, wrap="hmac-sha256:model", **GATE),
    "the run revokes itself": answer("auth/token/revoke-self", data=(), **RUN),
    "the custodian reads its index": answer("subjects/decrypt/index.digits", **CUSTODIAN),
    "the run reads the index": answer("subjects/decrypt/index.digits", **RUN),
    "the custodian writes a policy": answer("sys/policies/acl/run-digits-train", data=(), **CUSTODIAN),
    "the gate signs": answer("sign/sign/gate", **GATE),
    "a refused decrypt": answer(VOICE, error=DENIED, **RUN),
    "a login": answer("auth/userpass/login/eng.li", data=()),
    "an unwrap": answer(
        "sys/wrapping/unwrap", policies=("response-wrapping",), accessor="hmac-sha256:unlock"
    ),
}


@pytest.mark.parametrize("line", QUIET.values(), ids=QUIET)
def test_what_is_ours_is_nothing(line):
    assert seen(line) == []


def test_a_decrypt_counts_for_its_run():
    [found] = judge(answer(VOICE, **RUN), Ours(), young=False)
    assert (found.what, found.by, found.unit) == ("vault.decrypt", "r-2345", "digits.spk_aa")
    assert found.about["dataset"] == "digits"


STRANGE = {
    "a decrypt under no grant": (answer(VOICE, policies=("root",)), "vault.decrypt_of_no_grant"),
    "a decrypt with a copied grant": (answer(VOICE, **STRANGER), "vault.decrypt_of_no_grant"),
    "a decrypt after the window": (answer(VOICE, "12:09:00", **RUN), "vault.decrypt_of_no_grant"),
    "a voice that was not granted": (
        answer("subjects/decrypt/digits.spk_zz", **RUN),
        "vault.decrypt_of_no_grant",
    ),
    "the gate reads an index": (answer("subjects/decrypt/index.digits", **GATE), "vault.decrypt_of_no_grant"),
    "a token that no run has": (answer(MINT, wrap="hmac-sha256:other", **GATE), "vault.key_of_no_grant"),
    "a key that no run has": (answer(NEW_KEY, wrap="hmac-sha256:other", **GATE), "vault.key_of_no_grant"),
    "an artifact opened for nobody": (
        answer(OLD_KEY, wrap="hmac-sha256:other", **GATE),
        "vault.key_of_no_grant",
    ),
    "a plain key": (answer(NEW_KEY, policies=("root",)), "vault.key_of_no_grant"),
    "an export": (
        answer("subjects/export/encryption-key/digits.spk_aa", policies=("root",)),
        "vault.key_of_no_grant",
    ),
    "a moved mount": (answer("sys/remount", policies=("root",), data=()), "vault.key_of_no_grant"),
    "an unknown accessor": (answer("auth/token/lookup-self", **STRANGER), "vault.unknown_accessor"),
    "a wrap wrapped again": (
        answer("sys/wrapping/rewrap", wrap="hmac-sha256:o", **GATE),
        "vault.wrapped_again",
    ),
    "a new wrap": (answer("sys/wrapping/wrap", wrap="hmac-sha256:o", **GATE), "vault.wrapped_again"),
    "a policy by root": (
        answer("sys/policies/acl/run-digits-train", policies=("root",), data=()),
        "vault.policy_written",
    ),
    "a root attempt": (answer("sys/generate-root-token/attempt"), "vault.root_attempt"),
    "a refused root attempt": (
        answer("sys/generate-root-token/update", error=DENIED),
        "vault.root_attempt",
    ),
    "a refused login": (
        answer("auth/userpass/login/eng.li", error="invalid username or password"),
        "vault.login_refused",
    ),
}


@pytest.mark.parametrize(("line", "what"), STRANGE.values(), ids=STRANGE)
def test_each_stranger_is_named_for_what_it_is(line, what):
    assert seen(line) == [what]


WAITS = [
    "a token that no run has",
    "a key that no run has",
    "an artifact opened for nobody",
    "an unknown accessor",
]


@pytest.mark.parametrize("name", WAITS)
def test_what_the_gate_may_not_have_written_down_yet_is_looked_at_again(name):
    assert isinstance(seen(STRANGE[name][0], young=True), Later)


@pytest.mark.parametrize("name", sorted(set(STRANGE) - set(WAITS)))
def test_nothing_else_waits(name):
    assert seen(STRANGE[name][0], young=True) == [STRANGE[name][1]]


def test_a_wrap_of_a_run_that_died_while_it_was_minted_is_told_by_its_window():
    assert seen(STRANGE["a token that no run has"][0], ours=Ours(dying=True)) == []
    assert seen(STRANGE["a plain key"][0], ours=Ours(dying=True)) == ["vault.key_of_no_grant"]


def test_what_is_about_a_dataset_or_an_agreement_says_which():
    about = {name: judge(line, Ours(), young=False)[0].about for name, (line, _) in STRANGE.items()}
    assert about["a decrypt under no grant"]["dataset"] == "digits"
    assert about["an unknown accessor"]["dataset"] == "digits"
    assert about["a policy by root"]["dataset"] == "digits"
    assert about["an export"]["dataset"] == "digits"
    assert about["a key that no run has"]["agreement"] == "dsa-1"
    assert "dataset" not in about["a token that no run has"]


@pytest.mark.parametrize("line", [{}, {"type": "response"}, {"type": "response", "request": 1, "time": 2}])
def test_what_vault_does_not_write_is_refused(line):
    with pytest.raises((KeyError, TypeError, ValueError, AttributeError)):
        judge(line, Ours(), young=False)
