"""V24: Party A alone may take away, never give; whatever no program can tell the way of counts as giving."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from sandbox.errors import Refused, SandboxError, StatementError, Usage
from sandbox.policy.agreement import Agreement, open_agreement
from sandbox.policy.facts import TermsFacts
from sandbox.policy.narrowing import forbids, open_version
from sandbox.runs import Request
from sandbox.statements import sha256
from tests.fakes.agreement import PARTY_A, PARTY_B, agreement_yaml, signed
from tests.policy import cases
from tests.policy import world as w

FIRST = agreement_yaml()
A, B = PARTY_A.public, PARTY_B.public


def second(old: str = "", new: str = "", *, version: int = 2, before: bytes = FIRST) -> bytes:
    """The version after ``before``, with one text replaced."""
    text = agreement_yaml(version=version, supersedes=sha256(before)).decode()
    assert old in text
    return text.replace(old, new, 1).encode()


def first(_: str) -> Agreement:
    return open_agreement(FIRST, signed(FIRST), A, B, "first")


def open_alone(data: bytes, before: Callable[[str], Agreement] = first) -> Agreement:
    return open_version(data, signed(data, PARTY_A), A, B, "second.yaml", before)


NARROWER = {
    "a purpose goes": ("purposes: [train, test]", "purposes: [train]"),
    "it ends earlier": (
        "until: 2027-01-31T23:59:59+08:00}\nparties",
        "until: 2026-12-31T23:59:59+08:00}\nparties",
    ),
    "one more prohibition": ("[speaker_identification]", "[speaker_identification, resale]"),
    "privacy becomes a must": ("dp: {required: false", "dp: {required: true"),
    "shorter access": ("longest: P1Y", "longest: P6M"),
    "quicker reviews": ("longest: P1Y", "longest: P1Y, review_every: P30D"),
}


@pytest.mark.parametrize(("old", "new"), NARROWER.values(), ids=NARROWER)
def test_party_a_alone_may_narrow(old: str, new: str) -> None:
    found = open_alone(second(old, new))
    assert found.by_a_alone and found.terms.metadata.version == 2


WIDER = {
    "a purpose comes": ("purposes: [train, test]", "purposes: [train, test, evaluate]"),
    "it ends later": (
        "until: 2027-01-31T23:59:59+08:00}\nparties",
        "until: 2028-12-31T23:59:59+08:00}\nparties",
    ),
    "a prohibition goes": ("[speaker_identification]", "[]"),
    "more epsilon": ("max_epsilon: 8.0", "max_epsilon: 9.0"),
    "no program can tell": ("legal_name: Example TTS Co., Ltd.", "legal_name: Other TTS Co., Ltd."),
    "another model of the relationship": ("model: entrusted", "model: joint"),
}


@pytest.mark.parametrize(("old", "new"), WIDER.values(), ids=WIDER)
def test_party_a_alone_may_not_widen_nor_leave_it_unclear(old: str, new: str) -> None:
    with pytest.raises(Refused) as caught:
        open_alone(second(old, new))
    assert caught.value.code == "agreement.widens" and caught.value.reasons


def test_one_widening_among_narrowings_needs_both() -> None:
    data = second("purposes: [train, test]", "purposes: [train]").replace(
        b"max_epsilon: 8.0", b"max_epsilon: 9.0"
    )
    with pytest.raises(Refused) as caught:
        open_alone(data)
    assert [reason.about for reason in caught.value.reasons] == ["derivatives.dp.max_epsilon"]
    assert not open_version(data, signed(data), A, B, "second.yaml", first).by_a_alone


def test_a_version_that_forbids_nothing_more_needs_both() -> None:
    with pytest.raises(Refused) as caught:
        open_alone(second())
    assert caught.value.code == "agreement.narrows_nothing"


def _by_b(data: bytes) -> Agreement:
    return open_version(data, signed(data, PARTY_B), A, B, "x", first)


def _other_bytes(data: bytes) -> Agreement:
    return open_version(data + b"\n", signed(data, PARTY_A), A, B, "x", first)


def _same_key_twice(data: bytes) -> Agreement:
    return open_version(data, signed(data, PARTY_A), A, A, "x", first)


def _another_before(data: bytes) -> Agreement:
    return open_alone(data, lambda _: Agreement(w.terms(), "f" * 64))


REFUSED = {
    "Party B alone": _by_b,
    "other bytes than were signed": _other_bytes,
    "one key as both parties": _same_key_twice,
    "the version before is another": _another_before,
}


@pytest.mark.parametrize("attempt", REFUSED.values(), ids=REFUSED)
def test_nothing_but_party_as_word_on_the_version_before_will_do(
    attempt: Callable[[bytes], Agreement],
) -> None:
    with pytest.raises(StatementError):
        attempt(second("purposes: [train, test]", "purposes: [train]"))


def test_a_first_version_is_never_party_as_alone() -> None:
    with pytest.raises(StatementError):
        open_alone(FIRST)


def test_a_number_left_out_does_not_follow() -> None:
    data = second("purposes: [train, test]", "purposes: [train]", version=3)
    with pytest.raises(Refused) as caught:
        open_alone(data)
    assert caught.value.code == "agreement.version"


def test_what_party_a_signed_is_read_as_strictly_as_ever() -> None:
    with pytest.raises(Usage):
        open_alone(second("purposes: [train, test]", "purposes: [train]\n    colour: red"))


def test_narrowings_rest_on_each_other_down_to_what_both_signed() -> None:
    middle = second("purposes: [train, test]", "purposes: [train]")
    last = second("purposes: [train, test]", "purposes: [train]", version=3, before=middle).replace(
        b"max_epsilon: 8.0", b"max_epsilon: 2.0"
    )
    stored = {sha256(FIRST): (FIRST, signed(FIRST)), sha256(middle): (middle, signed(middle, PARTY_A))}

    def before(digest: str) -> Agreement:
        data, envelope = stored[digest]
        return open_version(data, envelope, A, B, "x", before)

    assert open_alone(last, before).terms.derivatives.dp.max_epsilon == 2.0
    stored[sha256(FIRST)] = (FIRST, signed(FIRST, PARTY_A))
    with pytest.raises(SandboxError):
        open_alone(last, before)


def forbidden(make: Callable[[], tuple[Request, object]]) -> set[str]:
    """What the world of ``make`` forbids of a run that was permitted before."""
    asked, old = cases.run()
    _, new = make()
    return {r.code for r in forbids(asked, old, new.terms, new.status, w.NOW)}  # type: ignore[attr-defined]


def test_what_an_agreement_forbids_now_is_told_apart() -> None:
    gone = "purposes: [train, optimise, test, evaluate]"
    assert forbidden(lambda: cases.signed(gone, "purposes: [test, evaluate]")) == {"purpose.not_for_dataset"}
    assert forbidden(lambda: cases.with_registers(status=[w.status(status="suspended")])) == {
        "agreement.suspended"
    }
    assert forbidden(lambda: cases.signed("until: 2035-12-31", "until: 2026-11-30")) == {"agreement.expired"}
    assert forbidden(lambda: cases.signed("max_epsilon: 8.0", "max_epsilon: 2.0")) == set()


def test_what_only_time_brought_is_not_the_agreements_doing() -> None:
    asked, old = cases.run()
    later = cases.LATER.replace(year=2030)
    assert old.terms is not None and old.status is not None
    assert forbids(asked, old, old.terms, old.status, later) == ()
    assert isinstance(old.terms, TermsFacts)
