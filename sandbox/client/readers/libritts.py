"""LibriTTS: ``[<part>/]<speaker>/<chapter>/<id>.wav`` beside ``<id>.normalized.txt`` (arXiv:1904.02882)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from sandbox.client.readers.recording import Defaults, Layout, Recording, recording
from sandbox.client.readers.vctk import script

NORMALISED = ".normalized.txt"
ORIGINAL = ".original.txt"
ENDINGS = (NORMALISED, ORIGINAL, ".wav", ".flac", ".mp3", ".ogg")
#: A part of the corpus (``train-clean-100/``), or a folder that holds several.
DEPTHS = ("*/*", "*/*/*")


def fits(folder: Path) -> bool:
    return _chapters(folder) is not None


def read(folder: Path, defaults: Defaults) -> Iterator[Recording]:
    """The normalised text, else the original. A text without audio and audio without a text are both sent."""
    for chapter in sorted(folder.glob(_chapters(folder) or "")):
        files: dict[str, dict[str, Path]] = {}
        for ending in ENDINGS:
            for path in chapter.glob(f"*{ending}"):
                files.setdefault(path.name.removesuffix(ending), {})[ending] = path
        for name, there in sorted(files.items()):
            sound = next(
                (there[ending] for ending in ENDINGS[2:] if ending in there), chapter / f"{name}.wav"
            )
            text = script(there.get(NORMALISED)) or script(there.get(ORIGINAL))
            file = sound.relative_to(folder).as_posix()
            yield recording(folder, file, text, defaults, subject=chapter.parent.name)


def _chapters(folder: Path) -> str | None:
    """The pattern of its chapters: at the first depth where a normalised text lies."""
    return next((depth for depth in DEPTHS if any(folder.glob(f"{depth}/*{NORMALISED}"))), None)


LAYOUT = Layout("LibriTTS", "SPEAKER/CHAPTER/ID.normalized.txt", fits, read)
