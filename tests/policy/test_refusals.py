from __future__ import annotations

from pathlib import Path

from sandbox.policy.refusals import page

ROOT = Path(__file__).resolve().parents[2]


def test_the_page_says_what_the_rules_say() -> None:
    assert (ROOT / "docs/refusals.md").read_text() == page(), (
        "run: python -m sandbox.policy.refusals > docs/refusals.md"
    )
