"""The services' own log: one JSON object a line on standard error, ids only.

``say("run.started", run=run)`` writes ``{"at": …, "level": "info", "event": "run.started", "run": …}``. Foreign
exceptions are written by class and place, never by text: a library's message may quote a request.
"""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, TextIO

from sandbox.errors import SandboxError

_LOGGER = logging.getLogger("sandbox")
_FIELDS = "journal_fields"


def configure(program: str, stream: TextIO | None = None) -> None:
    """Send every logger of the process, foreign ones included, through the one formatter."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(_Lines(program))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    _LOGGER.setLevel(logging.INFO)


def say(event: str, *, level: int = logging.INFO, **fields: Any) -> None:
    """Write one event. ``fields`` are ids, counts and places; never content, never a credential."""
    _LOGGER.log(level, event, extra={_FIELDS: fields})


def trouble(event: str, fault: BaseException, **fields: Any) -> None:
    """Write a fault: ours by code and message, a foreign one by class and place."""
    if isinstance(fault, SandboxError):
        fields |= {"code": fault.code, "message": fault.message}
    else:
        fields |= {"fault": type(fault).__name__}
    say(event, level=logging.ERROR, **fields, where=place(fault.__traceback__))


def place(step: TracebackType | None) -> str:
    """``file:line`` of the innermost frame of ours."""
    found = "unknown"
    while step is not None:
        file = step.tb_frame.f_code.co_filename
        _, ours, below = file.rpartition("/sandbox/")
        if ours:
            found = f"{below}:{step.tb_lineno}"
        step = step.tb_next
    return found


class _Lines(logging.Formatter):
    def __init__(self, program: str) -> None:
        super().__init__()
        self._program = program

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "program": self._program,
        }
        if record.name == _LOGGER.name:
            line |= {"event": record.getMessage(), **getattr(record, _FIELDS, {})}
        else:
            line |= {"event": "library.message", "logger": record.name, "message": record.getMessage()}
        if record.exc_info and record.exc_info[1] is not None:
            line |= {
                "fault": type(record.exc_info[1]).__name__,
                "where": place(record.exc_info[1].__traceback__),
            }
        return json.dumps(line, ensure_ascii=False, default=str)
