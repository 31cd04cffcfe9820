"""Two versions of an agreement: every change is found, goes the right way, and what cannot be told counts as more."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any, get_args

import pytest

from sandbox.policy.difference import Change, differences
from sandbox.policy.documents import Model, read
from sandbox.policy.readings import NAMED, READINGS
from sandbox.policy.terms import Terms
from tests.policy.world import DEMO

#: Fields of which no program can tell the way. A new field of the terms belongs here or among the readings.
LOOKED_AT_BY_PEOPLE = {
    "apiVersion",
    "kind",
    "metadata.id",
    *(f"parties.{party}.{field}" for party in "ab" for field in ("legal_name", "id.type", "id.value")),
    "parties.a.contacts.release_approvers[].key",
    "relationship.model",
    "purposes[].dpv",
    "datasets[].form",
    "datasets[].legal_basis.pipl_article",
    "datasets[].notice_given.sha256",
    "datasets[].impact_assessment.sha256",
    "datasets[].impact_assessment.approved_on",
    "datasets[].retention.on_expiry",
    "transfers[].agreement_basis",
    "derivatives.classification",
    "rights.mode",
    "incidents.regulator[].trigger",
    "termination.action",
    "termination.certificate",
}


def between(*swaps: tuple[str, str], base: tuple[tuple[str, str], ...] = ()) -> tuple[Change, ...]:
    """What changes when the demo's terms (with ``base`` swapped in) get ``swaps``."""

    def terms(*changes: tuple[str, str]) -> Terms:
        text = DEMO.decode()
        for old, new in changes:
            assert old in text, old
            text = text.replace(old, new, 1)
        return read(text.encode(), Terms, "demo.yaml")

    return differences(terms(*base), terms(*base, *swaps))


ONE = [
    ("effective.until", "until: 2035-12-31", "until: 2036-12-31", "widens"),
    ("effective.until", "until: 2035-12-31", "until: 2034-12-31", "narrows"),
    ("effective.from", "from: 2026-01-01", "from: 2025-01-01", "widens"),
    ("effective.from", "from: 2026-01-01", "from: 2027-01-01", "narrows"),
    ("purposes[train]", "  - {id: train, dpv: [ai:SpeechSynthesis, ai:ModelTraining]}\n", "", "narrows"),
    ("prohibitions", "emotion_profiling, resale", "resale", "widens"),
    ("prohibitions", "[speaker_identification", "[advertising, speaker_identification", "narrows"),
    (
        "datasets[digits].purposes", "purposes: [train, optimise, test, evaluate]\n",
        "purposes: [train, optimise, test, evaluate, serve_custom_tts]\n", "widens",
    ),
    (
        "datasets[digits].purposes", "purposes: [train, optimise, test, evaluate]\n",
        "purposes: [optimise, test, evaluate]\n", "narrows",
    ),
    ("datasets[digits].retention.until", "retention: {until: 2035", "retention: {until: 2034", "narrows"),
    ("datasets[digits].retention.grace", "grace: P0D", "grace: P7D", "widens"),
    ("datasets[digits].storage.regions", "storage: {regions: [EU]}", "storage: {regions: [EU, CN]}", "widens"),
    ("datasets[digits].intake", "    intake: direct\n", "", "narrows"),
    ("datasets[digits].legal_basis.type", "type: consent", "type: contract", "widens"),
    ("datasets[digits].legal_basis.separate_consent", "separate_consent: true", "separate_consent: false", "widens"),
    ("datasets[digits].notice_given.method", "method: true", "method: false", "widens"),
    ("datasets[digits].impact_assessment.kept_until", "kept_until: 2036", "kept_until: 2035", "widens"),
    ("datasets[digits].subjects.under_14", "under_14: 0", "under_14: 1", "widens"),
    ("access.roles", "roles: [ml_engineer]", "roles: [ml_engineer, operator]", "widens"),
    ("access.longest", "longest: P1Y", "longest: P6M", "narrows"),
    ("residency.process_in", "process_in: [EU]", "process_in: [EU, US]", "widens"),
    ("residency.default", "default: deny", "default: allow", "widens"),
    ("derivatives.release_default", "release_default: deny", "release_default: allow", "widens"),
    ("derivatives.on_source_erasure", "on_source_erasure: quarantine", "on_source_erasure: destroy", "narrows"),
    ("derivatives.on_withdrawal", "on_withdrawal: stop", "on_withdrawal: replan", "widens"),
    ("derivatives.inherits_from_sources", "inherits_from_sources: true", "inherits_from_sources: false", "widens"),
    ("derivatives.dp.required", "dp: {required: false", "dp: {required: true", "narrows"),
    ("derivatives.dp.unit", "unit: speaker", "unit: utterance", "widens"),
    ("derivatives.dp.max_epsilon", "max_epsilon: 8.0", "max_epsilon: 4.0", "narrows"),
    ("derivatives.dp.max_delta", "max_delta: 1.0e-5", "max_delta: 1.0e-3", "widens"),
    ("channels.listen", "listen: false", "listen: true", "widens"),
    ("channels.listen_seconds", "listen_seconds: 0", "listen_seconds: 30", "widens"),
    ("rights.answer_within", "answer_within: P15D", "answer_within: P20D", "widens"),
    ("incidents.notify_party_a_within", "notify_party_a_within: PT1H", "notify_party_a_within: PT30M", "narrows"),
    (
        "incidents.regulator[provincial CAC]",
        "    - {authority: provincial CAC, trigger: larger-or-above, within: PT4H}\n", "", "widens",
    ),
    ("records.audit_log_min", "audit_log_min: P3Y", "audit_log_min: P2Y", "widens"),
    ("audit.party_a_right", "party_a_right: true", "party_a_right: false", "widens"),
    ("termination.includes", ", backups]", "]", "widens"),
    ("subprocessors[Cloud]", "subprocessors: []", "subprocessors: [{name: Cloud, purposes: [train]}]", "widens"),
    ("metadata.title", "(demo)", "(second)", "neither"),
    ("parties.b.contacts.rights.email", "rights@b", "desk@b", "neither"),
    # of these nobody can tell the way
    ("metadata.id", "dsa-2026-0001", "dsa-2026-0002", "widens"),
    ("parties.b.legal_name", "Example TTS", "Other TTS", "widens"),
    ("relationship.model", "model: entrusted", "model: provided", "widens"),
    ("relationship.model", "model: entrusted", "model: joint", "widens"),
    ("purposes[train].dpv", "ai:ModelTraining", "ai:Anything", "widens"),
    ("termination.action", "{action: destroy", "{action: return", "widens"),
    ("rights.acknowledge_within", "acknowledge_within: P3D", "acknowledge_within: P1M", "widens"),
    ("access.longest", "longest: P1Y", "longest: P360D", "widens"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("path", "old", "new", "way"), ONE, ids=[f"{o[0]} {o[3]} {n}" for n, o in enumerate(ONE)]
)
def test_one_change_is_found_and_goes_its_way(path: str, old: str, new: str, way: str) -> None:
    assert [(change.path, change.effect.value) for change in between((old, new))] == [(path, way)]


def test_the_same_terms_differ_in_nothing_however_they_are_written() -> None:
    moved = ("until: 2035-12-31T23:59:59+08:00}\nparties", "until: 2035-12-31T15:59:59Z}\nparties")
    turned = (
        "prohibitions: [speaker_identification, emotion_profiling",
        "prohibitions: [emotion_profiling, speaker_identification",
    )
    assert between() == between(moved, turned) == ()


def test_a_year_and_twelve_months_are_the_same_and_said_so() -> None:
    assert [change.effect for change in between(("longest: P1Y", "longest: P12M"))] == ["neither"]


def test_words_say_whose_what_is_allowed_and_what_was() -> None:
    words = [
        change.words
        for change in between(
            (
                "purposes: [train, optimise, test, evaluate]\n",
                "purposes: [train, optimise, test, serve_custom_tts]\n",
            ),
            ("retention: {until: 2035-12-31T23:59:59+08:00", "retention: {until: 2034-12-31T00:00:00Z"),
            ("resale, ", ""),
            ("dp: {required: false", "dp: {required: true"),
        )
    ]
    assert words == [
        "no longer forbids resale",
        "the dataset digits: no longer allows the purpose evaluate",
        "the dataset digits: allows the purpose serve_custom_tts",
        "the dataset digits: kept until: 2034-12-31T00:00:00Z, was 2035-12-31T15:59:59Z",
        "demands differential privacy",
    ]


def test_a_dataset_that_comes_new_says_what_it_is_for() -> None:
    (gone,) = between(("- id: voices", "- id: digits2"))[:1]
    (new,) = between(("- id: voices", "- id: digits2"))[1:]
    assert (gone.path, gone.effect, gone.words) == (
        "datasets[voices]",
        "narrows",
        "no longer allows the dataset voices",
    )
    assert (new.path, new.effect, new.old) == ("datasets[digits2]", "widens", None)
    assert new.words == (
        "allows the dataset digits2, for train, optimise, test, evaluate, serve_custom_tts, in EU, "
        "until 2035-12-31T15:59:59Z"
    )


def test_a_second_entry_of_a_name_is_not_overlooked() -> None:
    (found,) = between(("  - {id: optimise,", "  - {id: train, dpv: [x]}\n  - {id: optimise,"))
    assert (found.path, found.effect) == ("purposes[train #2]", "widens")


def test_an_assessment_that_goes_missing_allows_more_and_another_one_is_to_be_looked_at() -> None:
    text = DEMO.decode()
    start = text.index("    impact_assessment:")
    block = text[start : text.index("    purposes: [train, optimise", start)]
    (gone,) = between((block, ""))
    assert (gone.effect, gone.words) == (
        "widens",
        "the dataset digits: no longer demands an impact assessment",
    )
    (other,) = between(("5" * 64, "6" * 64))
    assert other.effect == "widens" and "cannot be told" in other.words


def test_a_field_without_a_reading_counts_as_allowing_more(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = {place: reading for place, reading in READINGS.items() if place != "derivatives.dp.max_epsilon"}
    monkeypatch.setattr("sandbox.policy.difference.READINGS", kept)
    (found,) = between(("max_epsilon: 8.0", "max_epsilon: 4.0"))
    assert found.effect == "widens" and "counts as allowing more" in found.words


def places(model: type[Model], at: str = "") -> Iterator[str]:
    """The place of every field of ``model``, as readings name it."""
    for name, field in model.model_fields.items():
        here = f"{at}{field.alias or name}"
        inner = _models(field.annotation)
        listed = "tuple" in str(field.annotation)
        if not inner:
            yield here
            continue
        if listed:
            assert inner[0] in NAMED, f"{here}: nothing tells its entries from each other"
        if listed or not field.is_required():
            yield here + ("[]" if listed else "")
        for kind in inner:
            key = NAMED.get(kind) if listed else None
            yield from (
                place
                for place in places(kind, f"{here}{'[]' if listed else ''}.")
                if place != f"{here}[].{key}"
            )


def _models(annotation: Any) -> list[type[Model]]:
    if isinstance(annotation, type) and issubclass(annotation, Model):
        return [annotation]
    return [found for inner in get_args(annotation) for found in _models(inner)]


def test_every_field_of_the_terms_is_read_or_left_to_people_on_purpose() -> None:
    found = set(places(Terms))
    assert found - set(READINGS) == LOOKED_AT_BY_PEOPLE
    assert set(READINGS) <= found


def test_changes_are_plain_data() -> None:
    (found,) = between(("longest: P1Y", "longest: P6M"))
    assert asdict(found) == {
        "path": "access.longest",
        "old": "P1Y",
        "new": "P6M",
        "effect": "narrows",
        "words": "the longest access: P6M, was P1Y",
    }
