"""Applications that do to logging what applications do. CONFIGURED says what, at import."""

import contextvars
import logging
import logging.config
import os
import sys

NAME = "db-host-" + "a1".upper()  # in no source line of a traceback
request_id = contextvars.ContextVar("request_id")
CONFIGURED = os.environ.get("CONFIGURED", "")


class AddId(logging.Filter):
    """The usual filter, without the usual default."""

    def filter(self, record):
        record.request_id = request_id.get()
        return True


class Raising(logging.Handler):
    def emit(self, record):
        raise OSError("the log server is away")


def failing_factory(*args, **options):
    raise OSError("no record today")


console = {"class": "logging.StreamHandler"}
if CONFIGURED == "dict":
    logging.config.dictConfig(
        {"version": 1, "handlers": {"c": console}, "root": {"handlers": ["c"], "level": "INFO"}}
    )
elif CONFIGURED == "dict without root":
    logging.config.dictConfig({"version": 1, "handlers": {"c": console}, "loggers": {"mine": {}}})
elif CONFIGURED == "file":
    logging.config.fileConfig(os.path.join(os.path.dirname(__file__), "logged.ini"))
elif CONFIGURED == "filter":
    for each in logging.getLogger().handlers:
        each.addFilter(AddId())
elif CONFIGURED == "handler":
    logging.getLogger().handlers.insert(0, Raising())
elif CONFIGURED == "only handler":
    logging.getLogger().handlers = [Raising()]
elif CONFIGURED == "factory":
    logging.setLogRecordFactory(failing_factory)


def boom():
    raise RuntimeError("the reason")


def chained():
    try:
        raise KeyError(NAME)
    except KeyError as error:
        raise RuntimeError("wrapper") from error


def group():
    raise ExceptionGroup("unhandled errors in a TaskGroup", [OSError(NAME)])


def noted():
    error = RuntimeError("wrapper")
    error.add_note(NAME)
    raise error


def unprintable():
    class Odd:
        def __str__(self):
            raise ValueError("no text")

    circle = []
    circle.append(circle)
    extra = {7: "seven", (1, 2): "pair", "nan": float("nan"), "odd": Odd(), "circle": circle}
    logging.getLogger("mine").error("odd extra", extra=extra)


def large():
    for number in range(40):
        logging.getLogger("mine").error(f"{os.getpid()}-{number}-" + "x" * 30_000)


ROUTES = {
    "/boom": boom,
    "/chained": chained,
    "/group": group,
    "/noted": noted,
    "/extra": unprintable,
    "/print": lambda: print("no newline", end=""),
    "/write": lambda: sys.stderr.write("no newline"),
    "/large": large,
}


async def app(scope, receive, send):
    if scope["type"] != "http":
        raise ValueError("only HTTP")
    ROUTES.get(scope["path"], str)()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    body = b"x" * 7_000_000 if scope["path"] == "/too-large" else b"ok"
    await send({"type": "http.response.body", "body": body})
