"""A world in which a run is permitted: tests change one thing in it and see which rule says no."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from sandbox.policy.agreement import Agreement
from sandbox.policy.documents import read
from sandbox.policy.entries import check_entry
from sandbox.policy.facts import Facts, InputFacts, MachineFacts, ManifestFacts, Spend, gather
from sandbox.policy.recipe import Card
from sandbox.policy.registers import Registers
from sandbox.policy.terms import Terms
from sandbox.runs import Compute, Privacy, Request
from sandbox.statements import sha256

ROOT = Path(__file__).resolve().parents[2]
DEMO = (ROOT / "configs/agreements/demo.yaml").read_bytes()
AGREEMENT = "dsa-2026-0001"
MANIFEST = "a" * 64
RECIPE = "b" * 64
MODEL = "c" * 64
IMAGE = "3" * 64
NOW = datetime(2026, 12, 1, 12, tzinfo=UTC)
PEOPLE = ("spk_aa", "spk_bb")
KEY = "ed25519:" + "A" * 43 + "="


@cache
def terms(old: str = "", new: str = "") -> Terms:
    """The demo's terms, with one text replaced."""
    text = DEMO.decode()
    assert old in text
    return read(text.replace(old, new, 1).encode() if old else DEMO, Terms, "demo.yaml")


def agreement() -> Agreement:
    return Agreement(terms(), sha256(DEMO))


def person(**changes: Any) -> dict[str, Any]:
    return {
        "person": "eng.li",
        "party": "B",
        "roles": ["ml_engineer"],
        "nda": {"expires": "2029-01-10"},
        "training": {"course": "voice-data-security-2026", "valid_until": "2027-01-12"},
        "status": "active",
        **changes,
    }


def access(**changes: Any) -> dict[str, Any]:
    return {
        "id": "ac-2345",
        "person": "eng.li",
        "dataset": "digits",
        "purposes": ["train", "optimise", "evaluate", "serve_custom_tts"],
        "until": "2026-12-31",
        "approved_by": "a.approver.1",
        "status": "active",
        **changes,
    }


def consent(subject: str = "spk_aa", scope: dict[str, bool] | None = None, **changes: Any) -> dict[str, Any]:
    return {
        "record_id": f"cr-{subject[4:]}000",
        "subject": subject,
        "dataset": "digits",
        "status": "ConsentGiven",
        "given_at": "2026-01-05T10:12:00+08:00",
        "expires": "2027-01-31",
        "age_band": "adult",
        "evidence": {"sha256": "8" * 64},
        "scope": {"process_voice_biometric": True, "ai_synthesis_of_my_voice": True, **(scope or {})},
        **changes,
    }


def dataset(**changes: Any) -> dict[str, Any]:
    return {
        "dataset": "digits",
        "version": 1,
        "manifest": MANIFEST,
        "agreement": AGREEMENT,
        "agreement_digest": sha256(DEMO),
        "subjects": list(PEOPLE),
        "records": 31,
        "hours": 0.01,
        "region": "EU",
        "retention_until": "2030-01-01",
        "purposes": ["train", "optimise", "evaluate", "serve_custom_tts"],
        **changes,
    }


def status(**changes: Any) -> dict[str, Any]:
    return {
        "agreement": AGREEMENT,
        "digest": sha256(DEMO),
        "version": 1,
        "status": "active",
        "party_a_key": KEY,
        "party_b_key": KEY,
        **changes,
    }


def reviewer(name: str) -> dict[str, Any]:
    return person(person=name, roles=["privacy_reviewer"])


def approval(name: str, **changes: Any) -> dict[str, Any]:
    return {
        "recipe": "digits",
        "digest": RECIPE,
        "reviewer": name,
        "purposes": ["train", "optimise", "evaluate", "serve_custom_tts"],
        **changes,
    }


def image(name: str = "b.privacy.1", **changes: Any) -> dict[str, Any]:
    return {"image": IMAGE, "inputs": "7" * 64, "reviewer": name, **changes}


def _entries(register: str, *found: dict[str, Any]) -> dict[Any, Any]:
    entries = [check_entry(register, entry) for entry in found]
    return {entry.key: entry for entry in entries}


def registers(**changes: Any) -> Registers:
    """``people=[...]`` and so on replace the entries of a register."""
    found = {
        "people": [person(), reviewer("b.privacy.1"), reviewer("b.privacy.2")],
        "access": [access()],
        "consent": [consent(subject) for subject in PEOPLE],
        "dataset": [dataset()],
        "status": [status()],
        "erasure": [],
        "intake": [],
        "recipe-approval": [approval("b.privacy.1"), approval("b.privacy.2")],
        "image-approval": [image()],
        **{name.replace("_", "-"): entries for name, entries in changes.items()},
    }
    return Registers(
        people=_entries("people", *found["people"]),
        access=_entries("access", *found["access"]),
        consents=_entries("consent", *found["consent"]),
        datasets=_entries("dataset", *found["dataset"]),
        statuses=_entries("status", *found["status"]),
        erasures=_entries("erasure", *found["erasure"]),
        intake=_entries("intake", *found["intake"]),
        approvals=_entries("recipe-approval", *found["recipe-approval"]),
        images=_entries("image-approval", *found["image-approval"]),
        granted_at={entry["id"]: datetime(2026, 11, 1, tzinfo=UTC) for entry in found["access"]},
        heads={"people": "d" * 64},
    )


def manifest(**changes: Any) -> ManifestFacts:
    found = ManifestFacts(
        dataset="digits",
        version=1,
        digest=MANIFEST,
        agreement=AGREEMENT,
        agreement_digest=sha256(DEMO),
        subjects=PEOPLE,
        tombstones=(),
        region="EU",
        retention_until="2030-01-01",
        purposes=("train", "optimise", "evaluate", "serve_custom_tts"),
    )
    return replace(found, **changes)


def card(**changes: Any) -> Card:
    return Card(
        **{
            "name": "digits",
            "summary": "says numbers",
            "purposes": ("train", "optimise", "evaluate", "serve_custom_tts"),
            "engine": "torch",
            "dataset": "required",
            "dp": "supported",
            **changes,
        }
    )


MACHINE = MachineFacts(region="eu", run_time_max_s=14400, live_runs=0, live_runs_max=2)


def request(**changes: Any) -> Request:
    found = Request(
        recipe="digits",
        recipe_digest=RECIPE,
        agreement=AGREEMENT,
        purpose="train",
        dataset="digits",
        subjects=None,
        inputs={},
        privacy=None,
        compute=Compute(),
        parameters={},
    )
    return replace(found, **changes)


def model(**changes: Any) -> InputFacts:
    found = InputFacts(
        model="digits@1",
        digest=MODEL,
        agreements=(AGREEMENT,),
        speakers=(("digits", "spk_aa"), ("digits", "spk_bb")),
    )
    return replace(found, **changes)


def facts(asked: Request, **changes: Any) -> Facts:
    """Everything that permits ``asked``; keyword arguments of ``gather`` replace a part."""
    given: dict[str, Any] = {
        "name": "eng.li",
        "now": NOW,
        "machine": MACHINE,
        "registers": registers(),
        "agreement": agreement(),
        "recipe": card(),
        "manifest": manifest() if asked.dataset else None,
        "inputs": {},
        "image": IMAGE,
        **changes,
    }
    return gather(asked, **given)


def evaluation(**changes: Any) -> Request:
    """A run without a dataset, on a model."""
    return request(**{"purpose": "evaluate", "dataset": None, "inputs": {"model": "digits@1"}, **changes})


def evaluation_facts(asked: Request, **changes: Any) -> Facts:
    return facts(
        asked,
        **{
            "recipe": card(dataset="none", dp="none", inputs=("model",)),
            "inputs": {"model": model()},
            **changes,
        },
    )


PRIVATE = Privacy("speaker", 4.0, 1e-5, 1.0, 0.1)
SPENT = tuple(Spend("digits", subject, 1.0, 5.0) for subject in PEOPLE)
