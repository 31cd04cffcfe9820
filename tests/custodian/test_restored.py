"""What a restore left to be honoured: a list of something else stops the start with one clear error, unharmed."""

import json

import pytest

from sandbox.custodian.restored import bring_up_to_date
from sandbox.custodian.seal import seal_upload
from sandbox.errors import StatementError
from sandbox.statements import sign_statement
from tests.fakes.erasing import erase
from tests.fakes.studio import STEWARD, facts, upload, wave


@pytest.fixture
def sealed(desk):
    list(seal_upload(desk, STEWARD, upload([(facts(0), wave(0))])))
    return desk


def other_register(desk):
    return desk.registers.envelopes("people")[0].decode()


def certificate(desk):
    return erase(desk, STEWARD, "spk_anna")[0]["certificate"]


def no_place(desk):
    return sign_statement("erasure", [], {"seq": None, "previous": None}, [desk.signer]).decode()


@pytest.mark.parametrize("what", [other_register, certificate, no_place, lambda _: "no envelope"])
def test_a_list_of_something_else_is_named_and_stays_to_be_mended(sealed, tmp_path, what):
    note = tmp_path / "restored.json"
    note.write_text(json.dumps({"erasures": [what(sealed)]}))
    with pytest.raises(StatementError):
        bring_up_to_date(sealed, note)
    assert note.exists() and not any(name.startswith("digits/") for name in sealed.vault.policies)
    with pytest.raises(StatementError):
        bring_up_to_date(sealed, note)


@pytest.mark.parametrize("text", ["{}", "[]", "no JSON", '{"erasures": null}'])
def test_a_note_that_is_none_is_named(sealed, tmp_path, text):
    (tmp_path / "restored.json").write_text(text)
    with pytest.raises(StatementError) as refused:
        bring_up_to_date(sealed, tmp_path / "restored.json")
    assert refused.value.code == "restore.note"
