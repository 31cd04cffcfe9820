"""What a backup leaves out of the custodian's room: consignments that nobody sealed yet."""

from __future__ import annotations

from pathlib import Path

from sandbox.deployment.backup.copying import files_of


def test_a_backup_holds_no_consignment_but_says_what_came(tmp_path: Path) -> None:
    """With a snapshot of Vault it would open again after a person in it was erased."""
    folder = tmp_path / "custodian" / "consignments"
    folder.mkdir(parents=True)
    for ending in ("consignment", "dsse.json", "findings.json"):
        (folder / f"cs-abc234.{ending}").write_bytes(b"x")
    kept = {path.name for path in files_of(tmp_path, "custodian")}
    assert kept == {"cs-abc234.dsse.json", "cs-abc234.findings.json"}
