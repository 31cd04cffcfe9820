"""What a reviewer of the runner image approves: every file that it is made from, by its digest."""

from __future__ import annotations

import shutil
from pathlib import Path

from sandbox.deployment.image import Builder, container_half
from sandbox.statements import sha256

ROOT = Path(__file__).resolve().parents[2]


def inputs(source: Path) -> dict[str, str]:
    return Builder("podman", source, Path("/nowhere"), lambda _: None).inputs(b"trust")


def test_every_file_that_the_image_is_made_from_is_named_with_its_digest() -> None:
    found = inputs(ROOT)
    for name in ("docker/base.sh", "docker/runner.lock", "docker/torch.lock", "docker/runner.Dockerfile"):
        assert found[name] == sha256((ROOT / name).read_bytes())
    copied = container_half((ROOT / "docker/runner.Dockerfile").read_text())
    assert copied and all(any(name == one or name.startswith(f"{one}/") for name in found) for one in copied)
    assert found["trust.json"] == sha256(b"trust")


def test_one_changed_byte_changes_exactly_its_own_digest(tmp_path: Path) -> None:
    before = inputs(ROOT)
    for folder in ("docker", "sandbox"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    door = tmp_path / "sandbox/runner/door.py"
    door.write_bytes(door.read_bytes() + b"#")
    after = inputs(tmp_path)
    assert [name for name in before | after if before.get(name) != after.get(name)] == [
        "sandbox/runner/door.py"
    ]
