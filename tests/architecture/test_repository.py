"""The repository holds no secret, no speech, no weights and no word about one machine."""

from __future__ import annotations

import re

import pytest

from tests.architecture.house import ROOT, tracked

NEVER = {
    ".wav", ".flac", ".mp3", ".ogg", ".g722", ".pt", ".pth", ".ckpt", ".safetensors", ".onnx", ".npz", ".pkl", ".pem",
    ".key", ".p12", ".db", ".sqlite", ".whl", ".pyc",
}  # fmt: skip
LARGEST = 400_000  # bytes; the locks are the largest files there are

# Written in pieces, so that this file does not hold what it looks for.
PATTERNS = {
    "a private key": r"-----BEGIN [A-Z ]*PRIVATE " + "KEY-----",
    "a Vault token": r"\b(?:hv[sbr]|[sbr])\.(?=[A-Za-z0-9]*[0-9])[A-Za-z0-9]{24,}",
    "a path of one machine": r"(?<![\w.])/(?:root|work|Users)" + r"/[\w.]",
    "a package index": r"(?:files\.python" + r"hosted|index-url[ =]\S*://|find-links[ =]+file:)",
}


def test_no_audio_weights_keys_or_databases() -> None:
    assert [str(path.relative_to(ROOT)) for path in tracked() if path.suffix.lower() in NEVER] == []


def test_no_large_file() -> None:
    assert [str(path.relative_to(ROOT)) for path in tracked() if path.stat().st_size > LARGEST] == []


@pytest.mark.parametrize(("what", "pattern"), PATTERNS.items(), ids=PATTERNS.keys())
def test_no_file_holds(what: str, pattern: str) -> None:
    found = []
    for path in tracked():
        text = path.read_text(errors="replace")
        found += [f"{path.relative_to(ROOT)}: {match.group(0)[:24]}" for match in re.finditer(pattern, text)]
    assert found == []


def test_every_lock_pins_and_hashes_every_line() -> None:
    locks = [*sorted((ROOT / "locks").glob("*.lock")), *sorted((ROOT / "docker").glob("*.lock"))]
    assert len(locks) >= 5
    for lock in locks:
        for entry in re.split(r"(?<!\\)\n", lock.read_text()):
            if entry and not entry.startswith(("#", " ")):
                assert re.match(r"^[A-Za-z0-9._-]+(\[[a-z,]+\])?==\S+", entry), f"{lock.name}: {entry[:60]}"
                assert "--hash=sha256:" in entry, f"{lock.name}: {entry[:60]}"


def test_a_package_in_two_locks_has_one_version() -> None:
    versions: dict[str, set[str]] = {}
    for lock in [*(ROOT / "locks").glob("*.lock"), ROOT / "docker" / "runner.lock"]:
        for name, version in re.findall(
            r"^([A-Za-z0-9._-]+)(?:\[[a-z,]+\])?==(\S+)", lock.read_text(), flags=re.MULTILINE
        ):
            versions.setdefault(name.lower(), set()).add(version)
    assert {name: found for name, found in versions.items() if len(found) > 1} == {}
