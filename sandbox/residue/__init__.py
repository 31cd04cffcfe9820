"""What is left of plaintext where only ciphertext may be: canaries planted in a corpus, then searched for everywhere.

    canary = draw("digits")                     # a sound and a text like no others: canary.write(folder / "a.wav")
    found = scan(installation(state), canary.needles())
    found.findings, found.places                     # what was found where; files, bytes and seconds of each place

``canary``   a recording of noise and a text that stand nowhere else
``corpus``   needles of real recordings that were sealed
``needles``  the byte strings that a sound or a text turns into, in every form in which it gets about
``places``   where an installation could leave something, from its state to the engine's layers and swap
``search``   all needles in one pass over bytes, and inside FLAC and gzip
``scan``     places searched, with figures

Not found, because bytes no longer show it: what is encrypted, resampled, scaled, lossily coded (MP3, Opus), or
compressed by other means than gzip and FLAC.
"""

from __future__ import annotations

from sandbox.residue.canary import Canary, draw
from sandbox.residue.corpus import WEIGHTS, of_corpus
from sandbox.residue.needles import Needle, of_sound, of_text
from sandbox.residue.places import Place, folder, installation
from sandbox.residue.scan import Finding, Scan, scan

__all__ = [
    "WEIGHTS",
    "Canary",
    "Finding",
    "Needle",
    "Place",
    "Scan",
    "draw",
    "folder",
    "installation",
    "of_corpus",
    "of_sound",
    "of_text",
    "scan",
]
