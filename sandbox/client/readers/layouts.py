"""Which layout a folder has, told from the folder alone; a folder of none or of two is refused."""

from __future__ import annotations

from pathlib import Path

from sandbox.client.readers import audiofolder, common_voice, libritts, ljspeech, plain, vctk
from sandbox.client.readers.recording import Defaults, Layout, Recording
from sandbox.errors import Usage

LAYOUTS = (
    plain.LAYOUT,
    ljspeech.LAYOUT,
    audiofolder.LAYOUT,
    vctk.LAYOUT,
    libritts.LAYOUT,
    common_voice.LAYOUT,
)


def recognise(folder: Path) -> Layout:
    """The one layout that fits.

    Raises:
        Usage: none fits, and what was looked for; or more than one does, and which to move away is not ours to guess.
    """
    try:
        fitting = [layout for layout in LAYOUTS if layout.fits(folder)]
    except OSError as fault:
        raise _unreadable(folder, fault) from None
    if not fitting:
        looked = ", ".join(f"{layout.sign} ({layout.name})" for layout in LAYOUTS)
        raise Usage(
            f"{folder} has no layout that is known; looked for: {looked}",
            code="folder.unknown",
            mend="write a metadata.csv with the columns file,text,subject,language",
        )
    if len(fitting) > 1:
        raise Usage(
            f"{folder} could be {' or '.join(layout.name for layout in fitting)}",
            code="folder.ambiguous",
            mend="keep one listing in the folder",
        )
    return fitting[0]


def read_folder(folder: Path, defaults: Defaults) -> list[Recording]:
    """Every recording that the folder names, in the order of its listing or, without one, by speaker and name.

    Raises:
        Usage: no layout or two; a listing that cannot be read as a whole; nothing listed.
    """
    layout = recognise(folder)
    try:
        found = list(layout.read(folder, defaults))
    except OSError as fault:
        raise _unreadable(folder, fault) from None
    if not found:
        raise Usage(f"{folder} ({layout.name}) names no recording", code="folder.empty")
    return found


def _unreadable(folder: Path, fault: OSError) -> Usage:
    return Usage(f"{fault.filename or folder} cannot be read: {fault.strerror}", code="folder.unreadable")
