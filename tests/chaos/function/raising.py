"""An application that raises what its request asks for, from the place that it names.

/PLACE/NAME: the places are the functions in PLACES, the names the keys of MAKERS. RAISE_IN names
a place of init: "import" or "startup".
"""

import asyncio
import builtins
import enum
import logging
import os
import threading

import lamella

logger = logging.getLogger("raising")


class Panic(BaseException):
    """As PyO3 raises for a panic in Rust."""


class Kind(enum.Enum):
    LOST = "lost"


def fails(*_):
    raise ZeroDivisionError("an exception that cannot even be looked at")


def panics(*_):
    raise Panic("an exception that cannot even be looked at")


def odd(name, base=Exception, **members):
    """A maker of instances of a new class."""
    return lambda: type(name, (base,), members)("odd")


def cyclic():
    error = ValueError("it is its own context")
    error.__context__ = other = KeyError("other")
    other.__context__ = error
    return error


def annotated(notes):
    error = ValueError("with notes")
    error.__notes__ = notes
    return error


ODD = {
    "Panic": lambda: Panic("rust"),
    "StrFails": odd("StrFails", __str__=fails),
    "StrPanics": odd("StrPanics", __str__=panics, __repr__=panics),
    "StrIsNoText": odd("StrIsNoText", __str__=lambda self: 5, __repr__=lambda self: None),
    "BasePanics": odd("BasePanics", BaseException, __str__=panics, __repr__=panics),
    "ArgsFail": odd("ArgsFail", args=property(fails)),
    "TypeIsEnum": odd("TypeIsEnum", error_type=Kind.LOST),
    "TypeIsLines": odd("TypeIsLines", error_type="a\r\nX-Forged: 1\r\n\r\nGET / HTTP/1.1"),
    "TypeIsUnicode": odd("TypeIsUnicode", error_type="€\ud800"),
    "TypeIsObject": odd("TypeIsObject", error_type=object()),
    "TypeFails": odd("TypeFails", error_type=property(fails)),
    "TypePanics": odd("TypePanics", error_type=property(panics)),
    "TypeIsLong": odd("TypeIsLong", error_type="Function." + "x" * 1_000_000),
    "AttributesFail": odd("AttributesFail", __getattr__=fails),
    "EqualsFail": odd("EqualsFail", __eq__=fails, __hash__=None, __bool__=fails),
    "NameIsLines": odd("a\r\nX-Forged: 1"),
    "NameIsEmpty": odd(""),
    "NameIsLong": odd("N" * 100_000),
    "Surrogate": lambda: ValueError("\ud800"),
    "Lines": lambda: ValueError("a\r\n[ERROR] forged\0"),
    "Large": lambda: ValueError("x" * 2_000_000),
    "NoArguments": ValueError,
    "ManyArguments": lambda: ValueError(*range(10_000)),
    "Cyclic": cyclic,
    "NotesAreObjects": lambda: annotated([object(), b"", 5]),
    "NotesAreANumber": lambda: annotated(5),
    "Exit0": lambda: SystemExit(0),
    "ExitText": lambda: SystemExit("\ud800"),
    "ExitObject": lambda: SystemExit(object()),
    "ExitSubclass": odd("ExitSubclass", SystemExit, __str__=panics),
}
ODD["Group"] = lambda: ExceptionGroup("group", [ValueError("member")])
ODD["PanicGroup"] = lambda: BaseExceptionGroup("group", [Panic()])
ODD["Deep"] = lambda: deep(5_000)


def deep(levels):
    error = ValueError("innermost")
    for _ in range(levels):
        error = ExceptionGroup("level", [error])
    return error


def maker_of(kind):
    """An instance of a built-in class, some of which want particular arguments."""
    if issubclass(kind, UnicodeDecodeError):
        return lambda: kind("utf-8", b"\xff", 0, 1, "odd")
    if issubclass(kind, UnicodeEncodeError):
        return lambda: kind("utf-8", "\ud800", 0, 1, "odd")
    if issubclass(kind, UnicodeTranslateError):
        return lambda: kind("\ud800", 0, 1, "odd")
    return lambda: kind("built in")


BUILTIN = {
    name: maker_of(kind)
    for name, kind in vars(builtins).items()
    if isinstance(kind, type) and issubclass(kind, BaseException) and "Group" not in name
}
MAKERS = {**BUILTIN, **ODD, "CancelledError": asyncio.CancelledError}


def made(name):
    """The exception of that name; an older Python than the attack's lacks some classes."""
    return MAKERS.get(name, ValueError)()


ENDING = (
    "SystemExit",
    "KeyboardInterrupt",
    "MemoryError",
    "Exit0",
    "ExitText",
    "ExitObject",
    "ExitSubclass",
)
"""What ends the environment, as docs/design.md has it."""

pending = {}
"""What the log filter and the hook raise, by place, until they did."""


class Filter(logging.Filter):
    def filter(self, record):
        if error := pending.pop("filter", None):
            raise error
        return True


for handler in logging.getLogger().handlers:
    handler.addFilter(Filter())


@lamella.before_freeze
def hook():
    if error := pending.pop("hook", None):
        raise error


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        if os.environ.get("RAISE_IN") == "startup":
            raise made(os.environ["RAISE"])
        raise ValueError("no lifespan here")
    await receive()
    _, place, name = scope["path"].split("/")
    await PLACES[place](send, made(name))


async def answer(send):
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body", "body": b"ok"})


def throw(error):
    raise error


async def throw_later(error):
    await asyncio.sleep(0)
    raise error


async def nowhere(send, error):
    await answer(send)


async def before(send, error):
    raise error


async def started(send, error):
    await send({"type": "http.response.start", "status": 200})
    raise error


async def streaming(send, error):
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body", "body": b"first", "more_body": True})
    raise error


async def after(send, error):
    await answer(send)
    raise error


async def cleanup(send, error):
    try:
        raise LookupError("the first one")
    finally:
        throw(error)


async def awaited(send, error):
    await asyncio.gather(throw_later(error), asyncio.sleep(0))


async def to_thread(send, error):
    await asyncio.to_thread(throw, error)


async def task(send, error):
    task.kept = asyncio.ensure_future(throw_later(error))
    await answer(send)


async def callback(send, error):
    asyncio.get_running_loop().call_soon(throw, error)
    await answer(send)


async def done_callback(send, error):
    done_callback.kept = asyncio.ensure_future(asyncio.sleep(0))
    done_callback.kept.add_done_callback(lambda done: throw(error))
    await answer(send)


async def thread(send, error):
    threading.Thread(target=throw, args=(error,)).start()
    await answer(send)


async def finalizer(send, error):
    type("Finalized", (), {"__del__": lambda self: throw(error)})()
    await answer(send)


async def generator(send, error):
    async def numbers():
        try:
            yield 1
        finally:
            raise error

    async for _ in numbers():
        break  # left open: the loop closes it, some time later
    await answer(send)


async def logged(send, error):
    logger.error("it says %s", type("Told", (), {"__str__": lambda self: throw(error)})())
    await answer(send)


async def log_filter(send, error):
    pending["filter"] = error
    raise LookupError("the log record of this cannot be written")


async def hook_(send, error):
    pending["hook"] = error
    await answer(send)


PLACES = {
    **{each.__name__: each for each in (nowhere, before, started, streaming, after, cleanup)},
    **{each.__name__: each for each in (awaited, to_thread, task, callback, done_callback)},
    **{each.__name__: each for each in (thread, finalizer, generator, logged, log_filter)},
    "hook": hook_,
}

if os.environ.get("RAISE_IN") == "import":
    raise made(os.environ["RAISE"])
