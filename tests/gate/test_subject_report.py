"""What is held of one person, from custodian and gate, sealed for Party A: all of it, and of nobody else."""

from __future__ import annotations

import json
from contextlib import contextmanager

import pytest

from sandbox import client
from sandbox.cli.main import main
from sandbox.client.subject_letter import open_letter, seal_letter, verified
from sandbox.consignment.envelope import IntakeKey, draw_private
from sandbox.custodian import subject_report as custodian_report
from sandbox.custodian.consent import withdraw_consent
from sandbox.errors import EvidenceMismatch, NotFound, NotPermitted, StatementError, Usage
from sandbox.gate.subjects import rights, subject_report
from sandbox.runs import Trust
from sandbox.statements import open_statement
from tests.fakes.studio import STEWARD
from tests.gate.world import ANNA, BEN, DATASET, ENGINEER, admit, request, run_of


@pytest.fixture
def parts(world, gate):
    """A house in which Anna and Ben were heard together and Ben alone, and both withdrew."""
    both, bens = run_of(gate), run_of(gate, request(subjects=(BEN,)))
    for name in (ANNA, BEN):
        withdraw_consent(world.desk, STEWARD, DATASET, name)
    rights.honour(gate, gate.registers.read())
    with pytest.raises(Exception, match="rules say no"):
        admit(gate)
    said = {
        "custodian": custodian_report.report(world.desk, STEWARD, ANNA)["statement"],
        "gate": subject_report.report(gate, STEWARD, ANNA)["statement"],
    }
    return world, gate, said, both, bens


def read(world, said, hand):
    return open_statement(said[hand].encode(), "subject-report", world.keys(hand)).predicate


def test_the_custodian_tells_datasets_records_and_the_history_of_consents(parts):
    world, _, said, *_ = parts
    told = read(world, said, "custodian")
    (dataset,) = told["datasets"]
    (record,) = dataset["records"]
    assert (dataset["dataset"], dataset["versions"][0]["version"], dataset["erased"]) == (DATASET, 1, False)
    assert record["milliseconds"] == 200 and record["sealed_bytes"] > 0 and record["language"] == "en"
    assert [one["status"] for one in told["consents"]] == ["ConsentGiven", "ConsentWithdrawn"]
    assert told["stands"][0]["status"] == "ConsentWithdrawn" and "sealed" in told["not_here"]


def test_the_gate_tells_runs_decisions_models_and_the_log(parts):
    world, gate, said, both, bens = parts
    told = read(world, said, "gate")
    assert [run["id"] for run in told["runs"]] == [both.id] and told["runs"][0]["person"] == ENGINEER
    assert [model["model"] for model in told["models"]] == ["hum@1"]
    assert (
        told["models"][0]["withdrawn"] == f"{DATASET}/{ANNA} {DATASET}/(another)" and told["releases"] == []
    )
    assert [(one["permitted"], one["reasons"]) for one in told["decisions"] if not one["permitted"]] == [
        (False, ["consent.withdrawn"])
    ]
    kinds = {json.loads(one["entry"])["kind"] for one in told["log"]}
    assert {"decision", "state", "withdrawal"} <= kinds
    assert bens.id not in json.dumps(told["runs"]) and told["privacy"]
    asked = [e for e in gate.house.store.read(subject_report.log.entries) if b"subject-report" in e]
    assert len(asked) == 1 and STEWARD.encode() in asked[0]


def test_nobody_else_stands_in_it(parts):
    _, _, said, *_ = parts
    import base64

    for text in said.values():
        assert BEN.encode() not in base64.b64decode(json.loads(text)["payload"])


def test_who_may_ask_and_about_whom(world, gate):
    for ask in (
        lambda *a: custodian_report.report(world.desk, *a),
        lambda *a: subject_report.report(gate, *a),
    ):
        with pytest.raises(NotPermitted):
            ask(ENGINEER, ANNA)
        with pytest.raises(Usage):
            ask(STEWARD, "../spk_anna")
    with pytest.raises(NotFound):
        custodian_report.report(world.desk, STEWARD, "spk_nobody")


def test_party_a_alone_opens_the_letter_and_any_change_shows(parts):
    world, _, said, *_ = parts
    private = draw_private()
    letter = seal_letter({"subject": ANNA, **said}, ANNA, IntakeKey.of_private(private))
    assert said["custodian"].encode()[:40] not in letter
    keys = {hand: world.keys(hand) for hand in ("custodian", "gate")}
    assert set(verified(open_letter(letter, private), keys)) == {"subject", "custodian", "gate"}
    with pytest.raises(EvidenceMismatch, match="another key"):
        open_letter(letter, draw_private())
    at = letter.index(b"\n")
    for place in (at + 1, at + 40, len(letter) - 1):
        changed = bytearray(letter)
        changed[place] ^= 1
        with pytest.raises(EvidenceMismatch, match="altered"):
            open_letter(bytes(changed), private)
    with pytest.raises(EvidenceMismatch, match="altered"):
        open_letter(letter.replace(b'"subject":"spk_anna"', b'"subject":"spk_ben0"'), private)
    for junk in (b"", b"\n", b"{}\n", b'{"format":"x"}\n', letter[at:]):
        with pytest.raises(StatementError):
            open_letter(junk, private)


def test_a_part_that_another_signed_or_about_another_is_refused(parts):
    world, gate, said, *_ = parts
    keys = {hand: world.keys(hand) for hand in ("custodian", "gate")}
    bens = subject_report.report(gate, STEWARD, BEN)["statement"]
    for content in (
        {"subject": ANNA, "custodian": said["gate"], "gate": said["gate"]},
        {"subject": ANNA, "custodian": said["custodian"], "gate": bens},
        {"subject": ANNA, "custodian": said["custodian"]},
        {"subject": BEN, **said},
    ):
        with pytest.raises(StatementError):
            verified(content, keys)


def test_a_key_that_shares_no_secret_is_refused():
    with pytest.raises(Usage):
        seal_letter({}, ANNA, IntakeKey(bytes(32)))


@pytest.fixture
def desk_of_party_a(parts, tmp_path, monkeypatch):
    """The command line, with both services behind it, in a folder of Party A's."""
    world, gate, *_ = parts

    def speaking(ask):
        class Service:
            def post(self, path, body=None):
                return ask(STEWARD, path.split("/")[3])

        @contextmanager
        def service(state):
            yield Service()

        return service

    monkeypatch.setattr(client, "custodian", speaking(lambda *a: custodian_report.report(world.desk, *a)))
    monkeypatch.setattr(client, "gate", speaking(lambda *a: subject_report.report(gate, *a)))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "trust.json").write_bytes(
        Trust("", tuple(world.keys("gate")), tuple(world.keys("custodian"))).to_bytes()
    )
    return tmp_path


def test_from_key_to_readable_file(desk_of_party_a, capsys):
    folder = desk_of_party_a
    assert main(["subject", "keygen", "desk"]) == 0
    assert (folder / "desk.key").stat().st_mode & 0o777 == 0o600
    assert main(["subject", "export", ANNA, "--to", "desk.pub", "-o", "anna.export"]) == 0
    assert ANNA not in (folder / "anna.export").read_text("latin-1").partition("\n")[2]
    opening = [
        "subject",
        "open",
        "anna.export",
        "--key",
        "desk.key",
        "--trust",
        "trust.json",
        "-o",
        "anna.json",
    ]
    assert main(opening) == 0
    said = capsys.readouterr().out
    assert "Recordings and transcripts are not in this export" in said
    assert "records 1, consents 2, runs 1, decisions 2, models 1, releases 0" in said
    assert json.loads((folder / "anna.json").read_text())["gate"]["runs"]
    assert main(opening) == 2  # it overwrites nothing
    (folder / "desk.key").chmod(0o644)
    assert main([*opening[:-1], "again.json"]) == 2
    assert "can be read by others" in capsys.readouterr().err


def test_an_export_to_something_else_than_a_key_is_refused(desk_of_party_a, capsys):
    (desk_of_party_a / "odd.pub").write_text("ed25519:AAAA\n")
    assert main(["subject", "export", ANNA, "--to", "odd.pub", "-o", "x"]) == 2
    assert "x25519:BASE64" in capsys.readouterr().err and not (desk_of_party_a / "x").exists()
