"""Which interface an application speaks, and an ASGI 3 application made of each.

As uvicorn's `--interface`. `auto` looks and never calls: the first call may open a database.

| interface | the application | recognised by |
|---|---|---|
| asgi3 | `await app(scope, receive, send)` | a coroutine function, or three positional arguments |
| asgi2 | `await app(scope)(receive, send)` | one positional argument, or asgiref's own mark |
| wsgi | `app(environ, start_response)`, PEP 3333 | two positional arguments |
"""

from __future__ import annotations

import inspect  # loaded already: asyncio imports it
from importlib import import_module
from math import inf
from typing import Any

from lamella.errors import InitError, SettingError
from lamella.types import ASGIApp, Receive, Scope, Send

WSGI_THREADS = 64
"""Requests that a WSGI application may serve at a time. A thread starts when it is needed, so on
Lambda's ordinary environments, which serve one request at a time, there is one."""


def adapt(app: Any, interface: str) -> ASGIApp:
    """`app` as an ASGI 3 application; `interface` is "auto", "asgi3", "asgi2" or "wsgi".

    Raises `SettingError` where "auto" cannot tell, `InitError` for a WSGI application in a
    function that does not carry a2wsgi.
    """
    spoken = recognise(app) if interface == "auto" else interface
    if spoken == "asgi2":

        async def from_asgi2(scope: Scope, receive: Receive, send: Send) -> None:
            """Run an ASGI 2 application, which is told that it is one (ASGI 2.0)."""
            instance = app({**scope, "asgi": {**scope["asgi"], "version": "2.0"}})
            await instance(receive, send)

        return from_asgi2
    if spoken == "wsgi":
        try:
            a2wsgi = import_module("a2wsgi")  # the function's own
        except ImportError as error:
            raise InitError(
                f"{app!r} is a WSGI application, which needs a2wsgi, but the function cannot "
                f"import a2wsgi ({error}): add a2wsgi to its requirements, or name an ASGI "
                "application.",
                "Runtime.ImportModuleError",
            ) from error
        bridge = a2wsgi.WSGIMiddleware(app, workers=WSGI_THREADS)

        async def from_wsgi(scope: Scope, receive: Receive, send: Send) -> None:
            """Run a WSGI application in a thread; it has neither lifespan nor WebSockets."""
            if scope["type"] == "http":
                await bridge(scope, receive, send)

        return from_wsgi
    return app  # type: ignore[no-any-return]  # callable is all that can be known of it here


def recognise(app: Any) -> str:
    """ "asgi3", "asgi2" or "wsgi". Raises `SettingError` where nothing tells."""
    if inspect.iscoroutinefunction(app) or inspect.iscoroutinefunction(
        getattr(type(app), "__call__", None)  # noqa: B004  the function itself is looked at
    ):
        return "asgi3"
    # What asgiref's decorators single_callable and double_callable leave behind.
    if getattr(app, "_asgi_single_callable", False):
        return "asgi3"
    if getattr(app, "_asgi_double_callable", False):
        return "asgi2"
    try:
        required, most = _positional_arguments(app)
    except (TypeError, ValueError):
        return "asgi3"  # compiled code that does not tell
    if required == 2:
        return "wsgi"
    if required == 1 and most < 3:
        return "asgi2"
    if most == inf or 1 <= required <= 3 <= most:
        return "asgi3"
    raise SettingError(
        f"ASGI_INTERFACE='auto' cannot tell what {app!r} is: it takes {required} positional "
        "arguments, ASGI 3 applications take 3, WSGI applications 2, ASGI 2 applications 1. "
        "Name a factory with (), as in main:create_app(); otherwise set ASGI_INTERFACE to "
        "asgi3, asgi2 or wsgi."
    )


def _positional_arguments(app: Any) -> tuple[int, float]:
    """How many a call, or a class's constructor, takes: at least and at most, `inf` with *args."""
    parameters = inspect.signature(app).parameters.values()
    named = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    takes_any = any(p.kind is p.VAR_POSITIONAL for p in parameters)
    return sum(p.default is p.empty for p in named), inf if takes_any else len(named)
