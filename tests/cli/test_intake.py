"""Party A packs at home; at the custodian it is received, reviewed by two people, accepted: at the terminal."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from sandbox import client
from sandbox.client.readers import read_names
from sandbox.custodian.consent import import_consents
from sandbox.custodian.desk import Desk
from sandbox.custodian.people import enter_person
from tests.cli.conftest import Sandbox
from tests.fakes.agreement import PARTY_A
from tests.fakes.consignment import studio
from tests.fakes.custody import FakeCustody
from tests.fakes.served import served, speak
from tests.fakes.studio import STEWARD, consent, make_desk, open_desk

PACK = (
    "--agreement",
    "dsa-2026-0001",
    "--dataset",
    "digits",
    "--to",
    "custodian.keys",
    "--key",
    "party-a.key",
)


@dataclass
class House:
    """A custodian behind its socket, spoken to by whoever is logged in."""

    desk: Desk
    who: str = STEWARD


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    house = House(open_desk(make_desk(tmp_path / "c", FakeCustody()), intake="consignment"))
    for name, role in (("b.privacy.1", "privacy_reviewer"), ("a.legal.1", "party_a_approver")):
        person = {"person": name, "party": "B", "roles": [role], "nda": {"expires": "2029-01-01"},
                  "training": {"course": "c", "valid_until": "2029-01-01"}}  # fmt: skip
        enter_person(house.desk, STEWARD, person)
    monkeypatch.chdir(tmp_path)
    pem = PARTY_A.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    Path("party-a.key").write_bytes(pem)
    Path("party-a.key").chmod(0o600)
    Path("party-a.pub").write_text(PARTY_A.public.text)
    studio(tmp_path / "studio")
    with served(house.desk, tmp_path / "api.sock") as socket:
        monkeypatch.setattr(client, "custodian", lambda state: speak(socket, house.who))
        yield house


def packed(sandbox: Sandbox, number: int = 1, *more: str) -> str:
    Path("custodian.keys").write_text(sandbox("data", "intake-key").out)
    said = sandbox(
        "data", "pack", "studio", "--number", str(number), *PACK, "-o", f"{number}.consignment", *more
    )
    assert said.code == 0, said.err
    return said.out


def received(house: House, sandbox: Sandbox, number: int = 1) -> str:
    packed(sandbox, number)
    people = read_names(Path("digits.names.csv")).values()
    import_consents(house.desk, STEWARD, [consent(name) for name in people])
    said = sandbox("data", "receive", f"{number}.consignment", "--json")
    assert said.code == 0, said.err
    return str(json.loads(said.out)["consignment"])


def test_the_whole_way_at_the_terminal(house: House, sandbox: Sandbox) -> None:
    assert "number 1: 4 recordings" in packed(sandbox)
    import_consents(
        house.desk, STEWARD, [consent(name) for name in read_names(Path("digits.names.csv")).values()]
    )
    said = sandbox("data", "receive", "1.consignment")
    assert said.code == 0 and "scanned: nothing of it is open" in said.out
    verify = (
        "data",
        "receipt-verify",
        "1.consignment.receipt.json",
        "1.consignment",
        "--custodian",
        "custodian.keys",
    )
    assert "4 files received by a.approver.1" in sandbox(*verify, "--party-a", "party-a.pub").out
    name = json.loads(sandbox("intake", "list", "--json").out)["consignment"]
    for house.who in ("b.privacy.1", "a.legal.1"):
        said = sandbox("intake", "review", name, "--all-met", "--waive", "chain_of_title=own studio")
        assert said.code == 0, said.err
    assert "reviewed   " in said.out and "b.privacy.1 and a.legal.1" in said.out
    house.who = STEWARD
    said = sandbox("intake", "accept", name)
    assert said.code == 0 and "its ciphertext is deleted" in said.out and "digits@1" in said.out
    shown = sandbox("intake", "show", name).out
    assert "accepted by a.approver.1" in shown and "chain_of_title=waived (own studio)" in shown
    assert "accepted" in sandbox("intake", "list").out


def test_packing_asks_no_service(house: House, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("custodian.keys").write_text(sandbox("data", "intake-key").out)
    monkeypatch.setattr(client, "custodian", lambda state: pytest.fail("a service was asked"))
    monkeypatch.setattr(client, "gate", lambda state: pytest.fail("a service was asked"))
    assert sandbox("data", "pack", "studio", "--number", "1", *PACK, "-o", "new.consignment").code == 0


def test_refusals_are_told_with_their_reasons(house: House, sandbox: Sandbox) -> None:
    name = received(house, sandbox)
    said = sandbox("intake", "review", name, "--all-met")
    assert said.code == 3 and "intake.own_receipt" in said.err
    house.who = "b.privacy.1"
    said = sandbox("intake", "review", name, "--met", "notice", "--not-met", "minors")
    assert said.code == 3 and "intake.checklist_incomplete" in said.err and "intake.not_met" in said.err
    assert sandbox("intake", "review", name, "--met", "notice", "--not-met", "notice").code == 2
    assert sandbox("intake", "review", name, "--waive", "notice").code == 2
    said = sandbox("intake", "accept", name)
    assert said.code == 3 and "person.not_permitted" in said.err


def test_a_rejection_is_written_as_a_statement(house: House, sandbox: Sandbox) -> None:
    name = received(house, sandbox)
    house.who = "b.privacy.1"
    said = sandbox("intake", "reject", name, "--reason", "no title", "-o", "rejection.json")
    assert said.code == 0 and "rejected" in said.out
    assert json.loads(Path("rejection.json").read_text())["payloadType"] == "application/vnd.in-toto+json"


def test_a_quarantine_is_told(house: House, sandbox: Sandbox) -> None:
    name = received(house, sandbox)
    house.who = "b.privacy.1"
    assert "quarantined" in sandbox("intake", "quarantine", name, "--reason", "in doubt").out


BAD = {
    "no such kind": ("--accept", "voice=x"),
    "no reason": ("--accept", "name="),
    "no number": ("--number", "0"),
    "a long utterance": ("--max-seconds", "301"),
    "another name": ("--dataset", "../x"),
}


@pytest.mark.parametrize("more", BAD.values(), ids=BAD.keys())
def test_bad_options_are_one_clear_error(house: House, sandbox: Sandbox, more: tuple[str, ...]) -> None:
    Path("custodian.keys").write_text(sandbox("data", "intake-key").out)
    said = sandbox("data", "pack", "studio", "--number", "1", *PACK, "-o", "new.consignment", *more)
    assert said.code == 2 and "Traceback" not in said.err and not Path("new.consignment").exists()


@pytest.mark.parametrize(
    "text", ["", "x", "ed25519:" + "A" * 43 + "=", "x25519:AAAA", "x25519:" + "A" * 43 + "=\n" * 2]
)
def test_a_file_of_keys_that_is_none_is_one_clear_error(house: House, sandbox: Sandbox, text: str) -> None:
    Path("custodian.keys").write_text(text)
    said = sandbox("data", "pack", "studio", "--number", "1", *PACK, "-o", "new.consignment")
    assert said.code in (2, 6) and "Traceback" not in said.err and not Path("new.consignment").exists()


def test_something_else_than_a_consignment_is_refused(house: House, sandbox: Sandbox) -> None:
    for body in (b"", b"x" * 5000):
        Path("new.consignment").write_bytes(body)
        said = sandbox("data", "receive", "new.consignment")
        assert said.code == 6 and "Traceback" not in said.err and not Path("new.consignment.receipt.json").exists()


def test_what_people_wrote_is_shown_as_it_stands(house: House, sandbox: Sandbox) -> None:
    """Signs that the terminal's library reads as colours neither vanish nor end it."""
    name = received(house, sandbox)
    house.who = "b.privacy.1"
    assert sandbox("intake", "quarantine", name, "--reason", "title [/b] in [red]doubt").code == 0
    said = sandbox("intake", "show", name)
    assert (said.code, "title [/b] in [red]doubt" in said.out) == (0, True), said.err


def test_a_name_in_brackets_is_no_colour(house: House, sandbox: Sandbox) -> None:
    Path("custodian.keys").write_text(sandbox("data", "intake-key").out)
    name = "[b]1[x].consignment"
    said = sandbox("data", "pack", "studio", "--number", "1", *PACK, "-o", name)
    assert (said.code, f"written    {name}" in said.out) == (0, True), said.err
    got = sandbox("data", "receive", name)
    assert (got.code, f"receipt    {name}.receipt.json" in got.out) == (0, True), got.err
