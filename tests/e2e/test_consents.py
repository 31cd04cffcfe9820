"""A data subject's consent on real parts: signed by Party A, withdrawn in seconds, exported for Party A alone."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from sandbox.client import Address
from sandbox.demo.attempts import AUDITOR, ENGINEER, STEWARD
from sandbox.demo.story import SEASON
from tests.e2e.running import Runs

SUBJECT, DATASET = "spk_19c0", "voices"
RECORD = f"""\
- record_id: cr-e2e001
  subject: {SUBJECT}
  dataset: {DATASET}
  status: dpv:ConsentGiven
  given_at: GIVEN
  expires: {SEASON}
  age_band: adult
  evidence: {{sha256: {"8" * 64}, signed_by: subject, method: handwritten}}
  notice_sha256: {"4" * 64}
  scope: {{process_voice_biometric: true, ai_synthesis_of_my_voice: true}}
  withdrawal: {{channel: https://b.example/rights, at: null}}
"""


def given(runs: Runs, folder: Path, record: str) -> str:
    """A consent as of now, signed by Party A and imported; its file."""
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    file = folder / f"{record}.yaml"
    file.write_text(RECORD.replace("GIVEN", now).replace("cr-e2e001", record))
    unsigned = runs.stack.ask(STEWARD, "consent", "import", str(file))
    assert unsigned.code == 2 and "nobody has signed" in unsigned.text
    key = runs.stage.work / "parties" / "party-a.key"
    runs.stack.must("party A", "consent", "sign", str(file), "--key", str(key))
    assert runs.stack.must(STEWARD, "consent", "import", str(file)).last["entered"] == 1
    return str(file)


def test_a_consent_that_party_a_signed_is_withdrawn_in_seconds_and_exported(
    runs: Runs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    file = given(runs, tmp_path, "cr-e2e001")
    changes = {"steps": 10_000, "sleep_ms": 100, "attempts": False}
    path = runs.stage.config("probe", dataset=DATASET, parameters=changes)
    recipes = str(runs.stage.source / "recipes")
    run = str(runs.stack.must(ENGINEER, "run", str(path), "--recipes", recipes, "--detach").last["run"])
    runs.until(run, "training")

    runs.stack.must(STEWARD, "consent", "withdraw", SUBJECT, "--dataset", DATASET)
    began = time.monotonic()
    runs.until(run, "ended", "settled", limit_s=30)
    stopped = time.monotonic() - began
    shown = runs.settled(run)
    assert shown["outcome"] == "killed" and shown["killed_by"] == "gate"
    print(f"stopped {stopped:.2f} s after the withdrawal's answer")

    assert runs.stack.ask(STEWARD, "consent", "import", file).code == 3  # an old file gives nothing back
    assert runs.stack.ask(ENGINEER, "runs", "again", run).code == 3  # the agreement says stop
    history = runs.stack.must(STEWARD, "consent", "show", SUBJECT, "--dataset", DATASET).last
    assert [one["status"] for one in history["items"]][-2:] == ["ConsentGiven", "ConsentWithdrawn"]

    runs.stack.must("party A", "subject", "keygen", str(tmp_path / "desk"))
    letter, told = str(tmp_path / "one.export"), str(tmp_path / "one.json")
    runs.stack.must(STEWARD, "subject", "export", SUBJECT, "--to", str(tmp_path / "desk.pub"), "-o", letter)
    trust = str(Address.of(runs.stack.house.state).trust)
    key = str(tmp_path / "desk.key")
    runs.stack.must("party A", "subject", "open", letter, "--key", key, "--trust", trust, "-o", told)
    found = json.loads(Path(told).read_text())
    assert run in {one["id"] for one in found["gate"]["runs"]}
    assert found["custodian"]["datasets"][0]["records"]
    asked = ("subject", "export", SUBJECT, "--to", str(tmp_path / "desk.pub"), "-o", "x")
    assert runs.stack.ask(ENGINEER, *asked).code == 3
    assert runs.stack.must(AUDITOR, "data", "due").lines == []
    given(runs, tmp_path, "cr-e2e002")  # as it was, for the tests that follow
    runs.leaves_nothing(shown)
