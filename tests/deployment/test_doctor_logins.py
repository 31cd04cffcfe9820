"""`sandbox doctor` says when gate and custodian log in again, and that nobody approved the runner image yet."""

from __future__ import annotations

import json
from base64 import b64encode
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sandbox.deployment import doctor, health, layout, users
from sandbox.deployment.doctor import CHECKS, Finding
from sandbox.deployment.places import Places
from sandbox.deployment.settings import Settings
from sandbox.deployment.vault_login import HELD
from sandbox.runs import utc
from sandbox.service.lease import LOGIN_ENDS, Lease

IMAGE = "ab" * 32


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Places:
    monkeypatch.setattr(doctor, "holder", lambda _: 1)
    found = Places(tmp_path / "s")
    layout.make(layout.rooms(found, users.one_user(0, 0)))
    found.public.write_text(json.dumps({"image_id": IMAGE}))
    return found


def look(places: Places, check: str) -> list[Finding]:
    return list(CHECKS[check](places, Settings()))


def test_a_lease_notes_its_end_where_the_doctor_reads_it(places: Places) -> None:
    assert Lease(lambda: 7200, note=places.gate_private / LOGIN_ENDS)() == 7200
    assert health.logins(places)["gate"] == pytest.approx(2.0, abs=0.01)
    (only,) = look(places, "logins")
    assert only.level == "ok" and "gate's at Vault ends in 2.0 h" in only.says


@pytest.mark.parametrize(
    ("hours", "held", "levels"), [(-1, False, ["bad"]), (-1, True, ["note"]), (1, True, ["note", "ok"])]
)
def test_a_login_that_ended_is_told_but_not_that_of_a_gate_that_is_to_have_none(
    places: Places, hours: int, held: bool, levels: list[str]
) -> None:
    (places.gate_private / LOGIN_ENDS).write_text(utc(datetime.now(UTC) + timedelta(hours=hours)))
    if held:
        (places.gate_private / HELD).write_text("{}")
    assert [finding.level for finding in look(places, "logins")] == levels


def test_a_note_that_is_no_time_says_nothing(places: Places) -> None:
    (places.custodian_private / LOGIN_ENDS).write_text("soon")
    assert look(places, "logins") == []


def test_an_image_that_nobody_approved_is_told_until_somebody_did(places: Places) -> None:
    register = places.gate_private / "registers" / "image-approval"
    register.mkdir(parents=True)
    for number, image in enumerate(("cd" * 32, IMAGE), 1):
        (told,) = look(places, "approved")
        assert told.level == "note" and IMAGE[:19] in told.says
        said = b64encode(json.dumps({"predicate": {"image": image}}).encode()).decode()
        (register / f"{number}.dsse.json").write_text(json.dumps({"payload": said}))
    assert look(places, "approved") == []
