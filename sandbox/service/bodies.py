"""What a request brings besides its head: whole and small, or piece by piece; neither may take for ever."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import anyio
import anyio.from_thread
from starlette.requests import Request

from sandbox.errors import Usage

BODY_S = 60.0  # for a whole body of a few megabytes
PIECE_S = 300.0  # between two pieces of a stream, whose sender may have to read slow disks
JSON = "application/json"


async def whole(request: Request, limit: int) -> bytes:
    """The whole JSON body, refused as soon as it is larger than ``limit`` bytes, whatever its head said.

    Raises:
        Usage: ``input.too_large``, ``media_type.unknown``, or ``request.timeout`` after ``BODY_S`` seconds.
    """
    told = request.headers.get("content-length", "")
    if told.isdecimal() and int(told) > limit:
        raise _too_large(limit)
    found = bytearray()
    with anyio.move_on_after(BODY_S) as waited:
        async for piece in request.stream():
            found += piece
            if len(found) > limit:
                raise _too_large(limit)
    if waited.cancelled_caught:
        raise Usage(
            f"the request's body was not there after {BODY_S:g} s",
            code="request.timeout",
            mend="send it again",
        )
    kind = request.headers.get("content-type", JSON).partition(";")[0].strip().lower()
    if found and kind != JSON:
        raise Usage(f"this path takes {JSON}", code="media_type.unknown", mend=f"Content-Type: {JSON}")
    return bytes(found)


def pieces(body: AsyncIterator[bytes]) -> Iterator[bytes]:
    """An asynchronous body, read from the handler's thread. Raises Usage when the sender falls silent."""

    async def following() -> bytes | None:
        with anyio.move_on_after(PIECE_S) as waited:
            return await anext(body, None)
        if waited.cancelled_caught:
            raise Usage(f"nothing came for {PIECE_S:g} s", code="request.timeout", mend="send it again")
        return None

    while (piece := anyio.from_thread.run(following)) is not None:
        if piece:
            yield piece


def _too_large(limit: int) -> Usage:
    return Usage(f"the request's body has more than {limit} bytes", code="input.too_large")
