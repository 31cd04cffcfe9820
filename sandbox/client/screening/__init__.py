"""Transcripts looked through for what points at a person: identity numbers, telephones, e-mail, addresses, names.

    hits = screen("call me on 138 0013 8000")        # kind, start, end; the text itself is in no answer
    redacted(text, hits)

Numbers are known by pattern and, where they have them, check digits (python-stdnum); names and addresses by patterns
and small lists of our own, Chinese and European. Nothing here proves that a text is clean: ``tests/client`` reports how
much of a seeded set is found.
"""

from __future__ import annotations

from sandbox.client.screening.names import known_names
from sandbox.client.screening.screen import VERSION, Hit, redacted, screen

__all__ = ["VERSION", "Hit", "known_names", "redacted", "screen"]
