"""VCTK: ``txt/<speaker>/<id>.txt`` and ``wav48*/<speaker>/<id>[_mic1].{flac,wav}`` (doi:10.7488/ds/2645)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from sandbox.client.readers.listing import decoded
from sandbox.client.readers.recording import Defaults, Layout, Recording, recording

ENDINGS = ("_mic1.flac", ".flac", "_mic1.wav", ".wav")
SECOND = ("_mic2.flac", "_mic2.wav")  # the same words once more, by the other microphone


def fits(folder: Path) -> bool:
    return (folder / "txt").is_dir() and bool(_rooms(folder))


def read(folder: Path, defaults: Defaults) -> Iterator[Recording]:
    """Scripts without audio and audio without a script alike (p315 has none): the custodian names what is missing."""
    rooms = _rooms(folder)
    heard = _heard(folder, rooms)
    scripts = {(path.parent.name, path.stem): path for path in (folder / "txt").glob("*/*.txt")}
    for speaker, name in sorted({*heard, *scripts}):
        file = heard.get((speaker, name), f"{rooms[0].name}/{speaker}/{name}.flac")
        text = script(scripts.get((speaker, name)))
        yield recording(folder, file, text, defaults, subject=speaker)


def script(path: Path | None) -> str:
    """What a script file says; "" where there is none or it cannot be opened."""
    try:
        return "" if path is None else decoded(path.read_bytes()).strip()
    except OSError:
        return ""


def _rooms(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("wav*") if path.is_dir())


def _heard(folder: Path, rooms: list[Path]) -> dict[tuple[str, str], str]:
    """(speaker, id) -> file; of several, the one whose ending stands first in ``ENDINGS``, in the first room."""
    found: dict[tuple[str, str], str] = {}
    for room in rooms:
        for ending in ENDINGS:
            for path in room.glob(f"*/*{ending}"):
                if not path.name.endswith(SECOND):
                    place = (path.parent.name, path.name.removesuffix(ending).removesuffix("_mic1"))
                    found.setdefault(place, path.relative_to(folder).as_posix())
    return found


LAYOUT = Layout("VCTK", "txt/SPEAKER/ID.txt beside wav48*/", fits, read)
