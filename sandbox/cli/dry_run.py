"""`sandbox recipe dry-run`: the recipe on public speech, in the same container, outside any agreement."""

from __future__ import annotations

import base64
import binascii
import io
import sys
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from sandbox.cli.context import Context
from sandbox.cli.recipe_files import bundle, files, find
from sandbox.cli.run_story import Story
from sandbox.cli.run_view import ask_what_to_do, judge, live, until_settled
from sandbox.cli.show import marks
from sandbox.errors import RunFailed, Usage

#: A line of a dry run: this word, a path, base64 of the next bytes of that file.
SHOWN = "::file"
SPOKEN = "speech.flac"


def follow(
    here: Context, name: str, speak: str | None, output: Path | None, parameters: Mapping[str, str]
) -> None:
    """Ask for it, show every line it writes and how far it is, and keep what was said where ``output`` says.

    Raises RunFailed when the recipe fails or said nothing.
    """
    folder = find(name, Path.cwd() / name, mend="go to the folder that holds recipes/, and ask again")
    asked: dict[str, Any] = {**bundle(files(folder)), "parameters": dict(parameters)}
    if speak:
        asked["speak"] = speak
    with here.gate() as gate:
        run = str(gate.post("/v1/dry-runs", asked)["run"])
        story, heard = Story(run, marks(sys.stdout)), Heard()
        try:
            with live(here) as view:
                for event in until_settled(gate, story):
                    story.update(event)
                    line = str(event.data.get("line", "")) if event.kind == "text" else ""
                    if heard.take(line):
                        continue
                    if here.as_json:
                        here.emit({"event": event.kind, **event.data})
                    elif event.kind == "text":
                        here.console.print(line, markup=False, highlight=False, soft_wrap=True)
                    if view:
                        view.show(story)
        except KeyboardInterrupt:
            ask_what_to_do(here, gate, run)
    judge(story)
    if output:
        heard.write(SPOKEN, output)
    click.echo(f"{marks(sys.stderr).good} dry run    {run}; no model was kept", err=True)


class Heard:
    """Files that a dry run shows in its text, piece by piece."""

    def __init__(self) -> None:
        self._files: dict[str, bytearray] = defaultdict(bytearray)

    def take(self, line: str) -> bool:
        """Whether ``line`` was a piece of a file (and is not to be shown)."""
        words = line.split(" ")
        if len(words) != 3 or words[0] != SHOWN:
            return False
        try:
            self._files[words[1]] += base64.b64decode(words[2], validate=True)
        except binascii.Error:
            return False
        return True

    def write(self, name: str, output: Path) -> None:
        """As WAV where ``output`` ends so, else as the FLAC it is. Raises RunFailed when nothing was said."""
        if name not in self._files:
            raise RunFailed("the recipe said nothing", mend="only a recipe with a parameter `speak` can")
        data = bytes(self._files[name])
        if output.suffix == ".wav":
            data = _wav(data)
        try:
            output.write_bytes(data)
        except OSError as fault:
            raise Usage(f"{output} cannot be written: {fault.strerror}") from None


def _wav(flac: bytes) -> bytes:
    import soundfile

    audio, rate = soundfile.read(io.BytesIO(flac), dtype="int16")
    found = io.BytesIO()
    soundfile.write(found, audio, rate, format="WAV", subtype="PCM_16")
    return found.getvalue()
