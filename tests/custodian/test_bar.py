"""Who is barred, and since when: absent is no, withdrawal bites at once, an inactive agreement closes everything."""

from datetime import timedelta

import pytest

from sandbox.custodian.bar import barred, refresh_policies
from sandbox.custodian.consent import import_consents, withdraw_consent
from sandbox.custodian.seal import seal_upload
from sandbox.custodian.status import activate, set_status
from sandbox.errors import NotFound, Refused, StatementError
from sandbox.policy.entries import ConsentEntry
from tests.fakes.agreement import PARTY_A, agreement_yaml, signed
from tests.fakes.custody import FakeCustody
from tests.fakes.studio import NOW, STEWARD, activation, consent, facts, make_desk, open_desk, upload, wave


@pytest.fixture
def sealed(desk):
    import_consents(desk, STEWARD, [consent("spk_anna"), consent("spk_ben0")])
    list(seal_upload(desk, STEWARD, upload([(facts(0), wave(0)), (facts(1, "spk_ben0"), wave(1))])))
    return desk


def entry(**changes):
    return ConsentEntry.model_validate({"record_id": "cr-2222", **consent(**changes)})


CASES = {
    "given": ({}, "train", False, False),
    "withdrawn": ({"status": "ConsentWithdrawn"}, "train", False, True),
    "refused": ({"status": "ConsentRefused"}, "train", False, True),
    "unknown": ({"status": "ConsentUnknown"}, "train", False, True),
    "expired": ({"expires": "2026-11-01"}, "train", False, True),
    "not yet given": ({"given_at": "2026-12-01"}, "train", False, True),
    "no biometric": ({"scope": {"process_voice_biometric": False}}, "train", False, True),
    "no synthesis": ({"scope": {"ai_synthesis_of_my_voice": False}}, "train", False, True),
    "recipient not named": ({}, "train", True, True),
    "recipient named": ({"scope": {"recipient_party_b": True}}, "train", True, False),
    "serving not consented": ({}, "serve_custom_tts", False, True),
    "serving consented": ({"scope": {"serve_to_third_parties": True}}, "serve_custom_tts", False, False),
    "for another dataset": ({"dataset": "others"}, "train", False, True),
}


@pytest.mark.parametrize(("changes", "purpose", "provided", "out"), CASES.values(), ids=CASES)
def test_consent_by_purpose(changes, purpose, provided, out):
    given = entry(**changes)
    found = barred("digits", ["spk_anna"], purpose, {given.key: given}, provided, NOW)
    assert found == (["spk_anna"] if out else [])


def test_absent_is_no():
    assert barred("digits", ["spk_anna"], "train", {}, False, NOW) == ["spk_anna"]


def test_a_withdrawal_bars_at_once_and_that_subject_alone(sealed):
    assert sealed.vault.policies["digits/train"] == []
    withdraw_consent(sealed, STEWARD, "digits", "spk_anna")
    assert sealed.vault.policies == {"digits/train": ["spk_anna"], "digits/test": ["spk_anna"]}
    with pytest.raises(NotFound):
        withdraw_consent(sealed, STEWARD, "digits", "spk_nobody")


def test_a_consent_that_ran_out_bars_at_the_next_refresh(sealed):
    import_consents(sealed, STEWARD, [consent("spk_anna", expires="2026-12-01")])
    sealed.clock.now = NOW + timedelta(days=10)
    refresh_policies(sealed, "digits")
    assert sealed.vault.policies["digits/train"] == ["spk_anna"]


def test_no_policy_once_the_dataset_may_not_be_kept(sealed):
    sealed.clock.now = NOW + timedelta(days=100)
    refresh_policies(sealed, "digits")
    assert sealed.vault.policies == {}


def test_no_policy_for_a_purpose_that_the_dataset_was_not_given_for(sealed):
    assert set(sealed.vault.policies) == {"digits/train", "digits/test"}


@pytest.mark.parametrize("status", ["suspended", "terminated"])
def test_an_agreement_that_is_not_active_has_no_policies(sealed, status):
    set_status(sealed, STEWARD, "dsa-2026-0001", status)
    assert sealed.vault.policies == {}
    refresh_policies(sealed, "digits")
    assert sealed.vault.policies == {}


def test_a_suspended_agreement_may_go_on_and_an_ended_one_may_not(sealed):
    set_status(sealed, STEWARD, "dsa-2026-0001", "suspended")
    set_status(sealed, STEWARD, "dsa-2026-0001", "active")
    assert set(sealed.vault.policies) == {"digits/train", "digits/test"}
    set_status(sealed, STEWARD, "dsa-2026-0001", "terminated")
    with pytest.raises(Refused):
        set_status(sealed, STEWARD, "dsa-2026-0001", "active")


def test_activation_makes_the_derivatives_key_and_keeps_the_exact_bytes(desk):
    data = agreement_yaml()
    entry = desk.now("status").statuses["dsa-2026-0001"]
    assert desk.vault.derivatives == {"dsa-2026-0001"}
    assert (desk.agreements / f"{entry.digest}.yaml").read_bytes() == data


def bodies():
    data = agreement_yaml()
    changed = data.replace(b"P30D", b"P90D", 1)
    return {
        "one party alone": (activation(data, signed(data, PARTY_A)), StatementError),
        "one party twice": ({**activation(data), "party_b_key": PARTY_A.public.text}, StatementError),
        "a byte changed": (activation(changed, signed(data)), StatementError),
        "incomplete source": (activation(agreement_yaml(complete="false")), Refused),
        "version out of order": (activation(agreement_yaml(version=2)), Refused),
    }


@pytest.mark.parametrize("case", list(bodies()))
def test_what_may_not_be_activated(tmp_path, case):
    body, error = bodies()[case]
    desk = make_desk(tmp_path, FakeCustody())
    from sandbox.custodian.people import first_person

    first_person(desk, STEWARD, lambda password: None)
    with pytest.raises(error):
        activate(desk, STEWARD, body)
    assert desk.registers.entries("status") == [] and desk.vault.derivatives == set()


def test_a_later_version_needs_the_pinned_keys(desk):
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from sandbox.statements import Ed25519Signer

    stranger = Ed25519Signer(Ed25519PrivateKey.generate())
    data = agreement_yaml(version=2, supersedes=desk.now("status").statuses["dsa-2026-0001"].digest)
    body = {**activation(data, signed(data, PARTY_A, stranger)), "party_b_key": stranger.public.text}
    with pytest.raises(Refused) as caught:
        activate(desk, STEWARD, body)
    assert caught.value.code == "agreement.keys_pinned"
    assert activate(desk, STEWARD, activation(data))["version"] == 2


def test_provided_data_needs_the_recipient_named(tmp_path):
    desk = open_desk(make_desk(tmp_path, FakeCustody()), model="provided")
    import_consents(desk, STEWARD, [consent("spk_anna")])
    list(seal_upload(desk, STEWARD, upload([(facts(0), wave(0))])))
    assert desk.vault.policies["digits/train"] == ["spk_anna"]
