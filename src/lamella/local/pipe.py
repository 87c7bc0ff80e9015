"""A pipe inside one event loop that holds a bounded number of bytes."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import NamedTuple


class Piece(NamedTuple):
    """Bytes, and the `time.monotonic()` at which they entered the pipe."""

    at: float
    data: bytes


class Pipe:
    """One writer and one reader; the writer waits while `limit` bytes lie in between.

    A single piece may be larger than the limit: it waits for an emptier pipe, not for ever.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._pieces: deque[Piece] = deque()
        self._size = 0
        self._ended = False
        self._abandoned = False
        self._readable = asyncio.Event()
        self._writable = asyncio.Event()
        self._writable.set()

    async def write(self, data: bytes) -> None:
        """Put `data` in once there is room; dropped when nobody will read it."""
        await self._writable.wait()
        if self._ended or self._abandoned:
            return
        self._pieces.append(Piece(time.monotonic(), data))
        self._size += len(data)
        self._readable.set()
        if self._size >= self._limit:
            self._writable.clear()

    async def read(self) -> Piece | None:
        """The next piece, or None at the end."""
        while not self._pieces:
            if self._ended:
                return None
            self._readable.clear()
            await self._readable.wait()
        piece = self._pieces.popleft()
        self._size -= len(piece.data)
        if self._size < self._limit:
            self._writable.set()
        return piece

    def end(self) -> None:
        """No more will be written; what is inside can still be read."""
        self._ended = True
        self._readable.set()
        self._writable.set()

    def abandon(self) -> None:
        """Nobody reads any more: the writer is never held up again."""
        self._abandoned = True
        self._pieces.clear()
        self._size = 0
        self._writable.set()
