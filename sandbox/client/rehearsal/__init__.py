"""A sealing rehearsed at home: what would be sealed and what set aside. Nothing is sent, nothing is written.

found = rehearse(read_folder(folder, Defaults(language="en")), Wishes(downmix=True))
found.hours, found.people, found.problems
"""

from __future__ import annotations

from sandbox.client.rehearsal.examine import examine
from sandbox.client.rehearsal.lengths import Bin, bins
from sandbox.client.rehearsal.problems import PROBLEMS
from sandbox.client.rehearsal.tally import Rehearsal, rehearse

__all__ = ["PROBLEMS", "Bin", "Rehearsal", "bins", "examine", "rehearse"]
