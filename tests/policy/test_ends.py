"""The earliest end wins and says which it is: at every edge, whatever the offset, the leap day, the order."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from sandbox.policy import ends
from sandbox.policy.decide import decide
from sandbox.policy.entries import ConsentEntry
from sandbox.policy.fields import Duration, moment, moment_or_day
from tests.policy import cases
from tests.policy import world as w

SECOND = timedelta(seconds=1)
ANNA = "consent cr-aa000 of spk_aa"
FAR = datetime(2030, 1, 1, tzinfo=UTC)


def consent(expires: str) -> ConsentEntry:
    return ConsentEntry.model_validate(w.consent(expires=expires))


@pytest.mark.parametrize(
    ("expires", "told", "agreement", "why"),
    [
        ("2026-12-31", "2027-01-01", "2027-01-02", "consent cr-aa000 of spk_aa"),
        ("2027-01-03", "2027-01-01", "2027-01-02", ends.TOLD),
        ("2027-01-03", "2027-01-04", "2027-01-02", ends.AGREEMENT),
        # the same day: in Hefei it ends eight hours before it does in London
        ("2027-01-01T00:00:00+08:00", "2027-01-01T00:00:00Z", "2027-01-01T00:00:00-05:00", ANNA),
        ("2027-01-01T00:00:00-05:00", "2027-01-01T00:00:00+08:00", "2027-01-01T00:00:00Z", ends.TOLD),
        # a second apart over two offsets
        ("2027-01-01T08:00:01+08:00", "2027-01-01T00:00:00Z", "2028-01-01", ends.TOLD),
        ("2027-01-01T07:59:59+08:00", "2027-01-01T00:00:00Z", "2028-01-01", ANNA),
    ],
)  # fmt: skip
def test_the_earliest_wins_and_is_named(expires: str, told: str, agreement: str, why: str) -> None:
    data = ends.of_data([moment_or_day(told)], moment_or_day(agreement))
    assert ends.of_voice(consent(expires), data).why == why


def test_of_two_retentions_the_shorter_wins() -> None:
    assert ends.of_data([FAR, FAR - SECOND], FAR).at == FAR - SECOND


EDGES = {
    "in UTC": ("2026-12-01T12:00:00Z", datetime(2026, 12, 1, 12, tzinfo=UTC)),
    "east": ("2026-12-01T20:00:00+08:00", datetime(2026, 12, 1, 12, tzinfo=UTC)),
    "west, the day before": ("2026-11-30T23:30:00-12:30", datetime(2026, 12, 1, 12, tzinfo=UTC)),
    "the hour before clocks go back": ("2026-10-25T02:30:00+02:00", datetime(2026, 10, 25, 0, 30, tzinfo=UTC)),
    "the same hour again": ("2026-10-25T02:30:00+01:00", datetime(2026, 10, 25, 1, 30, tzinfo=UTC)),
    "the leap day's last second": ("2028-02-29T23:59:59Z", datetime(2028, 2, 29, 23, 59, 59, tzinfo=UTC)),
    "a leap day, bare": ("2028-02-29", datetime(2028, 2, 29, tzinfo=UTC)),
    "a part of a second": ("2026-12-01T12:00:00.999Z", datetime(2026, 12, 1, 12, tzinfo=UTC)),
}  # fmt: skip


@pytest.mark.parametrize(("said", "at"), EDGES.values(), ids=EDGES)
def test_a_consent_holds_a_second_before_its_end_and_not_at_it(said: str, at: datetime) -> None:
    registers = w.registers(
        consent=[w.consent("spk_aa", expires=said, given_at="2026-01-01"), w.consent("spk_bb", expires="2029-01-01")],
        people=[w.person(training={"course": "c", "valid_until": "2029-01-01"}),
                w.reviewer("b.privacy.1"), w.reviewer("b.privacy.2")],
        access=[w.access(until="2027-10-30")],
    )  # fmt: skip
    for now, stands in ((at - SECOND, True), (at, False), (at + SECOND, False)):
        asked, facts = cases.run(registers=registers, now=now)
        codes = {reason.code for reason in decide(asked, facts).reasons}
        assert ("consent.expired" not in codes) is stands


def test_a_year_from_a_leap_day_ends_on_the_28th() -> None:
    leap = moment("2028-02-29T12:00:00+08:00")
    assert Duration.parse("P1Y").after(leap) == moment("2029-02-28T12:00:00+08:00")
    assert Duration.parse("P4Y").after(leap) == moment("2032-02-29T12:00:00+08:00")


def test_a_decision_ends_with_the_first_thing_and_names_it() -> None:
    def why(**changes: object) -> str:
        asked, facts = cases.consents(**changes)  # type: ignore[arg-type]
        found = decide(asked, facts)
        assert found.expires is not None and found.permitted
        return found.expires_why

    assert why() == "the time that was asked for"
    assert why(expires="2026-12-01T12:00:01Z") == "consent cr-aa000 of spk_aa"
    asked, facts = cases.signed("until: 2035-12-31T23:59:59+08:00, on", "until: 2026-12-01T12:00:09Z, on")
    assert decide(asked, facts).expires_why == ends.TOLD


def test_a_run_on_a_model_ends_with_the_first_consent_of_those_in_its_lineage() -> None:
    soon = w.consent("spk_bb", expires="2026-12-01T12:00:07Z")
    asked = w.evaluation()
    facts = w.evaluation_facts(asked, registers=w.registers(consent=[w.consent("spk_aa"), soon]))
    found = decide(asked, facts)
    assert found.expires == w.NOW + 7 * SECOND and found.expires_why == "consent cr-bb000 of spk_bb"
    first = ends.of_facts(facts)
    assert first is not None and (first.at, first.why) == (found.expires, found.expires_why)


def test_the_approval_of_a_minor_ends_the_permission() -> None:
    found = decide(*cases.minor("14_17", until="2026-12-01T12:00:05Z"))
    assert found.permitted and found.expires_why == "the approval of access to the minor spk_aa"


@pytest.mark.parametrize(
    "changes",
    [
        {"person": "eng.wu"},
        {"dataset": "voices"},
        {"minors": ["spk_bb"]},
        {"purposes": ["evaluate"]},
        {"until": "2026-12-01T12:00:00Z"},
        {"until": "2026-12-02T10:00:01+08:00"},  # a second over a day
        {"approved_by": "a.approver.1"},  # not whom the agreement names
        {"status": "revoked"},
    ],
    ids=str,
)
def test_an_approval_holds_for_what_it_names_and_for_nothing_else(changes: dict[str, object]) -> None:
    assert decide(*cases.minor("14_17")).permitted
    found = decide(*cases.minor("14_17", **changes))
    assert [(reason.code, reason.about) for reason in found.reasons] == [("subject.minor", "spk_aa")]


def test_an_approval_of_minors_gives_no_access_by_itself_and_prolongs_none() -> None:
    asked, facts = cases.minor("14_17")
    rows = {bool(row.minors): row for row in facts.access}
    found = decide(asked, replace(facts, access=(rows[True],)))
    assert [reason.code for reason in found.reasons] == ["access.missing"]
    short = rows[False].model_copy(update={"until": facts.now + SECOND})
    assert decide(asked, replace(facts, access=(short, rows[True]))).expires == facts.now + SECOND


def test_somebody_elses_approval_is_none() -> None:
    asked, facts = cases.minor("14_17")
    rows = [row.model_copy(update={"person": "eng.wu"}) if row.minors else row for row in facts.access]
    found = decide(asked, replace(facts, access=tuple(rows)))
    assert [reason.code for reason in found.reasons] == ["subject.minor"]


def test_a_child_needs_guardian_and_approval() -> None:
    assert decide(*cases.minor("under_14", guardian=True)).permitted


def test_the_next_edge_and_what_passed() -> None:
    one, two = FAR, FAR + SECOND
    assert ends.next_edge([two, one], FAR - SECOND) == one
    assert ends.next_edge([two, one], one) == two
    assert ends.next_edge([two, one], two) is None
    assert not ends.passed([one], FAR - 2 * SECOND, FAR - SECOND)
    assert ends.passed([one], FAR - SECOND, FAR)
    assert not ends.passed([one], FAR, FAR + SECOND)
    assert ends.passed([], FAR, FAR - SECOND)  # the clock was set back


ABROAD = {
    "by its region": ({"allowed": True, "recipients": ["CN-AH"]}, True),
    "by Party B's name": ({"allowed": True, "recipients": ["Example TTS Co., Ltd."]}, True),
    "to somebody else": ({"allowed": True, "recipients": ["US"]}, False),
    "to nobody": ({"allowed": True, "recipients": []}, False),
    "recipients without a yes": ({"allowed": False, "recipients": ["CN"]}, False),
}


@pytest.mark.parametrize(("said", "permitted"), ABROAD.values(), ids=ABROAD)
def test_a_voice_goes_abroad_only_to_whom_its_consent_names(said: dict[str, object], permitted: bool) -> None:
    asked, facts = cases.abroad(**said)
    assert decide(asked, facts).permitted is permitted
