"""Find the application's name, and import it: `package.module:attribute` or `...:factory()`.

The first of these names it, so that one project runs on Lamella and on AWS's Web Functions
without a change (https://docs.aws.amazon.com/lambda/latest/dg/web-functions-python.html):

1. `ASGI_APP`
2. `AWS_LAMBDA_PYTHON_ENTRYPOINT`, with `asgi:` or `wsgi:` in front or without
3. the function's handler: `lamella.serve.main:app`, or one with a colon
4. `main:app`
"""

from __future__ import annotations

import gc
import importlib
import os
import sys
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from lamella.errors import AppImportError, described, message_of
from lamella.types import ASGIApp

ENTRYPOINT = "AWS_LAMBDA_PYTHON_ENTRYPOINT"
ONE_LINE = "lamella.serve."
"""What a handler of the one-line way in begins with; the application's name follows."""
DEFAULT = "main:app"
EXAMPLE = "for example ASGI_APP=app.main:app, or app.main:create_app() for a factory"

USUAL_NAMES = ("app", "application", "asgi", "api", "server", "create_app")
"""What applications are called: a hint where an attribute is not there."""


class AppName(NamedTuple):
    """An application's name, where it comes from, and what that says of its interface.

    `interface` is "auto", "asgi3" or "wsgi"; `looked_at` says what was tried before the default;
    `prefix` is what stands before the name where it comes from.
    """

    reference: str
    origin: str
    interface: str = "auto"
    looked_at: str = ""
    prefix: str = ""

    def __str__(self) -> str:
        return f"{self.origin}={self.prefix + self.reference!r}"


def find_app(configured: str, environ: Mapping[str, str], words: Iterable[str] = ()) -> AppName:
    """The application's name: `configured` is `ASGI_APP`, `words` may have the handler."""
    interface, prefix = "auto", ""
    served = served_by_handler(environ, words)
    handler = served or environ.get("_HANDLER", "")
    if configured:
        origin, reference = "ASGI_APP", configured
    elif entrypoint := environ.get(ENTRYPOINT, ""):
        origin, reference = ENTRYPOINT, entrypoint
        kind, _, rest = entrypoint.partition(":")
        if kind in ("asgi", "wsgi") and ":" in rest:
            reference, prefix = rest, f"{kind}:"
            interface = {"asgi": "asgi3"}.get(kind, kind)
    elif served or ":" in handler:
        origin, reference, prefix = "Handler", handler, ONE_LINE if served else ""
    else:
        looked_at = (
            f" No other application is named: ASGI_APP and {ENTRYPOINT} are not set, and the "
            f"handler {handler!r} has no colon. Set ASGI_APP, {EXAMPLE}."
        )
        return AppName(DEFAULT, "The default application", looked_at=looked_at)
    return AppName(reference, origin, interface, prefix=prefix)


def served_by_handler(environ: Mapping[str, str], words: Iterable[str] = ()) -> str:
    """The application in a handler that begins with `lamella.serve.`, "" where none does.

    A tool that wraps handlers puts its own into `_HANDLER`, and keeps the original in a variable
    of its own; so every variable may have it. `words` are those of a command line, which is where
    awslambdaric has the handler from.
    """
    values = (environ.get("_HANDLER", ""), *words, *environ.values())
    return next((value[len(ONE_LINE) :] for value in values if value.startswith(ONE_LINE)), "")


def import_app(name: AppName) -> ASGIApp:
    """Import `module:attribute`, calling it first where it ends in `()`.

    Raises `AppImportError`; an error inside the application's own code is its cause, and named.
    """
    module_name, colon, attribute = name.reference.partition(":")
    if not colon:
        raise AppImportError(f"{name} has no colon: write package.module:attribute, {EXAMPLE}.")
    path = module_name.replace("\\", "/")
    if "/" in path or path.endswith(".py"):
        dotted = path.removesuffix(".py").strip("./").replace("/", ".")
        raise AppImportError(
            f"{name} is a file's path: write the module's name, {dotted}:{attribute}."
        )
    if module_name[:1] in ("", "."):
        raise AppImportError(f"{name} names no module before the colon: {EXAMPLE}.")
    if not attribute.removesuffix("()"):
        raise AppImportError(f"{name} names no attribute after the colon: {EXAMPLE}.")
    app = module = _module(name, module_name)
    for part in attribute.removesuffix("()").split("."):
        try:
            app = getattr(app, part)
        except AttributeError:
            usual = [each for each in USUAL_NAMES if callable(getattr(module, each, None))]
            hint = f" It has {', '.join(usual)}." if usual else ""
            raise AppImportError(
                f"{name}: module {module.__name__!r} ({getattr(module, '__file__', '?')}) has no "
                f"attribute {part!r}.{hint}{name.looked_at}",
                "Runtime.HandlerNotFound",
            ) from None
    if attribute.endswith("()"):
        try:
            app = app()
        except BaseException as error:
            raise _failed(name, error) from error
    if not callable(app):
        raise AppImportError(
            f"{name} is {app!r}, which cannot be called: name an ASGI application.",
            "Runtime.HandlerNotFound",
        )
    _refuse_patched(name)
    return app  # type: ignore[no-any-return]  # callable is all that can be known of it here


def collect_again(thresholds: tuple[int, int, int]) -> None:
    """Collect garbage again after imports without it; `thresholds` are those of before.

    Nothing that the imports made is garbage. It stays for good, so later collections need not look
    at it. Thresholds that the application has set stay as they are, but for 0, which was there
    before: an application that wants no collections says `gc.disable()`.
    """
    gc.freeze()
    if gc.get_threshold()[0] == 0:
        gc.set_threshold(*thresholds)


def _refuse_patched(name: AppName) -> None:
    """Where green threads stand in for threads and sockets, the event loop stands still."""
    green = (("gevent.monkey", "is_module_patched"), ("eventlet.patcher", "is_monkey_patched"))
    questions = [getattr(sys.modules.get(module), ask, None) for module, ask in green]
    modules = ("socket", "select", "thread", "threading")
    if any(ask(module) for ask in questions if ask for module in modules):
        raise AppImportError(
            f"{name} imports gevent's or eventlet's monkey patching, under which no event loop "
            "runs: remove monkey.patch_all() or monkey_patch() from what Lambda imports. An "
            "environment serves one request at a time, so nothing is lost.",
            "Runtime.UserCodeError",
        )


def _module(name: AppName, module: str) -> Any:
    try:
        return importlib.import_module(module)
    except BaseException as error:
        missing = error.name if isinstance(error, ModuleNotFoundError) else None
        # Only the module that was asked for, or a package around it, is a wrong name.
        if not missing or not f"{module}.".startswith(f"{missing}."):
            raise _failed(name, error) from error
        root = os.environ.get("LAMBDA_TASK_ROOT") or os.getcwd()
        try:
            # The function's own modules are among installed packages: first what a name can mean.
            files = sorted(os.listdir(root), key=lambda file: (not file.endswith(".py"), file))
            files = [file for file in files if file[0] not in "._" and "-info" not in file]
            more = f" and {len(files) - 12} more" if len(files) > 12 else ""
            held = (", ".join(files[:12]) or "nothing") + more
        except OSError as unreadable:
            held = f"unreadable: {unreadable}"
        raise AppImportError(
            f"{name}: there is no module {missing!r}. The function's root {root} holds: "
            f"{held}.{name.looked_at}"
        ) from error


def _failed(name: AppName, error: BaseException) -> AppImportError:
    types = {ImportError: "ImportModuleError", SyntaxError: "UserCodeSyntaxError"}
    named = (kind for error_type, kind in types.items() if isinstance(error, error_type))
    error_type = f"Runtime.{next(named, 'UserCodeError')}"
    if isinstance(error, ValueError) and "uvloop.Loop" in message_of(error):  # nest_asyncio's words
        return AppImportError(
            f"{name} patches the event loop, and uvloop's cannot be patched "
            f"({described(error)}): set ASGI_LOOP=asyncio.",
            error_type,
        )
    return AppImportError(f"{name} failed while it was imported: {described(error)}", error_type)
