"""The invocation loop: ask for an invocation, answer it, finish its work, ask again."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import sys
from collections.abc import Awaitable, Callable
from contextvars import copy_context
from functools import partial
from json import JSONDecoder, loads  # as they are, whatever the application patches
from time import monotonic, time
from typing import TYPE_CHECKING, Any, NamedTuple

from lamella.errors import FATAL, InvocationError, RuntimeApiError, described
from lamella.invocation import Invocation, set_current
from lamella.life import freeze
from lamella.life.leftovers import task_factory
from lamella.life.supervision import Alarm, margin_of, supervise
from lamella.response.wire import encode_result
from lamella.runtime import forks, logs
from lamella.runtime.client import FATAL_STATUS, NextInvocation, RuntimeClient, StreamedPost
from lamella.runtime.connection import Connect, connect
from lamella.runtime.ending import exit_status, leave
from lamella.runtime.ric import lambda_context
from lamella.service import Service
from lamella.types import Result

if TYPE_CHECKING:
    from lamella.ports import Cycle
    from lamella.runtime.datadog import Extension

logger = logging.getLogger("lamella")


class Running(NamedTuple):
    """A request that runs. By `due` (time.monotonic()) it should have been cancelled; `fail`
    fails its invocation."""

    cycle: Cycle
    invocation: Invocation
    task: asyncio.Task[Any]
    due: float
    fail: Callable[[InvocationError], None]

    def cut_off(self, status: int, reason: str) -> None:
        """Answer in the application's place, and cancel it."""
        self.cycle.abandon(status, reason)
        self.task.cancel()


# glibc gives freed blocks back to the kernel, whose fresh pages took a third of the CPU of an echo
# of 1 MB [measured]. It keeps those that are no larger than the largest one freed so far: this one,
# which takes no memory, since nothing writes to it (mallopt(3), "dynamic mmap threshold").
bytes(16_000_000)

# An eager task runs to its first wait at once, not in the event loop's next turn.
_EAGER: dict[str, Any] = {"eager_start": True} if sys.version_info >= (3, 12) else {}

InFlight = dict["Cycle", Running]
"""What runs, by cycle: for shutdown, and for the watchdog. Only the event loop's thread changes
it; the watchdog copies it."""


class Slot:
    """One place for an invocation: asks for it, serves it, asks again.

        next() ──▶ a task of its own: answer, then finish the work ──▶ when acknowledged, next()

    The task is the invocation's: its context, and with it every context variable that the
    application sets, ends with it. Managed instances give an environment several slots
    (`concurrent`); they are never frozen, so there a slot asks again as soon as its answer is
    acknowledged, and background work just runs on. `end(error)` is called with what ends the
    environment.
    """

    def __init__(
        self,
        address: str,
        service: Service,
        in_flight: InFlight,
        end: Callable[[BaseException], None],
        concurrent: bool = False,
        connect: Connect = connect,
        datadog: Extension | None = None,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._service = service
        self._in_flight = in_flight
        self._end = end
        self._concurrent = concurrent
        self._datadog = datadog
        # A wrong order of calls is one slot's affair where there are others.
        fatal = (500,) if concurrent else FATAL_STATUS
        self._client = RuntimeClient(address, end, fatal, connect)
        self._stopping = False
        self._waiting = False  # for an invocation
        self._context = copy_context()
        self._alarm = Alarm(self._loop)

    def next(self) -> None:
        """Ask for an invocation, unless the slot is to stop."""
        if not self._stopping:
            self._waiting = True
            self._client.next(self._received)

    async def take(self, held: Awaitable[NextInvocation]) -> None:
        """Serve an invocation that somebody else has asked for, and go on from there."""
        try:
            invocation = await held
            await self._client.connected()
        except RuntimeApiError as error:
            self._end(error)
        else:
            self._received(invocation)

    def stop(self, dying: bool) -> None:
        """Ask for nothing more. A `dying` environment takes nothing of what it asked for either."""
        self._stopping = True
        if dying and self._waiting:
            self._client.close()

    async def settle(self) -> None:
        """Wait until Lambda has taken what was answered."""
        settled = asyncio.Event()
        self._client.when_acknowledged(settled.set)
        await settled.wait()

    def close(self) -> None:
        """Close the connection; what still runs is left alone."""
        self._alarm.cancel()
        self._client.close()

    def _received(self, invocation: NextInvocation) -> None:
        self._waiting = False
        # A connection may have been made in an earlier invocation's context: not this one's. And
        # a task factory of the application's may raise, where nothing would answer for it.
        # While the task waits, `_in_flight` keeps it: the event loop alone would not.
        self._context.run(task_factory, self._loop, self._serve(invocation), **_EAGER)

    async def _serve(self, invocation: NextInvocation) -> None:
        """One invocation to its end. This is the guard that nothing passes, whatever is raised and
        wherever: one answer leaves, and then the slot asks again, or the environment ends."""
        asked = False

        def ask_again() -> None:
            nonlocal asked
            if not asked:
                asked = True
                self._client.when_acknowledged(self.next)

        fatal: BaseException | None = None
        # Managed instances have the next event in while the work after the answer runs on.
        answered = ask_again if self._concurrent else bool
        outcome = PostedOutcome(self._client, invocation, answered)
        try:
            await self._answer(invocation, outcome)
            if not outcome.complete:
                outcome.fail(InvocationError("The invocation ended without an answer."))
        except InvocationError as error:
            outcome.fail(error)
        except FATAL as error:
            fatal = error
            self._stopping = True
            outcome.fail(exit_error(error))
        except BaseException as error:
            logger.exception("Lamella failed to serve this invocation: please report it.")
            outcome.fail(InvocationError(f"Lamella failed: {described(error)}"))
        finally:
            logs.flush()
            if forks.in_child():  # nobody waits for what the application has forked and come back
                leave(0 if fatal is None else exit_status(fatal))
            if fatal is None:
                ask_again()
            else:  # an exception that left this task would stop the event loop
                self._client.when_acknowledged(partial(self._end, fatal))

    async def _answer(self, invocation: NextInvocation, outcome: PostedOutcome) -> None:
        """Answer as soon as the answer is complete, and see the invocation's work to its end.

        Raises `InvocationError` for an invocation that nobody can serve.
        """
        service, concurrent = self._service, self._concurrent
        if not concurrent:
            set_trace_variable(invocation.trace_id)
        try:
            event = read_event(invocation.body)
        except (ValueError, RecursionError) as error:
            raise InvocationError(
                f"The event is not JSON: {error}", "Runtime.UnmarshalError"
            ) from error
        deadline_ms, body = invocation.deadline_ms, invocation.body
        context = lambda_context(invocation, deadline_ms)
        current = Invocation(event, context, invocation.trace_id, body)
        set_current(current, alone=not concurrent)
        seconds_left = deadline_ms / 1000 - time()
        span = None
        if self._datadog is not None:
            span = await self._datadog.start(invocation.request_id, body, seconds_left)
            seconds_left = deadline_ms / 1000 - time()
        cycle = service.open(current, outcome)
        if cycle is None:
            if span is not None:
                await span.end(None, outcome.error, seconds_left / 2)
            return
        if span is not None:
            span.lead(cycle.scope)
        task = asyncio.current_task()
        assert task is not None
        settings = service.settings
        margin = margin_of(settings, seconds_left)
        end = monotonic() + seconds_left
        self._in_flight[cycle] = Running(cycle, current, task, end - margin / 2, outcome.fail)
        alarm = Alarm(self._loop) if concurrent else self._alarm
        try:
            await supervise(cycle, service.app, settings, seconds_left, alarm, not concurrent)
            hooks = [] if concurrent else freeze.hooks(settings.flush)
            if span is not None or hooks:
                # After a 504, of all answers, these have half of the margin.
                over = max(end - margin, monotonic() + margin / 2)
                if span is not None:  # first: it is short, and a hook may take all there is
                    await span.end(cycle, outcome.error, over - monotonic())
                await freeze.run(hooks, min(over - monotonic(), settings.background_timeout))
        finally:
            if concurrent:
                alarm.cancel()
            del self._in_flight[cycle]


LONG_EVENT = 10_000
"""Bytes from which on an event is read around its body; below, that takes longer [measured]."""


def read_event(data: bytes) -> Any:
    """An event's JSON as `json` reads it. Raises `ValueError`, `RecursionError`.

    Without a look at each letter of a long body in base64, which was most of the reading.

    By orjson where the application has imported that, unless the event may have an integer of more
    than 64 bits, which orjson would make a float. What else orjson refuses, `json` may read.
    """
    orjson = sys.modules.get("orjson")
    try:
        if len(data) > LONG_EVENT and (found := _read_around_base64(data)) is not None:
            return found
        if orjson is not None and len(data) < 100_000 and _LONG not in data.translate(_DIGITS):
            return orjson.loads(data)
        text = data.decode()
        event, end = _decode(text)  # `loads`, but without its look for white space
        if end == len(text):
            return event
    except ValueError:
        pass
    try:
        return loads(data)
    except ValueError:  # Python reads no integer of more than 4,300 digits; JSON has them
        return loads(data, parse_int=_integer)


def _read_around_base64(data: bytes) -> dict[str, Any] | None:
    """An HTTP event with a long body in base64; None for any other. Raises as `loads`."""
    begin = re.search(rb'"body": ?"', data)  # compiled once, and not at a start
    if begin is None:
        return None
    start = begin.end()
    end = data.find(b'"', start)
    if end - start < LONG_EVENT // 2 or data.find(b"\\", start, end) >= 0:
        return None
    # A NUL takes the body's place. Where the event has no other, it tells whose value was cut out.
    rest = b"%b\\u0000%b" % (data[:start], data[end:])
    if rest.count(b"\\u0000") > 1:
        return None
    event = loads(rest)
    if not isinstance(event, dict) or event.get("body") != "\0":
        return None
    if event.get("isBase64Encoded") is not True:
        return None  # what may be no base64 may have letters that JSON forbids
    event["body"] = data[start:end].decode("ascii")
    return event


_decode = JSONDecoder().raw_decode
_DIGITS = bytes.maketrans(b"123456789", b"0" * 9)
_LONG = b"0" * 19  # digits; the integers of 64 bits have up to 19 or 20


def _integer(digits: str) -> int | float:
    """A whole number of an event, as a float where Python refuses to read it: infinity."""
    return int(digits) if len(digits) < 4300 else float(digits)


class PostedOutcome:
    """Sends the outcome of one invocation to the Runtime API; the first outcome counts.

    `answered()` is called when it is on its way.
    """

    at_once = True

    def __init__(
        self, client: RuntimeClient, invocation: NextInvocation, answered: Callable[[], object]
    ) -> None:
        self._client = client
        self._invocation = invocation
        self._answered = answered
        self._stream: StreamedPost | None = None
        self._sent = False
        self._error: InvocationError | None = None

    @property
    def error(self) -> BaseException | None:
        """What the invocation has failed with, be it after a part of its answer had left."""
        return self._error or (self._stream.error if self._stream is not None else None)

    @property
    def complete(self) -> bool:
        """Whether a whole answer is on its way."""
        return self._sent or (self._stream is not None and self._stream.ended)

    def send(self, result: Result) -> None:
        """Post the whole result. Raises `ResponseTooLarge`, `InvocationError`."""
        payload = encode_result(result)
        if not self._sent:
            self._sent = True
            self._client.respond(self._invocation, payload)
            self._answered()

    def fail(self, error: InvocationError) -> None:
        """Post the error; where a stream has begun, end it with the error in its trailers."""
        if self._stream is not None and self._stream.opened:
            if not self._stream.ended:
                self._stream.end(b"", error)
        elif not self._sent:
            self._sent = True
            self._error = error
            if self._stream is not None:
                self._stream.withdraw()
            logger.error("%s", error)
            self._client.respond_error(self._invocation, error)
            self._answered()

    def stream(self) -> StreamedPost:
        """Open a streamed answer."""
        self._stream = self._client.open_stream(self._invocation, self._answered)
        return self._stream


def exit_error(error: BaseException) -> InvocationError:
    """What an invocation fails with where the application ends the environment."""
    return InvocationError(
        f"The application ended the environment: {described(error)}", "Runtime.ExitError"
    )


TRACE_VARIABLE = "_X_AMZN_TRACE_ID"

_variables: dict[bytes, bytes] = os.environ._data  # type: ignore[attr-defined]  # see below


def set_trace_variable(trace_id: str | None) -> None:
    """Tell the X-Ray SDK the trace, as awslambdaric does; only where one request runs at a time.

    Only this process's `os.environ` gets it, which is where the SDKs look. Assigning to that
    would call setenv(3), and glibc never frees a value that was set: 135 bytes for each
    invocation [measured].
    """
    if trace_id is not None:
        _variables[TRACE_VARIABLE.encode()] = trace_id.encode("utf-8", "surrogateescape")
    else:
        _variables.pop(TRACE_VARIABLE.encode(), None)
