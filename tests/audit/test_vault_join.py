"""Vault's audit file against the grants: each thing that must not stand there is named, once, and nothing else is."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from sandbox.audit import VaultReport, Window, join
from sandbox.audit.vault_join import moment
from tests.fakes.audit_lines import DENIED, answer, both

Line = dict[str, Any]


def time(text: str) -> datetime:
    return datetime.fromisoformat(f"2026-11-24T{text}+00:00")


WINDOW = Window(
    run="r-2345",
    grant="g-2345",
    subjects=frozenset({"digits.spk_aa", "digits.spk_bb"}),
    began=time("12:00:00"),
    ended=time("12:01:00"),
    wraps=frozenset({"hmac-sha256:unlock", "hmac-sha256:model"}),
    token="hmac-sha256:token",
    unlocked=True,
)
#: Another gate's window died while it minted: nobody knows its wraps.
DYING = Window(
    "r-dead", "g-dead", frozenset({"digits.spk_aa"}), time("13:00:00"), time("13:01:00"), minted=False
)
MINT, NEW_KEY, OLD_KEY = (
    "auth/token/create/run",
    "derivatives/datakey/plaintext/dsa-1",
    "derivatives/decrypt/dsa-1",
)


def voice(subject: str = "spk_aa", at: str = "12:00:30", **changes: Any) -> Line:
    """The run's own decrypt of one voice."""
    given = {"policies": ("run-digits-train",), "grant": "g-2345", "accessor": "hmac-sha256:token"}
    return answer(f"subjects/decrypt/digits.{subject}", at, **{**given, **changes})


def index(**changes: Any) -> Line:
    return {**voice(**changes), "request": {"path": "subjects/decrypt/index.digits", "operation": "update"}}


CUSTODIAN: dict[str, Any] = {"policies": ("custodian",), "grant": "", "accessor": "hmac-sha256:custodian"}
GOOD = [
    index(**CUSTODIAN),
    answer(MINT, "12:00:02", policies=("gate",), wrap="hmac-sha256:unlock"),
    answer(NEW_KEY, "12:00:03", policies=("gate",), wrap="hmac-sha256:model"),
    answer("sys/wrapping/unwrap", "12:00:20", policies=("response-wrapping",), data=()),
    index(),
    voice("spk_aa"),
    voice("spk_bb"),
    answer("auth/token/revoke-self", "12:00:31", policies=("run-digits-train",), grant="g-2345", data=()),
]


def joined(*more: Line, windows: tuple[Window, ...] = (WINDOW, DYING)) -> VaultReport:
    return join(both(*GOOD, *more), windows)


def test_a_run_as_it_should_be_has_no_fault() -> None:
    report = joined()
    assert report.faults == ()
    assert (report.requests, len(report.decrypts), report.inside) == (8, 2, 2)
    assert [(d.key, d.run, d.grant) for d in report.decrypts] == [
        ("digits.spk_aa", "r-2345", "g-2345"),
        ("digits.spk_bb", "r-2345", "g-2345"),
    ]
    assert report.decrypts[0].at == datetime(2026, 11, 24, 12, 0, 30, 902805, UTC)


FAULTS: dict[str, tuple[Line, str]] = {
    "a decrypt under no grant": (voice(grant=""), "digits.spk_aa was decrypted under no grant"),
    "a decrypt under an unknown grant": (voice(grant="g-9999"), "digits.spk_aa was decrypted under no grant"),
    "a decrypt by the custodian": (voice(**CUSTODIAN), "digits.spk_aa was decrypted under no grant"),
    "a decrypt into a wrap": (
        voice(grant="", wrap="hmac-sha256:x"),
        "digits.spk_aa was decrypted under no grant",
    ),
    "a batch, of which some may have opened": (
        voice(grant="", data=("http_content_type", "http_raw_body", "http_status_code")),
        "digits.spk_aa was decrypted under no grant",
    ),
    "a decrypt before the window": (
        voice(at="11:59:50"),
        "digits.spk_aa was decrypted outside the window of g-2345 (r-2345)",
    ),
    "a decrypt after the window": (
        voice(at="12:01:10"),
        "digits.spk_aa was decrypted outside the window of g-2345 (r-2345)",
    ),
    "a voice that the grant does not name": (
        voice("spk_cc"),
        "digits.spk_cc was decrypted and g-2345 does not name it",
    ),
    "a copied grant id": (
        voice(accessor="hmac-sha256:thief"),
        "digits.spk_aa was decrypted with a credential that g-2345 was never given",
    ),
    "the index, by the gate": (
        index(policies=("gate",), grant=""),
        "index.digits was decrypted under no grant",
    ),
    "the index, after the window": (
        index(at="12:01:10"),
        "index.digits was decrypted outside the window of g-2345 (r-2345)",
    ),
    "a wrap that was wrapped again": (
        answer("sys/wrapping/rewrap", wrap="hmac-sha256:other"),
        "a credential was put into another wrap",
    ),
    "another dataset's index": (
        {**voice(), "request": {"path": "subjects/decrypt/index.studio"}},
        "index.studio was decrypted and g-2345 does not name it",
    ),
    "a token of no run": (
        answer(MINT, wrap="hmac-sha256:x"),
        f"{MINT} was answered, and no run has that credential",
    ),
    "an artifact key of no run": (
        answer(NEW_KEY, wrap="hmac-sha256:x"),
        f"{NEW_KEY} was answered, and no run has that credential",
    ),
    "an artifact opened for no run": (
        answer(OLD_KEY, wrap="hmac-sha256:x"),
        f"{OLD_KEY} was answered, and no run has that credential",
    ),
    "an artifact key without a wrap": (
        answer(OLD_KEY),
        f"{OLD_KEY} was answered, and no run has that credential",
    ),
    "a wrap outside its window": (
        answer(MINT, "12:05:00", wrap="hmac-sha256:unlock"),
        f"{MINT} was answered outside the window of g-2345",
    ),
    "an unknown wrap after a gate died": (
        answer(MINT, "13:05:00", wrap="hmac-sha256:x"),
        f"{MINT} was answered, and no run has that credential",
    ),
    "a key without a wrap while a gate died": (
        answer(OLD_KEY, "13:00:30"),
        f"{OLD_KEY} was answered, and no run has that credential",
    ),
    "a mount that was moved": (
        answer("sys/remount", data=("migration_id",)),
        "a mount was moved, so what it opened is not seen under its name",
    ),
    "a line that Vault never wrote": ({**voice(), "auth": None}, "a line is not what Vault writes"),
}
GIVEN_AWAY = (
    *("subjects/export/encryption-key/digits.spk_aa", "subjects/byok-export/mine/digits.spk_aa"),
    *("subjects/backup/digits.spk_aa", "subjects/datakey/plaintext/digits.spk_aa"),
    *("derivatives/export/encryption-key/dsa-1", "derivatives/byok-export/mine/dsa-1"),
    *("derivatives/backup/dsa-1", "sys/raw/logical"),
)


@pytest.mark.parametrize(("line", "said"), FAULTS.values(), ids=FAULTS)
def test_whatever_belongs_to_no_grant_is_named(line: Line, said: str) -> None:
    (fault,) = joined(line).faults
    assert fault == f"{line['time'][:19]}Z: {said}"


@pytest.mark.parametrize("path", GIVEN_AWAY)
def test_a_key_that_leaves_in_any_other_way_is_named(path: str) -> None:
    (fault,) = joined(answer(path, data=("keys",))).faults
    assert fault.endswith(f"{path} gave keys away, under no grant")


def test_a_decrypt_that_belongs_to_no_grant_is_counted_and_is_not_inside() -> None:
    report = joined(voice(grant="g-9999"))
    assert (len(report.decrypts), report.inside) == (3, 2)
    assert (report.decrypts[-1].run, report.decrypts[-1].grant) == ("", "g-9999")


HARMLESS: dict[str, Line] = {
    "denied by the policy": voice("spk_cc", error=DENIED, data=("error",)),
    "denied without a token": {**voice(grant="", error=DENIED), "auth": {"token_type": "default"}},
    "a wrap of another key, refused": voice(error="1 error occurred:\n\t* invalid request\n\n"),
    "an export that the key forbids": answer(GIVEN_AWAY[0], data=("error",)),
    "a backup that the key forbids": answer(GIVEN_AWAY[2], error="exporting is disallowed", data=()),
    "a mint without a wrap, refused": answer(MINT, error=DENIED),
    "a new wrap under the same key": answer("subjects/rewrap/digits.spk_aa", data=("ciphertext",)),
    "wrapping under a key": answer("subjects/encrypt/digits.spk_aa", data=("ciphertext",)),
    "how a move goes": answer("sys/remount/status/1", data=("migration_id",)),
    "a gate died while it minted": answer(MINT, "13:00:30", wrap="hmac-sha256:x"),
    "the voice of a second sealing": voice("spk_aa"),
}


@pytest.mark.parametrize("line", HARMLESS.values(), ids=HARMLESS)
def test_what_gave_nothing_away_or_was_granted_is_no_fault(line: Line) -> None:
    report = joined(line)
    assert report.faults == ()
    assert len(report.decrypts) == report.inside


def test_a_request_alone_is_no_decrypt() -> None:
    report = join(both(*GOOD, voice(grant=""))[:-1], (WINDOW, DYING))
    assert (report.faults, len(report.decrypts), report.requests) == ((), 2, 9)


@pytest.mark.parametrize(("at", "fits"), [("11:59:58", True), ("11:59:57", False), ("12:01:01", True)])
def test_a_window_allows_for_whole_seconds_and_no_more(at: str, fits: bool) -> None:
    assert (joined(voice(at=at)).faults == ()) is fits


def test_a_window_is_open_while_its_run_may_still_unlock_and_shut_where_none_was_prepared() -> None:
    still, never = replace(WINDOW, ended=None), replace(WINDOW, began=None)
    assert joined(voice(at="23:00:00"), windows=(still,)).faults == ()
    outside = [fault for fault in joined(windows=(never,)).faults if "outside the window" in fault]
    assert len(outside) == 5  # two wraps, the index, two voices


def test_a_token_that_nobody_hashed_yet_is_known_by_its_metadata() -> None:
    assert joined(voice(accessor="hmac-sha256:other"), windows=(replace(WINDOW, token=""),)).faults == ()


LOST = {
    "a wrap": (lambda line: "datakey" in line["request"]["path"], "r-2345: 1 of its credentials are not in"),
    "every wrap": (lambda line: "wrap_info" in line.get("response", {}), "r-2345: 2 of its credentials are"),
    "a voice": (
        lambda line: line["request"]["path"].endswith("spk_bb"),
        "r-2345: it was unlocked, and Vault's file shows no decrypt of digits.spk_bb",
    ),
}


@pytest.mark.parametrize(("lost", "said"), LOST.values(), ids=LOST)
def test_a_file_that_lost_lines_is_named(lost: Any, said: str) -> None:
    (fault,) = join([line for line in both(*GOOD) if not lost(line)], (WINDOW,)).faults
    assert fault.startswith(said)


def test_a_run_that_never_unlocked_need_not_be_seen() -> None:
    locked = replace(WINDOW, unlocked=False)
    assert join(both(*GOOD[:3]), (locked,)).faults == ()


@pytest.mark.parametrize(
    ("text", "micros"),
    [
        ("2026-11-24T12:00:30.902805487Z", 902805),
        ("2026-11-24T12:00:30Z", 0),
        ("2026-11-24T12:00:30.5Z", 500000),
    ],
)
def test_times_are_read_as_vault_and_gate_write_them(text: str, micros: int) -> None:
    assert moment(text) == datetime(2026, 11, 24, 12, 0, 30, micros, UTC)
