"""The nine chapters: from two parties without trust to a sealed, tagged model and its proof."""

from __future__ import annotations

import secrets
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

from sandbox.client import Public
from sandbox.demo import attempts, speech
from sandbox.demo.house import House
from sandbox.demo.report import Attempt, Report, Word
from sandbox.errors import RunFailed, SandboxError
from sandbox.runs import utc

APPROVER = "a.approver.1"
STEWARD, ENGINEER, AUDITOR, LAPSED = "stew.zhao", "eng.li", "aud.wang", "eng.old"
REVIEWERS = ("rev.chen", "rev.haas")  # two, neither of them who wrote the recipe
AGREEMENT = "dsa-2026-0001"
PEOPLE = {
    STEWARD: ("A", "data_steward", "2029-01-10"),
    ENGINEER: ("B", "ml_engineer", "2029-01-10"),
    **dict.fromkeys(REVIEWERS, ("B", "privacy_reviewer", "2029-01-10")),
    AUDITOR: ("A", "auditor", "2029-01-10"),
    LAPSED: ("B", "ml_engineer", "2026-01-31"),
}
SUBJECTS = {"allison": "spk_7f3a", "june": "spk_19c0", "carlo": "spk_b24e", "ivrvoice": "spk_e8d1"}
RECIPES = ("digits", "digits-evaluate", "voices-dp", "probe")
#: When access and consents end: a season from now, in whatever year the story is told. Training outlasts access.
SEASON = utc(datetime.now(UTC) + timedelta(days=90))
TRAINED = utc(datetime.now(UTC) + timedelta(days=120))[:10]


@dataclass
class Stage:
    """What the chapters share."""

    house: House
    source: Path  # the clone: recipes and configs
    work: Path  # build/demo: Party A's recordings, keys, logins
    report: Report
    passwords: dict[str, str] = field(default_factory=dict, repr=False)

    def config(self, name: str, **changes: Any) -> Path:
        """A copy of ``configs/runs/NAME.yaml`` with some values changed."""
        value = yaml.safe_load((self.source / "configs/runs" / f"{name}.yaml").read_text())
        value.update(changes)
        path = self.work / "runs" / f"{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump(value, sort_keys=False))
        return path

    def run(
        self, person: str, name: str, what: str, expected: str = "finished", **changes: Any
    ) -> dict[str, Any]:
        """Launch a run, watch it, and put it into the report; answers what the gate says of it."""
        started = time.monotonic()
        path = self.config(name, **changes)
        words = ("run", str(path), "--recipes", str(self.source / "recipes"))
        if expected == "finished":
            self.house.say(person, *words)
        else:
            self.house.ask(person, *words)
        shown = self.newest(person)
        entry = {
            "run": shown["id"],
            "what": what,
            "outcome": shown.get("outcome") or shown.get("state"),
            "expected": expected,
            "failure": shown.get("failure") or "",
            "seconds": round(time.monotonic() - started, 1),
        }
        self.report.runs.append(entry)
        return shown

    def newest(self, person: str) -> dict[str, Any]:
        listed = self.house.ask(person, "runs", "list").lines
        if not listed:
            raise RunFailed("the gate knows no run of this person")
        newest = max(listed, key=lambda run: str(run.get("asked_at", "")))
        return self.house.ask(person, "runs", "show", str(newest["id"])).last


def up(stage: Stage) -> None:
    """Everything starts under one state directory: Vault, launcher, custodian, gate, MLflow's pages."""
    stage.house.say("operator", "up")


def agreement(stage: Stage) -> None:
    """Both parties sign the same bytes of one YAML file; its digest is pinned in everything that follows."""
    keys = stage.work / "parties"
    keys.mkdir(parents=True, exist_ok=True)
    file = keys / f"{AGREEMENT}.yaml"
    shutil.copyfile(stage.source / "configs/agreements/demo.yaml", file)
    for party in "ab":
        stage.house.say(f"party {party.upper()}", "agreement", "keygen", str(keys / f"party-{party}"))
    for party in "ab":
        stage.house.say(
            f"party {party.upper()}",
            "agreement",
            "sign",
            str(file),
            "--key",
            str(keys / f"party-{party}.key"),
        )
    first = yaml.safe_load((stage.house.state / "first-login.json").read_text())
    stage.house.login(APPROVER, str(first["password"]))
    stage.house.say(
        APPROVER, "agreement", "activate", str(file),
        "--party-a-key", str(keys / "party-a.pub"), "--party-b-key", str(keys / "party-b.pub"),
    )  # fmt: skip


def people(stage: Stage) -> None:
    """Party A's approver enters who is who, who may use which voices for what, and for how long."""
    for person, (party, role, nda) in PEOPLE.items():
        stage.passwords[person] = secrets.token_urlsafe(18)
        stage.house.say(
            APPROVER, "people", "add", person, "--party", party, "--role", role, "--nda-until", nda,
            "--training", "voice-data-security-2026", "--training-until", TRAINED, "--password-stdin",
            stdin=stage.passwords[person] + "\n",
        )  # fmt: skip
    for person in PEOPLE:
        stage.house.enrol(person, stage.passwords[person])
    for person, until in ((ENGINEER, SEASON), (LAPSED, "2026-01-30T23:59:59+08:00")):
        for dataset in ("digits", "voices"):
            stage.house.say(
                APPROVER, "access", "grant", person, "--dataset", dataset, "--purpose", "train",
                "--purpose", "evaluate", "--until", until,
            )  # fmt: skip
    for recipe in RECIPES:
        stage.house.say(ENGINEER, "recipe", "submit", str(stage.source / "recipes" / recipe))
    for reviewer in REVIEWERS:
        for entry in stage.house.ask(reviewer, "recipe", "list").lines:
            stage.house.say(reviewer, "recipe", "approve", str(entry["name"]), str(entry["digest"]))
    installed = next(one for one in stage.house.ask(REVIEWERS[0], "image", "list").lines if one["installed"])
    stage.house.say(REVIEWERS[0], "image", "approve", str(installed["id"]))


def seal(stage: Stage) -> None:
    """Real recordings are sealed, one key per person, held by Vault; from here on the disk has ciphertext only."""
    digits, voices = stage.work / "speech" / "digits", stage.work / "speech" / "voices"
    speech.gather_digits(digits, SUBJECTS["allison"])
    speech.gather_voices(voices, SUBJECTS)
    for dataset in ("digits", "voices"):
        named = SUBJECTS.values() if dataset == "voices" else [SUBJECTS["allison"]]
        for subject in named:
            stage.house.say(STEWARD, "consent", "give", subject, "--dataset", dataset, *CONSENT)
        stage.house.say(
            STEWARD,
            "data",
            "seal",
            str(stage.work / "speech" / dataset),
            "--dataset",
            dataset,
            "--agreement",
            AGREEMENT,
        )


CONSENT = (
    "--scope", "process_voice_biometric", "--scope", "ai_synthesis_of_my_voice",
    "--expires", SEASON,
)  # fmt: skip


def train(stage: Stage) -> None:
    """An engineer asks; the gate decides, isolates, unlocks; a small voice learns; what leaves is sealed."""
    stage.run(ENGINEER, "digits", "train digits on one person's sealed voice")


def evaluate(stage: Stage) -> None:
    """The sealed model speaks inside a container, and an independent recogniser counts the words it understands."""
    shown = stage.run(ENGINEER, "digits-evaluate", "say zero to twenty, and be understood")
    heard = {int(point["step"]): int(point["value"]) for point in shown["metrics"].get("heard", [])}
    names = speech.NUMBERS
    stage.report.words = [
        Word(said, names[heard[index]] if 0 <= heard.get(index, -1) < len(names) else "")
        for index, said in enumerate(names)
    ]


def privately(stage: Stage) -> None:
    """Four people, differential privacy by Opacus, the person as its unit; the gate recomputes epsilon itself."""
    stage.run(ENGINEER, "voices-dp", "train on four people with differential privacy")


def fails(stage: Stage) -> None:
    """What must fail is tried, for real."""
    for attempt in attempts.ALL:
        try:
            stage.report.attempts += attempt(stage)
        except SandboxError as fault:
            raise SandboxError(f"{attempt.__name__} could not be tried: {fault.message}") from fault


def prove(stage: Stage) -> None:
    """An auditor verifies the log, the statements, MLflow and Vault's own audit file against each other."""
    verified = stage.house.ask(AUDITOR, "audit", "verify")
    stage.house.say(AUDITOR, "audit", "verify")
    stage.house.say(AUDITOR, "audit", "lineage", "--subject", SUBJECTS["allison"])
    stage.report.attempts.append(
        Attempt(
            "audit of everything that was done",
            "nothing differs",
            f"exit code {verified.code}",
            verified.code == 0,
        )
    )
    stage.report.proof += stage.house.tell(AUDITOR, "audit", "verify")
    for subject in SUBJECTS.values():
        stage.report.proof += stage.house.tell(AUDITOR, "audit", "lineage", "--subject", subject)
    web = Public.read(stage.house.state).web
    stage.report.addresses = {
        "MLflow": f"{web}/mlflow/",
        "lineage": f"{web}/lineage/{stage.report.runs[0]['run']}" if stage.report.runs else web,
        "audit report": f"{web}/audit",
        "a one-time link for the browser": f"sandbox --state {stage.house.state} open",
        "this report as data": str(stage.work.parent / "demo.json"),
    }


CHAPTERS: tuple[tuple[str, Callable[[Stage], None]], ...] = (
    ("The house", up),
    ("The agreement", agreement),
    ("The people", people),
    ("The voices", seal),
    ("The run", train),
    ("The words", evaluate),
    ("The crowd", privately),
    ("What must fail", fails),
    ("The proof", prove),
)
