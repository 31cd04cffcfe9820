"""`sandbox doctor` says when the setting for second factors is the weaker one."""

from __future__ import annotations

from pathlib import Path

import pytest

from sandbox.deployment.doctor import CHECKS
from sandbox.deployment.places import Places
from sandbox.deployment.settings import Settings
from sandbox.errors import Usage
from sandbox.policy.second_factor import totp_required


@pytest.mark.parametrize(
    ("text", "required"),
    [
        ("region: eu\n", True),
        ("region: eu\nidentity: {totp: required}\n", True),
        ("region: eu\nidentity: {}\n", True),
        ("region: eu\nidentity: {totp: enrolled}\n", False),
    ],
)
def test_the_weaker_setting_is_named(tmp_path: Path, text: str, required: bool) -> None:
    places = Places.at(tmp_path)
    file = places.app / "configs" / "gate.yaml"
    file.parent.mkdir(parents=True)
    file.write_text(text)
    assert totp_required(file) is required
    found = [finding.level for finding in CHECKS["identity"](places, Settings.read(places))]
    assert found == ([] if required else ["note"])


@pytest.mark.parametrize(
    "text", ["identity: {totp: none}\n", "identity: {topt: required}\n", "identity: no\n", ""]
)
def test_a_setting_that_is_misread_is_no_permission(tmp_path: Path, text: str) -> None:
    file = tmp_path / "gate.yaml"
    file.write_text(text)
    with pytest.raises(Usage):
        totp_required(file)
    with pytest.raises(Usage):
        totp_required(tmp_path / "none.yaml")
