"""Real speech from Party A's desk to its erasure, by the command line alone: pack, receive, review, accept, run,
withdraw, erase, certificate."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from sandbox.demo import speech
from sandbox.demo.attempts import AUDITOR, ENGINEER, STEWARD
from sandbox.demo.story import APPROVER, CONSENT, REVIEWERS, SEASON, Stage
from tests.e2e.conftest import Stack
from tests.e2e.running import QUIET, Runs

AGREEMENT, DATASET = "dsa-2026-0007", "studio"
PARTY_A = "party A"  # somebody without a login here


@pytest.fixture(scope="module")
def keys(stage: Stage, stack: Stack) -> Path:
    """An agreement of its own, whose one dataset comes in by reviewed consignments; both parties' keys beside it."""
    desk = stage.work / "consignment"
    desk.mkdir(mode=0o700)
    demo = (stage.source / "configs/agreements/demo.yaml").read_text()
    file = desk / f"{AGREEMENT}.yaml"
    changes = (
        ("id: dsa-2026-0001", f"id: {AGREEMENT}"),
        ("- id: digits", f"- id: {DATASET}"),
        ("    intake: direct\n", ""),
    )
    for old, new in changes:
        assert old in demo
        demo = demo.replace(old, new, 1)
    file.write_text(demo)
    for party in "ab":
        stack.must(PARTY_A, "agreement", "keygen", str(desk / f"party-{party}"))
        stack.must(PARTY_A, "agreement", "sign", str(file), "--key", str(desk / f"party-{party}.key"))
    pubs = ("--party-a-key", str(desk / "party-a.pub"), "--party-b-key", str(desk / "party-b.pub"))
    stack.must(APPROVER, "agreement", "activate", str(file), *pubs)
    until = ("--purpose", "train", "--until", SEASON)
    stack.must(APPROVER, "access", "grant", ENGINEER, "--dataset", DATASET, *until)
    return desk


def test_from_party_as_desk_to_a_certificate_of_erasure(
    stage: Stage, stack: Stack, runs: Runs, keys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(keys)  # the certificate is written beside the caller
    studio, parcel, names = keys / "studio", keys / "1.consignment", keys / "names.csv"
    assert speech.gather_digits(studio, "Allison Smith") == 31
    made = stack.must(STEWARD, "data", "intake-key").last
    (keys / "custodian.keys").write_text("\n".join([made["intake"], *made["signing"]]))

    packed = stack.must(
        PARTY_A, "data", "pack", str(studio), "--agreement", AGREEMENT, "--dataset", DATASET, "--number", "1",
        "--to", str(keys / "custodian.keys"), "--key", str(keys / "party-a.key"), "--names", str(names),
        "--redact", "-o", str(parcel),
    ).last  # fmt: skip
    ((who, subject),) = csv.reader(names.read_text().splitlines())
    assert (who, packed["subjects"], packed["files"]) == ("Allison Smith", [subject], 31)
    assert b"Allison" not in parcel.read_bytes()

    done = stack.must(STEWARD, "data", "receive", str(parcel)).last
    name = str(done["consignment"])
    assert (done["state"], done["files"]) == ("scanned", 31)
    stack.must(
        PARTY_A, "data", "receipt-verify", f"{parcel}.receipt.json", str(parcel),
        "--custodian", str(keys / "custodian.keys"), "--party-a", str(keys / "party-a.pub"),
    )  # fmt: skip

    refused = stack.ask(REVIEWERS[0], "intake", "review", name, "--all-met")
    assert refused.code == 3 and refused.reasons() == ["intake.consent_missing"]
    stack.must(STEWARD, "consent", "give", subject, "--dataset", DATASET, *CONSENT)
    stack.must(REVIEWERS[0], "intake", "review", name, "--all-met")
    assert stack.ask(REVIEWERS[0], "intake", "review", name, "--all-met").reasons() == [
        "intake.same_reviewer"
    ]
    assert stack.ask(STEWARD, "intake", "accept", name).reasons() == ["intake.transition_illegal"]
    stack.must(REVIEWERS[1], "intake", "review", name, "--all-met")
    lines = stack.must(STEWARD, "intake", "accept", name).lines
    assert lines[-1]["state"] == "accepted"
    assert [line["added"] for line in lines if line["event"] == "sealed"] == [31]
    shown = stack.must(AUDITOR, "intake", "show", name).last
    assert [step["by"] for step in shown["history"]] == [STEWARD, "custodian", *REVIEWERS, STEWARD]
    assert not list(stack.places.custodian.glob("consignments/*.consignment"))

    path = stage.config("probe", agreement=AGREEMENT, dataset=DATASET, parameters=QUIET)
    recipes = str(stage.source / "recipes")
    run = str(stack.must(ENGINEER, "run", str(path), "--recipes", recipes, "--detach").last["run"])
    settled = runs.settled(run)
    assert (settled["outcome"], settled["metrics"]["utterances"][0]["value"]) == ("finished", 31)
    runs.leaves_nothing(settled)

    stack.must(STEWARD, "consent", "withdraw", subject, "--dataset", DATASET)
    assert stack.ask(ENGINEER, "run", str(path), "--recipes", recipes).reasons() == ["consent.withdrawn"]
    stack.must(STEWARD, "erase", subject, "--dataset", DATASET)
    assert stack.ask(ENGINEER, "run", str(path), "--recipes", recipes).reasons() == ["subjects.empty"]
    named = stage.config("probe", agreement=AGREEMENT, dataset=DATASET, subjects=[subject])
    assert "subject.erased" in stack.ask(ENGINEER, "run", str(named), "--recipes", recipes).reasons()
    said = stack.must(AUDITOR, "audit", "certificate", f"erasure-{subject}-{DATASET}.dsse.json").last
    assert said["holds"]
    assert [model["status"] for model in said["derived"]] == [f"tainted: erased {DATASET}/{subject}"]
    assert stack.ask(AUDITOR, "audit", "verify").code == 0


def test_the_steward_cannot_seal_such_a_dataset_directly(stage: Stage, stack: Stack, keys: Path) -> None:
    words = ("--dataset", DATASET, "--agreement", AGREEMENT, "--add")
    folder = str(stage.work / "speech" / "digits")
    assert stack.ask(STEWARD, "data", "seal", folder, *words).reasons() == ["dataset.intake_required"]
