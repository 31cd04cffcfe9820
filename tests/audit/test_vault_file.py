"""The join on lines that a real OpenBao wrote: a run as the product makes it, then a thief with every right."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import pytest

from sandbox.audit import VaultReport, Window, join
from sandbox.errors import KeyBarred, SandboxError, SealBroken
from sandbox.vault.custody import Custody
from sandbox.vault.http import Vault
from sandbox.vault.keys import context
from sandbox.vault.minting import USES_BESIDES_KEYS, Minting
from sandbox.vault.session import RUN_TOKEN, Session, unwrap_artifact_key
from tests.vault.plugin import RealVault

pytestmark = pytest.mark.needs_vault

ANNA, BEN = "spk_anna", "spk_ben0"


@dataclass
class Place:
    """A dataset of two voices, one of them barred, and where its lines begin in Vault's file."""

    vault: RealVault
    custodian: Custody
    dataset: str
    agreement: str
    wraps: dict[str, str]
    start: int

    def report(self, *windows: Window) -> VaultReport:
        return join(self.vault.audited()[self.start :], windows)

    @property
    def anna(self) -> str:
        return f"subjects/decrypt/{self.dataset}.{ANNA}"

    @property
    def asked(self) -> dict[str, object]:
        return {"ciphertext": self.wraps[ANNA], "context": context(self.dataset)}


@pytest.fixture
def place(real_vault: RealVault, custodian: Custody, fresh: Callable[[str], str]) -> Place:
    made = Place(real_vault, custodian, fresh("ds"), fresh("dsa-"), {}, 0)
    for subject in ("_index", ANNA, BEN):
        custodian.create_subject_key(made.dataset, subject)
        made.wraps[subject] = custodian.wrap_data_key(made.dataset, subject, secrets.token_bytes(32))
    custodian.write_run_policy(made.dataset, "train", barred=[BEN])
    custodian.create_derivatives_key(made.agreement)
    made.start = len(real_vault.audited())
    return made


@pytest.fixture
def window(place: Place, gate: Minting) -> Window:
    """A run through its whole way, as launcher and keeper go it; what the gate then knows of it."""
    began = datetime.now(UTC)
    uses = 4 + USES_BESIDES_KEYS
    token = gate.mint_run(place.dataset, "train", "r-abc234", "g-abc234", uses=uses, ttl_s=60, wrap_ttl_s=30)
    key = gate.new_artifact_key(place.agreement, "r-abc234", "model.safetensors", 30)
    made = _unlock(place, token.wrap.token, key.token)
    again = gate.open_artifact_key(place.agreement, "r-abc234", "model.safetensors", made, 30)
    return Window(
        run="r-abc234",
        grant="g-abc234",
        subjects=frozenset({f"{place.dataset}.{ANNA}"}),
        began=began,
        ended=datetime.now(UTC),
        wraps=frozenset(gate.audit_hash(wrap.accessor) for wrap in (token.wrap, key, again)),
        token=gate.audit_hash(token.wrapped_accessor),
        unlocked=True,
    )


def _unlock(place: Place, token: str, key: str) -> str:
    with (
        place.vault.door() as door,
        closing(Session.open(door, place.vault.ca_pem, token, RUN_TOKEN)) as session,
    ):
        made = unwrap_artifact_key(session, key, f"derivatives/datakey/plaintext/{place.agreement}")
        for subject in ("_index", ANNA):
            session.unwrap_data_key(place.dataset, subject, place.wraps[subject])
        with pytest.raises(KeyBarred):
            session.unwrap_data_key(place.dataset, BEN, place.wraps[BEN])
        with pytest.raises(SealBroken):
            session.unwrap_data_key(place.dataset, ANNA, place.wraps[BEN])
        session.revoke_self()
    return made.wrapped


def test_a_run_and_the_custodians_own_index_reads_leave_no_fault(place: Place, window: Window) -> None:
    place.custodian.unwrap_index_key(place.dataset, place.wraps["_index"])
    report = place.report(window)
    assert report.faults == ()
    assert [(d.key, d.run) for d in report.decrypts] == [(f"{place.dataset}.{ANNA}", "r-abc234")]
    assert report.inside == 1 and report.requests > 10


def test_a_run_whose_wraps_nobody_stored_is_named(place: Place, window: Window) -> None:
    said = [fault.partition(": ")[2] for fault in place.report(replace(window, wraps=frozenset())).faults]
    assert said == [
        f"{path} was answered, and no run has that credential"
        for path in (
            "auth/token/create/run",
            f"derivatives/datakey/plaintext/{place.agreement}",
            f"derivatives/decrypt/{place.agreement}",
        )
    ]


@contextlib.contextmanager
def thief(place: Place, **more: object) -> Iterator[tuple[Vault, Vault]]:
    """Somebody with the recovery shares, and a token of their own under the policy that the custodian wrote."""
    with place.vault.administrator() as root:
        body = {"policies": [f"run-{place.dataset}-train"], "ttl": "60s", **more}
        token = root.write("auth/token/create", body)["auth"]["client_token"]
        with closing(place.vault.raw(token)) as own:
            yield root, own


def test_a_thief_under_a_runs_policy_is_named(place: Place, window: Window) -> None:
    with thief(place) as (_, own):
        own.write(place.anna, place.asked)
        own.write(place.anna, place.asked, wrap_ttl_s=30)
    report = place.report(window)
    assert [fault.partition(": ")[2] for fault in report.faults] == [
        f"{place.dataset}.{ANNA} was decrypted under no grant"
    ] * 2
    assert (len(report.decrypts), report.inside) == (3, 1)


def test_a_thief_with_a_copied_grant_id_is_named(place: Place, window: Window) -> None:
    with thief(place, meta={"grant_id": "g-abc234", "run_id": "r-abc234"}) as (_, own):
        own.write(place.anna, place.asked)
    (fault,) = place.report(replace(window, ended=None)).faults
    assert fault.endswith("was decrypted with a credential that g-abc234 was never given")


def test_a_thief_at_the_keys_themselves_is_named(place: Place, window: Window) -> None:
    key = f"{place.dataset}.{ANNA}"
    with thief(place) as (root, _):
        root.write(place.anna, {"batch_input": [place.asked]})
        root.write(f"subjects/datakey/plaintext/{key}", {"context": context(place.dataset)})
        root.write(f"subjects/keys/{key}/config", {"exportable": True, "allow_plaintext_backup": True})
        root.read(f"subjects/export/encryption-key/{key}")
        root.read(f"subjects/backup/{key}")
    assert [fault.partition(": ")[2] for fault in place.report(window).faults] == [
        f"{key} was decrypted under no grant",
        f"subjects/datakey/plaintext/{key} gave keys away, under no grant",
        f"subjects/export/encryption-key/{key} gave keys away, under no grant",
        f"subjects/backup/{key} gave keys away, under no grant",
    ]


def test_what_vault_refuses_is_no_decrypt(place: Place, window: Window) -> None:
    with thief(place) as (root, own):
        for hand, path in (
            (own, f"subjects/decrypt/{place.dataset}.{BEN}"),
            (own, "sys/remount"),
            (root, f"subjects/export/encryption-key/{place.dataset}.{ANNA}"),
            (root, f"subjects/backup/{place.dataset}.{ANNA}"),
        ):
            with pytest.raises(SandboxError):
                hand.write(path, place.asked) if hand is own else hand.read(path)
    assert place.report(window).faults == ()
