"""What may be said of a failure, and silence for everything else.

An exception's text may quote a transcript, and so may its class: a recipe can name a class after one. Outside a dry run
only a class that libraries define and a line number of the recipe leave.
"""

from __future__ import annotations

import builtins
import io
import logging
import sys
import traceback
from collections.abc import Callable, Collection
from types import TracebackType

from sandbox import errors
from sandbox.errors import RecordError, SandboxError

_MAX_LINE = 9_999
_LINE_CHARACTERS = 2_000


def failure_code(error: BaseException, recipe_file: str, records: Collection[str] = ()) -> str:
    """``recipe.failed:ValueError:42``, or the code of an error of ours. Never a message.

    A class that is neither a builtin nor ours is told as ``Exception``; line 0 means outside the recipe. An id is told
    only where it is one of ``records``: which of them it is, is all that it can say.
    """
    if isinstance(error, SandboxError) and type(error) in _own_classes():
        code = error.code if _plain(error.code) else type(error).code
        return (
            f"{code}:{error.record}" if isinstance(error, RecordError) and error.record in records else code
        )
    known = getattr(builtins, type(error).__name__, None) is type(error)
    name = type(error).__name__ if known else "Exception"
    return f"recipe.failed:{name}:{_line_in(error.__traceback__, recipe_file)}"


def hush() -> None:
    """Send every print, warning and log line nowhere. Coqui's tokenizer logs transcripts."""
    logging.disable(logging.CRITICAL)
    sys.stdout = sys.stderr = _Nowhere()


def speak_up(say: Callable[[str], None]) -> None:
    """In a dry run on public speech: send every print, warning and log line to ``say``."""
    logging.disable(logging.NOTSET)
    sys.stdout = sys.stderr = _Lines(say)
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, force=True)


def full_text(error: BaseException) -> list[str]:
    """A dry run's traceback, line by line."""
    lines = "".join(traceback.format_exception(error)).splitlines()
    return [line[:_LINE_CHARACTERS] for line in lines]


def _own_classes() -> set[type]:
    return {
        item for item in vars(errors).values() if isinstance(item, type) and issubclass(item, SandboxError)
    }


def _plain(code: str) -> bool:
    """Whether a code reads like ours: two words, nothing that could spell a sentence."""
    words = code.split(".")
    return (
        len(words) == 2
        and len(code) <= 40
        and all(w.isascii() and w.replace("_", "").isalpha() for w in words)
    )


def _line_in(trace: TracebackType | None, recipe_file: str) -> int:
    line = 0
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == recipe_file:
            line = trace.tb_lineno
        trace = trace.tb_next
    return min(max(line, 0), _MAX_LINE)


class _Nowhere(io.TextIOBase):
    def write(self, text: str) -> int:
        return len(text)

    def writable(self) -> bool:
        return True


class _Lines(io.TextIOBase):
    """Text cut into lines; a line without end is told when it grows too long."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._rest = ""

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            self._say(line[:_LINE_CHARACTERS])
        if len(self._rest) > _LINE_CHARACTERS:
            self._say(self._rest[:_LINE_CHARACTERS])
            self._rest = ""
        return len(text)
