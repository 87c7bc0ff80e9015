"""Whatever an application raises, wherever: one answer, a record with the traceback, and the next
request is served. What ends the environment ends it as documented."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from layer.pythons import Python
from tests.e2e.conftest import DEADLINE, MARGIN
from tests.e2e.judges import LocalJudge
from tests.events import url_event
from tests.waiting import is_running, until

pytestmark = pytest.mark.anyio

Start = Callable[..., AbstractAsyncContextManager[LocalJudge]]


@pytest.fixture
def start(opt: Path, python: Python, tmp_path: Path) -> Start:
    """Start an application: `start(source, {"concurrency": 2}, ASGI_INVOKE_MODE=...)`."""

    @asynccontextmanager
    async def start(
        source: str, options: dict[str, Any] | None = None, **environ: str
    ) -> AsyncIterator[LocalJudge]:
        (tmp_path / "main.py").write_text(dedent(source))
        variables = {"ASGI_APP": "main:app", "ASGI_LIFESPAN": "off", **environ}
        async with LocalJudge(opt, python.path, tmp_path, variables, **options or {}) as judge:
            yield judge

    return start


RAISING = r"""
import asyncio, enum, os, sys, threading

class Panic(BaseException): ...            # as PyO3 raises for a panic in Rust

class Timeout(BaseException): ...          # as func_timeout raises

class NoText(Exception):
    def __str__(self): raise RuntimeError("no text")
    __repr__ = __str__

class FatalText(Exception):
    def __str__(self): raise SystemExit(7)
    __repr__ = __str__

class NoArgs(Exception):
    args = property(lambda self: 1 / 0)

class Falsy(Exception):
    def __bool__(self): raise RuntimeError("no truth")
    def __len__(self): return 0

class NoType(Exception):
    error_type = property(lambda self: sys.exit(5))

class EnumType(Exception):
    error_type = enum.Enum("Kind", "LOST").LOST

class TextEnumType(Exception):
    error_type = enum.Enum("Kind", {"LOST": "Function.Lost"}, type=str).LOST

class LetterType(Exception):
    error_type = "Function.\u20ac"

class InjectedType(Exception):
    error_type = "Function.A\r\nX-Injected: 1\r\n\r\nGET / HTTP/1.1"

class NoNotes(Exception):
    __notes__ = property(lambda self: 1 / 0)

class Ünicode(Exception): ...

class Surrogate(Exception):
    def __init__(self): super().__init__("half a pair: \ud800")

class Circular(Exception):
    def __init__(self):
        self.__cause__ = self

def group():
    return BaseExceptionGroup("several", [Panic("one"), ValueError("two")])

ERRORS = {kind.__name__: kind for kind in (
    Panic, Timeout, NoText, FatalText, NoArgs, Falsy, NoType, EnumType, TextEnumType, LetterType,
    InjectedType, NoNotes, Surrogate, Circular, GeneratorExit, StopIteration, StopAsyncIteration,
    RecursionError, asyncio.CancelledError, KeyError, OSError, ConnectionResetError, TimeoutError,
)} | {"Unicode": Ünicode, "group": group}

PLAIN = [(b"content-type", b"text/plain")]
START = {"type": "http.response.start", "status": 200, "headers": PLAIN}

def fail(name):
    raise ERRORS[name]()

async def fail_later(name):
    await asyncio.sleep(0)
    fail(name)

async def app(scope, receive, send):
    _, place, name = scope["path"].split("/")
    loop = asyncio.get_running_loop()
    if place == "before":
        fail(name)
    if place == "within_a_task":
        await asyncio.ensure_future(fail_later(name))
    if place == "within_a_thread":
        await asyncio.to_thread(fail, name)
    await send(START)
    await send({"type": "http.response.body", "body": b"first,", "more_body": True})
    if place == "middle":
        fail(name)
    if place == "callback":
        loop.call_soon(fail, name)
        await asyncio.sleep(0.001)
    if place == "done":
        loop.create_task(asyncio.sleep(0)).add_done_callback(lambda _: fail(name))
        await asyncio.sleep(0.001)
    if place == "task":
        loop.create_task(fail_later(name))
    if place == "thread":
        threading.Thread(target=fail, args=(name,)).start()
    await send({"type": "http.response.body", "body": b"%d" % os.getpid()})
    if place == "after":
        fail(name)
"""

ERRORS = [
    *("Panic", "Timeout", "NoText", "FatalText", "NoArgs", "Falsy", "NoType", "EnumType"),
    *("TextEnumType", "LetterType", "InjectedType", "NoNotes", "Surrogate", "Circular"),
    *("GeneratorExit", "StopIteration", "StopAsyncIteration", "RecursionError", "CancelledError"),
    *("KeyError", "OSError", "ConnectionResetError", "TimeoutError", "Unicode", "group"),
]

FAILING = ("before", "within_a_task", "within_a_thread")
LATER = ("callback", "done", "task", "thread", "after")

MODES: dict[str, tuple[dict[str, Any], dict[str, str]]] = {
    "buffered": ({}, {}),
    "streamed": ({}, {"ASGI_INVOKE_MODE": "response_stream"}),
    "managed": ({"concurrency": 2}, {"ASGI_PROCESSES": "1"}),
    "managed, streamed": (
        {"concurrency": 2},
        {"ASGI_PROCESSES": "1", "ASGI_INVOKE_MODE": "response_stream"},
    ),
}


@pytest.mark.parametrize(("options", "environ"), MODES.values(), ids=MODES.keys())
async def test_whatever_is_raised_wherever(
    start: Start, options: dict[str, Any], environ: dict[str, str]
) -> None:
    async with start(RAISING, options, **environ) as judge:
        pids = set()
        for place in (*FAILING, "middle", *LATER):
            for name in ERRORS:
                if (place, name) == ("within_a_thread", "StopIteration"):
                    continue  # asyncio before 3.12 loses it: only the deadline ends that request
                judge.environment.logs.clear()
                if options:  # a slot that has answered takes a moment to ask again
                    await until(lambda: judge.environment.slots == 2)
                result = await judge.environment.invoke(url_event(f"/{place}/{name}"))
                what = f"{place}, {name}: {result.payload!r}"
                streamed = "ASGI_INVOKE_MODE" in environ
                if place in FAILING or (place == "middle" and not streamed):
                    assert b'"statusCode":500' in result.payload, what
                elif place == "middle":
                    assert result.payload.endswith(b"first,"), what
                    kind = result.trailers["lambda-runtime-function-error-type"]
                    assert kind.startswith("Function."), what
                    assert kind.removeprefix("Function.").isalpha(), what
                    assert "x-injected" not in result.trailers, what
                else:
                    assert b'"statusCode":200' in result.payload, what
                if place in (*FAILING, "middle", "after"):
                    raised = ["raise ERRORS[name]()", "coroutine raised StopIteration"]
                    if place == "within_a_thread":  # whose TimeoutError asyncio makes anew
                        raised.append("await asyncio.to_thread(fail, name)")
                    await until(lambda: any(words in judge.log for words in raised))  # noqa: B023
                await no_slot_is_lost(judge)
                again = await judge.invoke(url_event("/fine/KeyError"))
                assert b'"statusCode":200' in again.payload, what
                pids.add(again.payload.rpartition(b"first,")[2])
    assert len(pids) == 1, "one process has served them all"


async def no_slot_is_lost(judge: LocalJudge) -> None:
    """On managed instances: wait until every slot has asked for its next invocation."""
    slots = judge.config.max_concurrency
    if slots is not None:
        await until(lambda: judge.environment.slots == slots)


# What ends the environment

EXITING = """
import asyncio, sys, threading, time

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        print("lifespan shutdown")
        return await send({"type": "lifespan.shutdown.complete"})
    loop = asyncio.get_running_loop()
    start = {"type": "http.response.start", "status": 200, "headers": []}
    ends = {
        "exit": lambda: sys.exit(3),
        "surrogate": lambda: sys.exit("\\ud800"),
        "interrupt": lambda: (_ for _ in ()).throw(KeyboardInterrupt()),
    }
    _, place, name = scope["path"].split("/")
    if place == "thread_and_request":  # which no interpreter's ordinary end survives
        threading.Thread(target=time.sleep, args=(3600,)).start()
    if place in ("request", "thread_and_request"):
        ends[name]()
    if place == "task":
        async def later(): ends[name]()
        await asyncio.ensure_future(later())
    if place == "callback":
        loop.call_soon(ends[name])
        await asyncio.sleep(3600)
    if place == "left_behind":
        async def later():
            await asyncio.sleep(0.02)
            ends[name]()
        loop.create_task(later())
    await send(start)
    await send({"type": "http.response.body", "body": b"ok"})
"""

ENDS = [
    *("request/exit", "request/surrogate", "request/interrupt", "thread_and_request/exit"),
    *("task/exit", "callback/exit", "callback/interrupt", "left_behind/exit"),
]


CASES = [
    *((path, "buffered") for path in ENDS),
    *(("request/exit", mode) for mode in MODES if mode != "buffered"),
    *(("callback/exit", mode) for mode in MODES if mode != "buffered"),
]


@pytest.mark.parametrize(("path", "mode"), CASES)
async def test_an_exit_is_the_documented_end(start: Start, path: str, mode: str) -> None:
    options, environ = MODES[mode]
    options = {"timeout": 6.0, **options}
    environ = {"ASGI_LIFESPAN": "on", "ASGI_PROCESSES": "1", **environ}
    async with start(EXITING, options, **environ) as judge:
        process = judge.environment.pid
        assert process is not None
        outcome = await judge.environment.invoke(url_event(f"/{path}"))
        await until(lambda: not is_running(process))
        again = await judge.environment.invoke(url_event("/none/none"))
        while again.error is not None and "exit status 1" in again.error["errorMessage"]:
            # The judge had not seen the end yet, and gave this event to the process that is gone.
            again = await judge.environment.invoke(url_event("/none/none"))
    if not path.startswith("left_behind"):
        assert outcome.error is not None
        assert outcome.error["errorType"] == "Runtime.ExitError", outcome
    assert b'"statusCode":200' in again.payload
    assert "lifespan shutdown" in judge.log


async def test_an_exit_in_one_of_several_workers_ends_the_environment(start: Start) -> None:
    options = {"timeout": 6.0, "concurrency": 4}
    environ = {"ASGI_LIFESPAN": "on", "ASGI_PROCESSES": "2"}
    async with start(EXITING, options, **environ) as judge:
        process = judge.environment.pid
        assert process is not None
        outcome = await judge.environment.invoke(url_event("/request/exit"))
        await until(lambda: not is_running(process))
    assert outcome.error is not None
    assert outcome.error["errorType"] == "Runtime.ExitError", outcome
    # Managed instances start another environment at once, which is shut down too.
    first = judge.log.split("INIT_START")[1]
    assert first.count("lifespan shutdown") == 2


# Around the requests

FRAIL_LOGGING = """
import contextvars, logging
request_id = contextvars.ContextVar("request_id")

class AddId(logging.Filter):
    def filter(self, record):
        record.request_id = request_id.get()  # LookupError outside of the middleware
        return True

class Emits(logging.Handler):
    def emit(self, record):
        raise SystemError("no emit")

for handler in logging.getLogger().handlers:
    handler.addFilter(AddId())
if {broken_handler}:
    logging.getLogger().handlers.insert(0, Emits())

async def app(scope, receive, send):
    if scope["path"] == "/boom":
        raise RuntimeError("boom")
    if scope["path"] == "/slow":
        import asyncio
        await asyncio.sleep(3600)
    await send({{"type": "http.response.start", "status": 200, "headers": []}})
    await send({{"type": "http.response.body", "body": b"ok"}})
"""


@pytest.mark.parametrize("broken_handler", [False, True], ids=["filter", "handler"])
@pytest.mark.parametrize("mode", MODES)
async def test_logging_that_fails_costs_no_request(
    start: Start, broken_handler: bool, mode: str
) -> None:
    options, environ = MODES[mode]
    source = FRAIL_LOGGING.format(broken_handler=broken_handler)
    async with start(source, {**DEADLINE, **options}, **environ, **MARGIN) as judge:
        for path, status in (("/boom", b"500"), ("/slow", b"504"), ("/ok", b"200")) * 2:
            await no_slot_is_lost(judge)
            result = await judge.invoke(url_event(path))
            assert b'"statusCode":' + status in result.payload, path
    assert "RuntimeError: boom" in judge.log
    assert ("SystemError: no emit" if broken_handler else "LookupError") in judge.log


PATCHED = """
import asyncio, json, time

def broken(*arguments, **options):
    raise RuntimeError("patched")

async def app(scope, receive, send):
    json.loads = json.dumps = json.JSONEncoder = time.time = broken
    asyncio.get_running_loop().set_task_factory(broken)
    if scope["path"] == "/boom":
        raise LookupError("boom")  # for which logging can make no record, without the time
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"ok"})
"""


@pytest.mark.parametrize("mode", ["buffered", "managed"])
async def test_modules_and_loops_that_are_patched_cost_no_request(start: Start, mode: str) -> None:
    options, environ = MODES[mode]
    async with start(PATCHED, {"timeout": 6.0, **options}, **environ) as judge:
        for path, status in (("/ok", b"200"), ("/boom", b"500")) * 2:
            result = await judge.invoke(url_event(path))
            assert b'"statusCode":' + status in result.payload, (path, result)
    assert "LookupError: boom" in judge.log


UNFIT = {
    "import": ("class Panic(BaseException): ...\nraise Panic('no start')", "UserCodeError"),
    "import, exit": ("import sys; sys.exit('\\ud800')", "UserCodeError"),
    "import, no text": (
        "class E(Exception):\n  def __str__(self): 1 / 0\n  __repr__ = __str__\nraise E",
        "UserCodeError",
    ),
    "import, no truth": (
        "class E(Exception):\n  def __bool__(self): 1 / 0\nraise E",
        "UserCodeError",
    ),
    "startup": (
        "class Panic(BaseException): ...\n"
        "async def app(scope, receive, send):\n  raise Panic('no start')",
        "LifespanStartupFailed",
    ),
    "startup, exit in a task": (
        "import asyncio, sys\n"
        "async def leave(): sys.exit(3)\n"
        "async def app(scope, receive, send):\n"
        "  task = asyncio.ensure_future(leave())\n"
        "  await asyncio.sleep(0.01)\n"
        "  await send({'type': 'lifespan.startup.complete'})\n"
        "  await asyncio.sleep(3600)",
        "ExitError",
    ),
    "startup, no truth": (
        "class E(BaseException):\n  def __bool__(self): 1 / 0\n"
        "async def app(scope, receive, send):\n  raise E",
        "LifespanStartupFailed",
    ),
    "startup, no text": (
        "class E(BaseException):\n  def __str__(self): 1 / 0\n"
        "async def app(scope, receive, send):\n  raise E",
        "LifespanStartupFailed",
    ),
}


@pytest.mark.parametrize(("source", "error_type"), UNFIT.values(), ids=UNFIT.keys())
async def test_whatever_init_raises_is_reported(start: Start, source: str, error_type: str) -> None:
    async with start(source, ASGI_LIFESPAN="auto") as judge:
        assert judge.environment.init_error is not None
        assert judge.environment.init_error.error_type == f"Runtime.{error_type}"
        posted = judge.environment.traffic.matching("POST", "/init/error")
    assert len(posted) == 1


HOOKED = """
import asyncio, lamella, sys

class Panic(BaseException): ...

@lamella.before_freeze
async def panics(): raise Panic("async hook")

@lamella.before_freeze
async def exits(): sys.exit("async exit")

@lamella.before_freeze
def panics_in_thread(): raise Panic("sync hook")

@lamella.before_freeze
def stops(): raise StopIteration("sync stop")

async def app(scope, receive, send):
    if scope["path"] == "/cancel":
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"ok"})
"""


async def test_hooks_that_raise_are_records_and_cost_no_time(start: Start) -> None:
    async with start(HOOKED) as judge:
        results = [await judge.environment.invoke(url_event("/")) for _ in range(3)]
    for text in (
        "Panic: async hook",
        "SystemExit: async exit",
        "Panic: sync hook",
        "Iteration: sync stop",
    ):
        assert judge.log.count(text) == 3, text
    assert "was cut off" not in judge.log
    assert all(result.finished_at - result.response_at < 4.0 for result in results)


async def test_an_application_that_cancels_every_task_is_served_on(start: Start) -> None:
    async with start(HOOKED) as judge:
        for path in ("/cancel", "/", "/cancel", "/"):
            assert (await judge.invoke(url_event(path))).result["statusCode"] == 200
    assert "cancelled a task of Lamella" in judge.log
