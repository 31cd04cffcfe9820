"""Rules that cannot be read: it is told each time, and nothing passes by unseen meanwhile."""

from __future__ import annotations

import shutil

from tests.fakes.audit_lines import answer
from tests.gate.test_detection import CONFIG, rules, write
from tests.gate.test_detection import watched as watched  # noqa: PLC0414 - a fixture


def test_a_rules_file_that_is_away_twice_is_told_of_twice(world, watched) -> None:
    path = world.places.app / "configs" / "detection.yaml"
    path.unlink()
    watched.detection.look()
    assert rules(watched) == ["detection.rules"]
    shutil.copyfile(CONFIG, path)
    watched.detection.look()
    world.pass_time(days=10)
    path.unlink()
    second = world.gate()
    second.detection.look()
    assert rules(second).count("detection.rules") == 2


def test_a_gate_that_starts_without_rules_misses_nothing(world, watched) -> None:
    path = world.places.app / "configs" / "detection.yaml"
    path.unlink()
    second = world.gate()
    write(second, answer("subjects/export/encryption-key/x"))
    second.detection.look()
    assert rules(second) == ["detection.rules"]
    shutil.copyfile(CONFIG, path)
    second.detection.look()
    assert set(rules(second)) - {"detection.rules"}
