"""A bounded record of what crossed the Runtime API, for tests and for the curious."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import NamedTuple

MAX_EXCHANGES = 1000
MAX_CHUNKS = 1000


class WireChunk(NamedTuple):
    """One chunk of a chunked body, or one read of a plain one: when it was whole, its bytes."""

    at: float
    size: int


@dataclass
class Exchange:
    """One request and what it was answered; times are `time.monotonic()`, sizes bytes.

    `chunks` holds the first 1000 only; `received` counts the whole body. `status` is None
    while the request is unanswered.
    """

    method: str
    path: str
    headers: list[tuple[str, str]]
    at: float
    chunks: list[WireChunk] = field(default_factory=list)
    received: int = 0
    trailers: list[tuple[str, str]] = field(default_factory=list)
    status: int | None = None
    answered_at: float | None = None
    _open_chunk: int = 0

    def header(self, name: str) -> str:
        """The value of a request header, or ""; `name` is lower case."""
        return next((value for key, value in self.headers if key == name), "")

    def record(self, size: int, at: float, ends_chunk: bool) -> None:
        """Count `size` more body bytes; `ends_chunk` closes the chunk that they belong to."""
        self.received += size
        self._open_chunk += size
        if ends_chunk:
            if len(self.chunks) < MAX_CHUNKS:
                self.chunks.append(WireChunk(at, self._open_chunk))
            self._open_chunk = 0


class Traffic(deque[Exchange]):
    """The last 1000 exchanges, oldest first."""

    def __init__(self) -> None:
        super().__init__(maxlen=MAX_EXCHANGES)

    def matching(self, method: str, path_end: str) -> list[Exchange]:
        """The exchanges with this method whose path ends with `path_end`."""
        return [e for e in self if e.method == method and e.path.endswith(path_end)]
