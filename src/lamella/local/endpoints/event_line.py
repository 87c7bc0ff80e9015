"""One event that was served, as one line: what was asked, what came of it, and what was special.

GET /items/5?q=hello 200 12 ms 345 B  cold 312 ms, streamed, background 300 ms
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from starlette.types import Message, Send

from lamella.front_doors.answer import Answer

BACKGROUND = 0.05
"""Seconds from the answer to the next /next from which on there was work in the background."""

_ECHOED = re.compile(r"RequestId: \S+ Error: ")


@dataclass
class EventLine:
    """An event while it is served; `method` and `target` as the client sent them.

    `status` is 0 until there is one, `size` counts the body's bytes, and `notes` are what was
    special. `because` is why the client got no answer of the function's, or not all of it, and
    `advice` what to change where the function answered what nobody wants.
    """

    method: str
    target: str
    status: int = 0
    size: int = 0
    because: str = ""
    advice: str = ""
    notes: tuple[str, ...] = ()
    seconds: float = 0.0
    _started: float = field(default_factory=time.monotonic)
    _finishing: asyncio.Task[None] | None = None

    def counted(self, send: Send) -> Send:
        """An ASGI `send` that takes note of the response."""

        async def sending(message: Message) -> None:
            self.status = message.get("status", self.status)
            self.size += len(message.get("body", b""))
            await send(message)

        return sending

    def end(self, answer: Answer | None, report: Report) -> None:
        """The client has all that it gets: hand this to `report`, now, or if it has the
        function's answer when the function is done with it."""
        self.seconds = time.monotonic() - self._started
        if answer is None or self.because:
            report(self)
        else:
            self._finishing = asyncio.ensure_future(self._finish(answer, report))

    async def _finish(self, answer: Answer, report: Report) -> None:
        head = await answer.head()
        await answer.finished()
        background = answer.finished_at - answer.response_at
        known = {
            f"cold {(answer.init or 0) * 1000:.0f} ms": answer.init is not None,
            "streamed": head.streamed,
            f"background {background * 1000:.0f} ms": background > BACKGROUND,
        }
        self.notes = tuple(note for note, is_so in known.items() if is_so)
        report(self)

    def __str__(self) -> str:
        spent = self.seconds * 1000
        took = f"{spent:.1f} ms" if spent < 10 else f"{spent:.0f} ms"
        line = f"{self.method} {self.target} {self.status or '-'} {took} {self.size} B"
        notes = [*self.notes, *filter(None, (_ECHOED.sub("", self.because), self.advice))]
        return f"{line}  {', '.join(notes)}" if notes else line


Report = Callable[[EventLine], object]
"""Takes each event that was served, when the function is done with it."""
