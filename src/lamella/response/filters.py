"""Wrappers around a sink, each used only where a request or a setting asks for it."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

from lamella.errors import InvocationError
from lamella.types import Headers

if TYPE_CHECKING:
    from lamella.ports import Sink

REPORTED_BODY = 1024  # bytes of a failing answer's body that its error report quotes


class Wrapper:
    """Passes everything on; subclasses change what they are for."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink

    @property
    def status(self) -> int:
        return self._sink.status

    def start(self, status: int, headers: Headers) -> None:
        self._sink.start(status, headers)

    async def write(self, data: bytes) -> None:
        await self._sink.write(data)

    async def end(self, data: bytes) -> None:
        await self._sink.end(data)

    def fail(self, status: int, message: str, error: BaseException | None = None) -> None:
        self._sink.fail(status, message, error)

    def withdraw(self) -> None:
        self._sink.withdraw()


class WithoutHeaders(Wrapper):
    """For `ASGI_EXCLUDE_HEADERS`: drops the headers that are named."""

    def __init__(self, sink: Sink, names: Collection[bytes]) -> None:
        super().__init__(sink)
        self._names = names

    def start(self, status: int, headers: Headers) -> None:
        """Pass on the headers that are not named."""
        self._sink.start(status, [pair for pair in headers if pair[0] not in self._names])


class FailingStatus(Wrapper):
    """For `ASGI_ERROR_STATUS`: answers with these statuses fail the invocation instead."""

    def __init__(
        self, sink: Sink, ranges: tuple[range, ...], refuse: Callable[[InvocationError], None]
    ) -> None:
        super().__init__(sink)
        self._ranges = ranges
        self._refuse = refuse
        self._status = 0  # the failing status, once there is one
        self._body = b""
        self._reported = False

    def start(self, status: int, headers: Headers) -> None:
        """Pass a good status on; keep a failing one."""
        if any(status in statuses for statuses in self._ranges):
            self._status = status
        else:
            self._sink.start(status, headers)

    @property
    def status(self) -> int:
        """The failing status, which Lambda's front doors turn into a 502; or see `Sink.status`."""
        return self._status or self._sink.status

    async def write(self, data: bytes) -> None:
        """Pass on, or keep the beginning for the report."""
        if self._status:
            self._body = (self._body + data)[:REPORTED_BODY]
        else:
            await self._sink.write(data)

    async def end(self, data: bytes) -> None:
        """Pass on, or fail the invocation."""
        if self._status:
            await self.write(data)
            self._report()
        else:
            await self._sink.end(data)

    def fail(self, status: int, message: str, error: BaseException | None = None) -> None:
        """Fail the invocation where `status` is one of those; else pass on."""
        if self._status or any(status in statuses for statuses in self._ranges):
            self._status, self._body = status, message.encode()
            self._sink.withdraw()
            self._report()
        else:
            self._sink.fail(status, message, error)

    def _report(self) -> None:
        if self._reported:
            return
        self._reported = True
        body = self._body.decode(errors="replace")
        self._refuse(
            InvocationError(
                f"The application answered {self._status}, which ASGI_ERROR_STATUS makes a "
                f"failed invocation: {body}"
            )
        )
