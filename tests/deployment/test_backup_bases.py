"""Published files are public and large: a backup goes without them, and none can bring one in."""

from __future__ import annotations

from pathlib import Path

from sandbox.deployment.backup.copying import belongs, files_of
from sandbox.gate.places import Places

DIGEST = "a" * 64


def test_a_backup_leaves_published_files_out(tmp_path: Path) -> None:
    places = Places(tmp_path)
    places.make()
    places.base(DIGEST).write_bytes(b"published")
    places.artifact(DIGEST).write_bytes(b"sealed")
    copied = [str(name) for name in files_of(tmp_path, "gate/private")]
    assert copied == [f"gate/private/artifacts/{DIGEST}"]
    assert not belongs(f"gate/private/bases/{DIGEST}") and belongs(copied[0])
