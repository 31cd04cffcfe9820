"""The keeper's end of the socket pair to the trainer."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from sandbox import frames
from sandbox.errors import RecipeError
from sandbox.frames import Decoder, Frame, encode


class Pipe:
    """Frames to and from the trainer. ``send`` may be called from any thread; one thread hears."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._writing = threading.Lock()
        self._sent = 0

    def send(self, kind: str, /, **body: Any) -> None:
        """Raises RecipeError when the trainer is gone."""
        with self._writing:
            self._sent += 1
            data = encode(frames.KEEPER_TO_TRAINER, Frame(kind, self._sent, body))
            try:
                self._connection.sendall(data)
            except OSError:
                raise RecipeError("the trainer is gone", code="trainer.gone") from None

    def hear(self) -> Iterator[Frame]:
        """Every frame of the trainer until it hangs up."""
        decoder = Decoder(frames.TRAINER_TO_KEEPER)
        while True:
            try:
                data = self._connection.recv(1 << 20)
            except OSError:
                return
            if not data:
                return
            yield from decoder.feed(data)

    def hang_up(self) -> None:
        """Wake whoever hears; the trainer sees an end of stream."""
        with suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)
