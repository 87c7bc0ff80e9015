"""What the rooms ask of each other, as protocols; nobody imports a room only to name its type.

Only type checkers read this module, so it is not in the layer.

an event ──▶ Cycle: one event's life with the application ──▶ Sink: where its response goes
                                                                │ whole        │ as it comes
                                                                ▼              ▼
                                              Outcome: of the invocation     Stream
"""

from __future__ import annotations

from typing import Protocol

from lamella.errors import InvocationError
from lamella.types import ASGIApp, Headers, Result, Scope


class Cycle(Protocol):
    """The life of one event with the application: what `supervise` runs, and may cut short."""

    scope: Scope
    ended_at: float
    """When the answer was complete, by time.monotonic()."""
    fatal: BaseException | None
    """The error that ends the environment."""
    abandoned: bool

    @property
    def name(self) -> str:
        """What log records call it."""

    @property
    def status(self) -> int:
        """The status that the client got, 0 while that is open."""

    async def run(self, app: ASGIApp) -> None:
        """Call the application and see the answer to its end."""

    def abandon(self, status: int, reason: str) -> None:
        """End without the application; the caller then cancels the task that runs it."""


class Sink(Protocol):
    """Where a response goes. `start` once, `write` any number of times, `end` once.

    `write` and `end` may wait for a slow client; they raise `ClientDisconnected` once it is gone.
    """

    @property
    def status(self) -> int:
        """The status that the client gets, 0 while that is open."""

    def start(self, status: int, headers: Headers) -> None:
        """Take status and headers; nothing has to leave yet."""

    async def write(self, data: bytes) -> None:
        """Take a part of the body, with more to come."""

    async def end(self, data: bytes) -> None:
        """Take the last part of the body and complete the response."""

    def fail(self, status: int, message: str, error: BaseException | None = None) -> None:
        """End without the application: `status` where nothing has left, else an error mark."""

    def withdraw(self) -> None:
        """Send nothing of what has not left yet: the invocation is answered in another way."""


class Stream(Protocol):
    """An open streamed answer: bytes in, chunks out."""

    def write(self, data: bytes) -> None:
        """Send bytes of the body; the first ones open the answer."""

    async def drain(self) -> None:
        """Wait until the socket has room; raises `ClientDisconnected` where it is closed."""

    def end(self, data: bytes, error: BaseException | None = None) -> None:
        """Send the last bytes and end the answer; an error goes into the trailers."""


class Outcome(Protocol):
    """Where the outcome of one invocation goes: one of its methods is called, once.

    This is how the ways in differ: a handler returns its outcome, the bootstrap posts it.
    """

    at_once: bool
    """Whether a result leaves before the application has ended."""

    def send(self, result: Result) -> None:
        """Take the whole result. Raises `ResponseTooLarge` where Lambda would refuse it."""

    def fail(self, error: InvocationError) -> None:
        """Fail the invocation."""


class StreamingOutcome(Outcome, Protocol):
    """An outcome that can go out as it comes."""

    def stream(self) -> Stream:
        """Open a streamed answer."""
