"""The auditor at the terminal: what agrees, what does not and by which name, here and from a file kept elsewhere."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from sandbox.cli.main import main
from sandbox.runs import Outcome, Trust
from tests.cli.conftest import Gate, Said, Sandbox
from tests.fakes.audit_lines import answer
from tests.fakes.evidence import GATE, KEYS, STRANGER, Book, checkpoint, text
from tests.tracking.runs import EVALUATION, grant

THIEF = answer("subjects/decrypt/digits.spk_aa", "12:00:30", policies=("run-digits-train",))


def book() -> Book:
    """Two runs and a model; the evaluation is of that model."""
    found = Book()
    found.run(grant(), model="digits@1", epsilon=7.98)
    found.checkpoint()
    found.run(EVALUATION, Outcome.FAILED, failure="recipe.failed")
    return found


@dataclass
class Auditor:
    """Speaks to a gate that hands out ``evidence``, ``shown`` and ``lines``; may change them in between."""

    gate: Gate
    sandbox: Sandbox
    home: Path
    evidence: dict[str, Any] = field(default_factory=dict)
    shown: dict[str, Any] = field(default_factory=dict)
    lines: bytes = b""

    def handed(self, told: Book) -> None:
        self.evidence, self.shown, self.lines = told.pack(), told.shown().to_json(), told.vault()
        self.gate.answers = {
            ("GET", "/v1/evidence"): lambda _: httpx.Response(200, json=self.evidence),
            ("GET", "/v1/tracking"): lambda _: httpx.Response(200, json=self.shown),
            ("GET", "/v1/vault-audit"): lambda _: httpx.Response(200, content=self.lines),
        }

    def __call__(self, *arguments: str) -> Said:
        return self.sandbox("audit", *arguments, "--state", str(self.home / "state"))

    def found(self, *arguments: str) -> dict[str, Any]:
        return dict(json.loads(self("verify", "--json", *arguments).out))

    @property
    def witness(self) -> bytes:
        (kept,) = (self.home / "own" / "voice-sandbox").glob("*.checkpoint")
        return kept.read_bytes()


@pytest.fixture
def auditor(gate: Gate, sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Auditor:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "own"))
    trust = tmp_path / "state" / "app" / "trust.json"
    trust.parent.mkdir(parents=True)
    trust.write_bytes(Trust("", KEYS, ()).to_bytes())
    found = Auditor(gate, sandbox, tmp_path)
    found.handed(book())
    return found


def test_evidence_that_agrees_is_four_lines_and_who_decrypted_whom(auditor: Auditor) -> None:
    said = auditor("verify")
    assert said.code == 0, said.out + said.err
    assert said.out.splitlines()[:4] == [
        f"log          {len(auditor.evidence['entries'])} entries, 2 checkpoints: intact",
        "statements   6 of 6 verify",
        "Vault        5 requests, 2 decrypts of a voice's key: 2 inside the window of a grant, 0 without one",
        "MLflow       2 runs, 1 model, no difference",
    ]
    assert all(word in said.out for word in ("eng.li", "digits.spk_aa", "digits.spk_bb", "r-2345", "g-2345"))


def test_json_says_the_same_in_one_object(auditor: Auditor) -> None:
    found = auditor.found()
    assert found["holds"] is True and found["faults"] == []
    assert found["log"] == {"entries": 20, "checkpoints": 2, "covered": 20, "intact": True}
    assert found["statements"] == {"listed": 6, "verify": 6}
    assert (found["vault"]["requests"], found["vault"]["inside"]) == (5, 2)
    first = found["vault"]["decrypts"][0]
    assert (first["key"], first["person"], first["at"]) == (
        "digits.spk_aa",
        "eng.li",
        "2026-11-24T12:00:30.902805+00:00",
    )
    assert found["mlflow"] == {"runs": 2, "models": 1, "differences": []}


def _flip(auditor: Auditor) -> None:
    auditor.evidence["statements"][0]["envelope"] = text(b"{}")


def _forge(auditor: Auditor) -> None:
    auditor.shown["versions"][0]["tags"].pop("gov.classification")


def _steal(auditor: Auditor) -> None:
    auditor.lines += json.dumps(THIEF).encode() + b"\n"


def _cut(auditor: Auditor) -> None:
    auditor.evidence["entries"].pop()


WRONG: dict[str, tuple[Callable[[Auditor], None], str]] = {
    "a statement": (_flip, "its bytes are gone, or others"),
    "the log": (_cut, "the log holds only 19"),
    "Vault": (_steal, "2026-11-24T12:00:30Z: digits.spk_aa was decrypted under no grant"),
    "MLflow": (
        _forge,
        "digits@1: gov.classification is missing; the signed statement says party_a_confidential_derivative",
    ),
}


@pytest.mark.parametrize(("hand", "said"), WRONG.values(), ids=WRONG)
def test_whatever_does_not_agree_is_exit_code_6_and_named(
    auditor: Auditor, hand: Callable[[Auditor], None], said: str
) -> None:
    hand(auditor)
    found = auditor("verify")
    assert found.code == 6 and any(
        line.startswith("  ✘ ") and said in line for line in found.out.splitlines()
    )
    as_json = auditor("verify", "--json")
    told = json.loads(as_json.out)
    assert as_json.code == 6 and told["holds"] is False
    named = [*told["faults"], *(f"{one['subject']}: {one['what']}" for one in told["mlflow"]["differences"])]
    assert any(said in one for one in named)


def test_a_difference_in_mlflow_says_how_it_is_mended(auditor: Auditor) -> None:
    _forge(auditor)
    said = auditor("verify")
    assert "MLflow       2 runs, 1 model, 1 difference\n" in said.out
    assert "→ sandbox audit repair" in said.out


def test_a_thief_is_nobody_known(auditor: Auditor) -> None:
    _steal(auditor)
    said = auditor("verify")
    assert "3 decrypts of a voice's key: 2 inside the window of a grant, 1 without one" in said.out
    assert "nobody known" in said.out


def test_a_torn_line_is_refused_and_the_last_may_still_be_being_written(auditor: Auditor) -> None:
    auditor.lines += b'{"type":'
    assert auditor("verify").code == 0
    auditor.lines += b'\n{"type":"request"}\n'
    said = auditor("verify")
    assert said.code == 6 and "audit.torn" in said.err and "of Vault's audit file is not readable" in said.err


def test_party_as_own_copy_of_vaults_file_is_what_counts(auditor: Auditor, tmp_path: Path) -> None:
    own = tmp_path / "own.log"
    own.write_bytes(auditor.lines + json.dumps(THIEF).encode())
    assert auditor("verify", "--vault-audit", str(own)).code == 6
    assert "/v1/vault-audit" not in [request.url.path for request in auditor.gate.asked]


# The pack


@pytest.fixture
def kept(auditor: Auditor, tmp_path: Path) -> Path:
    """A pack in a file, and no gate any more."""
    file = tmp_path / "2026-11.json"
    said = auditor("pack", str(file))
    assert said.code == 0 and "kept" in said.out
    auditor.gate.answers.clear()
    auditor.gate.asked.clear()
    return file


def test_a_pack_says_offline_what_the_gate_said(auditor: Auditor, tmp_path: Path) -> None:
    file = tmp_path / "pack.json"
    _steal(auditor)
    there, packed = auditor.found(), auditor("pack", str(file), "--json")
    assert json.loads(packed.out)["bytes"] == file.stat().st_size
    auditor.gate.answers.clear()
    auditor.gate.asked.clear()
    assert auditor.found("--pack", str(file)) == there
    assert auditor("verify", "--pack", str(file)).code == 6
    assert auditor.gate.asked == []


def test_a_pack_is_never_written_over(auditor: Auditor, kept: Path) -> None:
    before = kept.read_bytes()
    said = auditor("pack", str(kept))
    assert said.code == 2 and "is already there" in said.err and kept.read_bytes() == before


def _edit(file: Path, change: Callable[[dict[str, Any]], object]) -> None:
    found = json.loads(file.read_bytes())
    change(found)
    file.write_text(json.dumps(found))


def test_a_pack_with_another_vault_file_in_it_does_not_hold(auditor: Auditor, kept: Path) -> None:
    _edit(kept, lambda pack: pack.update(vault=""))
    said = auditor("verify", "--pack", str(kept))
    assert (
        said.code == 6
        and "r-2345: it was unlocked, and Vault's file shows no decrypt of digits.spk_aa" in said.out
    )


NO_PACK: dict[str, tuple[Callable[[dict[str, Any]], object], int]] = {
    "without evidence": (lambda pack: pack.pop("evidence"), 2),
    "without Vault's file": (lambda pack: pack.pop("vault"), 2),
    "evidence of another shape": (lambda pack: pack["evidence"].pop("windows"), 6),
    "another log": (lambda pack: pack["evidence"].update(origin="voice-sandbox/other"), 6),
    "MLflow of another shape": (lambda pack: pack["tracking"].pop("runs"), 6),
    "MLflow with a field more": (lambda pack: pack["tracking"]["runs"][0].update(colour="red"), 6),
}


@pytest.mark.parametrize(("change", "code"), NO_PACK.values(), ids=NO_PACK)
def test_a_pack_of_another_shape_is_one_clear_error(
    auditor: Auditor, kept: Path, change: Callable[[dict[str, Any]], object], code: int
) -> None:
    _edit(kept, change)
    said = auditor("verify", "--pack", str(kept))
    assert said.code == code and "unexpected" not in said.err


def test_a_file_that_is_no_pack_is_a_usage_error(auditor: Auditor, tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text("not a pack")
    said = auditor("verify", "--pack", str(tmp_path / "x.json"))
    assert said.code == 2 and "evidence.unreadable" in said.err and "sandbox audit pack FILE" in said.err


# Trust


def test_a_pack_signed_by_its_own_keys_is_worth_nothing(
    auditor: Auditor, kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Everything fits, and the pack brings the keys that it fits: they are not the ones that the auditor has."""
    monkeypatch.setattr("tests.fakes.evidence.Book.sign.__defaults__", (STRANGER, True))
    forged = book()
    forged.notes = [checkpoint(forged.entries, STRANGER)]
    pack = {**forged.pack(), "checkpoints": [text(forged.notes[0])], "keys": {"gate": [STRANGER.public.text]}}
    _edit(kept, lambda found: found.update(evidence=pack))
    said = auditor("verify", "--pack", str(kept))
    assert said.code == 6 and "statements   0 of 6 verify" in said.out and "NOT intact" in said.out


def test_an_auditor_brings_trust_anchors_of_their_own(auditor: Auditor, kept: Path, tmp_path: Path) -> None:
    own = tmp_path / "trust.json"
    own.write_bytes(Trust("", (STRANGER.public,), ()).to_bytes())
    assert auditor("verify", "--pack", str(kept), "--trust", str(own)).code == 6
    own.write_bytes(Trust("", (STRANGER.public, GATE.public), ()).to_bytes())
    assert auditor("verify", "--pack", str(kept), "--trust", str(own)).code == 0


def test_without_trust_anchors_nothing_is_verified(auditor: Auditor, kept: Path) -> None:
    (auditor.home / "state" / "app" / "trust.json").unlink()
    said = auditor("verify", "--pack", str(kept))
    assert said.code == 5 and "sandbox audit verify --trust FILE" in said.err
    (auditor.home / "state" / "app" / "trust.json").write_text("{}")
    assert auditor("verify", "--pack", str(kept)).code == 6


# The witness


def test_the_newest_checkpoint_is_kept_and_a_log_cut_and_signed_anew_does_not_fit_it(
    auditor: Auditor,
) -> None:
    auditor("verify")
    seen = auditor.witness
    assert seen == base64.b64decode(auditor.evidence["checkpoints"][-1])
    shorter = Book()
    shorter.run(grant(), model="digits@1", epsilon=7.98)
    auditor.handed(shorter)
    said = auditor("verify")
    assert said.code == 6 and "✘ kept checkpoint over 20 entries: the log holds only 11" in said.out
    assert auditor.witness == seen


def test_a_log_that_grew_fits_what_was_kept_and_says_so(auditor: Auditor) -> None:
    auditor("verify")
    grown = book()
    grown.checkpoint()
    grown.taint("digits@1", "spk erased")
    auditor.handed(grown)
    said = auditor("verify")
    assert said.code == 0 and "held against the checkpoint over 20 that you kept: intact" in said.out
    assert auditor.witness == base64.b64decode(auditor.evidence["checkpoints"][-1])


def test_the_kept_checkpoint_never_goes_back_to_an_older_one(auditor: Auditor) -> None:
    auditor("verify")
    seen = auditor.witness
    auditor.evidence["checkpoints"].pop()
    auditor("verify")
    assert auditor.witness == seen


def test_entries_that_no_checkpoint_covers_are_named(auditor: Auditor) -> None:
    auditor.evidence["checkpoints"].pop()
    said = auditor("verify")
    assert said.code == 6 and "entries at the log's end stand under no checkpoint" in said.out


def test_a_log_that_is_not_intact_is_not_remembered(auditor: Auditor, tmp_path: Path) -> None:
    _cut(auditor)
    mine = tmp_path / "mine" / "checkpoint"
    assert auditor("verify", "--witness", str(mine)).code == 6
    assert not mine.exists()


def test_a_witness_file_that_somebody_changed_is_an_error(auditor: Auditor, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    assert auditor("verify", "--witness", str(mine)).code == 0
    mine.write_bytes(mine.read_bytes().replace(b"\n20\n", b"\n21\n"))
    said = auditor("verify", "--witness", str(mine))
    assert said.code == 6 and "checkpoint.foreign" in said.err


# Mending, and the log for people


def test_repair_says_what_is_left_for_a_person(auditor: Auditor) -> None:
    auditor.gate.answers["POST", "/v1/tracking/repair"] = httpx.Response(200, json={"left": []})
    assert "MLflow says what was signed" in auditor("repair").out
    left = [{"kind": "run.unknown", "subject": "r-9999", "what": "no grant produced it"}]
    auditor.gate.answers["POST", "/v1/tracking/repair"] = httpx.Response(200, json={"left": left})
    said = auditor("repair")
    assert said.code == 6 and "✘ r-9999: no grant produced it" in said.out
    as_json = auditor("repair", "--json")
    assert as_json.code == 6 and json.loads(as_json.out) == {"left": left}


def test_the_log_shows_its_newest_entries_page_by_page(auditor: Auditor) -> None:
    def pages(request: httpx.Request) -> httpx.Response:
        start = int(request.url.params.get("after", "-1")) + 1
        items = [
            {"index": n, "at": "2026-11-24T12:00:00Z", "by": "gate", "kind": "state", "run": f"r-{n}"}
            for n in range(start, start + 2)
        ]
        return httpx.Response(200, json={"items": items, "next": str(start + 1) if start < 4 else ""})

    auditor.gate.answers["GET", "/v1/log"] = pages
    said = auditor("log", "--last", "3")
    assert [line.split()[-1] for line in said.out.splitlines()[1:]] == ["run=r-3", "run=r-4", "run=r-5"]
    assert [json.loads(line)["index"] for line in auditor("log", "--json").out.splitlines()] == list(range(6))


@pytest.mark.parametrize(
    "command", [("verify",), ("pack", "x.json"), ("repair",), ("lineage", "--run", "r-1"), ("log",)]
)
def test_who_may_not_audit_is_told_so(auditor: Auditor, command: tuple[str, ...]) -> None:
    refused = {"code": "person.not_permitted", "detail": "eng.li is no auditor", "status": 403}
    answers = ("/v1/evidence", "/v1/lineage", "/v1/log")
    auditor.gate.answers = {("GET", path): httpx.Response(403, json=refused) for path in answers}
    auditor.gate.answers["POST", "/v1/tracking/repair"] = httpx.Response(403, json=refused)
    said = auditor(*command)
    assert said.code == 3 and "eng.li is no auditor" in said.err and "Traceback" not in said.err


def test_a_terminal_without_unicode_is_told_everything_in_ascii(
    auditor: Auditor, monkeypatch: pytest.MonkeyPatch
) -> None:
    screen = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr("sys.stdout", screen)
    _flip(auditor)
    _forge(auditor)
    assert main(["audit", "verify", "--state", str(auditor.home / "state")]) == 6
    screen.flush()
    said = screen.buffer.getvalue().decode("ascii")  # type: ignore[attr-defined]
    assert "  x statement grant" in said and "   -> sandbox audit repair" in said


def test_reconcile_names_what_mlflow_says_otherwise_and_believes_no_forged_statement(
    auditor: Auditor,
) -> None:
    assert "MLflow says what was signed" in auditor("reconcile").out
    auditor.shown["runs"][0]["tags"].pop("gov.classification")
    said = auditor("reconcile")
    assert said.code == 6 and "gov.classification is missing" in said.out
    auditor.evidence["statements"][0]["envelope"] = ""
    assert auditor("reconcile").code == 6 and "is gone" not in auditor("reconcile").out
