"""Folders as people have them, read as recordings to be sealed: one layout a file.

    layout = recognise(folder)                                    # "LJSpeech", "Common Voice", …
    for recording in read_folder(folder, Defaults(language="en")):
        facts, audio = recording.sent()

What cannot be read is not skipped: it is sent with its fault, and set aside with the others by the custodian, which
judges everything. Speakers are named as the folder names them, or as ``Defaults.names`` translates them to pseudonyms.
"""

from __future__ import annotations

from sandbox.client.readers.layouts import LAYOUTS, read_folder, recognise
from sandbox.client.readers.names import read_names
from sandbox.client.readers.recording import Defaults, Layout, Recording

__all__ = ["LAYOUTS", "Defaults", "Layout", "Recording", "read_folder", "read_names", "recognise"]
