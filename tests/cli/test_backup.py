"""`sandbox backup`: what is refused before anything is touched, and where a list of erasures may come from."""

from __future__ import annotations

import base64
import json

import pytest

from sandbox.cli.backup_inputs import listed
from sandbox.errors import Usage

ENTRY = '{"payload":"e30=","payloadType":"application/vnd.in-toto+json","signatures":[]}'


def test_a_list_comes_from_erase_or_out_of_an_evidence_pack(tmp_path):
    (tmp_path / "list").write_text(f"{ENTRY}\n{ENTRY}\n")
    packed = [base64.b64encode(ENTRY.encode()).decode()]
    (tmp_path / "pack").write_text(
        json.dumps({"evidence": {"erasures": packed}, "tracking": {}, "vault": ""})
    )
    assert listed(tmp_path / "list") == (ENTRY, ENTRY)
    assert listed(tmp_path / "pack") == (ENTRY,)
    (tmp_path / "nobody").write_text("")  # as it is before anybody was erased
    assert listed(None) == listed(tmp_path / "nobody") == ()


@pytest.mark.parametrize("text", ["no json", "[]", '{"evidence": {}}'], ids=["text", "list", "old pack"])
def test_what_is_no_list_is_refused(tmp_path, text):
    (tmp_path / "list").write_text(text)
    with pytest.raises(Usage):
        listed(tmp_path / "list")


def test_a_restore_asks_who_was_erased_since(sandbox, tmp_path):
    (tmp_path / "key").write_text("{}")
    said = sandbox("backup", "restore", str(tmp_path), "--seal-key", str(tmp_path / "key"))
    assert said.code == 2 and "who was erased" in said.err


def test_something_else_is_no_seal_key(sandbox, tmp_path):
    (tmp_path / "key").write_text("{}")
    words = ["backup", "restore", str(tmp_path), "--seal-key", str(tmp_path / "key"), "--no-erasures"]
    said = sandbox("--state", str(tmp_path / "s"), *words)
    assert said.code == 2 and "no copy of a seal key" in said.err and not (tmp_path / "s").exists()


def test_a_drill_wants_a_copy_of_the_key(sandbox, tmp_path):
    said = sandbox("--state", "/nowhere/s", "backup", "drill")
    assert said.code != 0 and "copy of the seal key" in said.err
