"""What the tests themselves leave behind: nothing, also beside another session."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path


def test_a_test_writes_in_a_folder_of_its_own_session(tmp_path: Path) -> None:
    (tmp_path / "written").write_text("by a test")
    session = tmp_path.parent
    assert session.parent == Path(tempfile.gettempdir()).resolve() and session.name.startswith("vs-")
    assert session.stat().st_mode & 0o077 == 0


def test_nothing_is_left_where_a_session_wrote(tmp_path: Path) -> None:
    inner = f"{Path(__file__)}::{test_a_test_writes_in_a_folder_of_its_own_session.__name__}"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", inner],
        env={**os.environ, "TMPDIR": str(tmp_path)},
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert "1 passed" in done.stdout
    assert list(tmp_path.iterdir()) == []
