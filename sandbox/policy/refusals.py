"""``docs/refusals.md``, written from the rules themselves, so that it cannot say anything else than they do."""

from __future__ import annotations

from collections.abc import Sequence

from sandbox.policy.decide import BROKEN, RULES
from sandbox.policy.soundness import FILE_RULES

_HEAD = """# Refusals

Every refusal has a stable code, `noun.fault`. A decision lists all of them, never only the first; it is in the log with
a digest of every fact it used (`sandbox policy explain d-…`). This page is written from the rules
(`python -m sandbox.policy.refusals > docs/refusals.md`).

## A run

"""
_FILE = """
## An agreement file

What `sandbox agreement check FILE` looks for, and what `activate` refuses.

"""


def page() -> str:
    """The whole page as Markdown."""
    runs = [("code", "clause", "cause", "mend")]
    runs += [(f"`{rule.code}`", rule.clause, rule.cause, rule.mend) for rule in RULES]
    runs.append((f"`{BROKEN}`", "default deny 7", "A rule failed; the answer is no.", "report it"))
    files = [("code", "rule", "clause", "cause", "mend")]
    files += [(f"`{rule.code}`", rule.rule, rule.clause, rule.cause, rule.mend) for rule in FILE_RULES]
    return _HEAD + _table(runs) + _FILE + _table(files)


def _table(rows: Sequence[tuple[str, ...]]) -> str:
    lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    lines.insert(1, "|" + "---|" * len(rows[0]))
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    import sys

    sys.stdout.write(page())
