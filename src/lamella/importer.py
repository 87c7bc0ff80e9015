"""Import the application that a string names: `package.module:attribute` or `...:factory()`."""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping
from typing import Any

from lamella.errors import AppImportError, described
from lamella.types import ASGIApp

EXAMPLE = "for example ASGI_APP=app.main:app, or app.main:create_app() for a factory"


ONE_LINE = "lamella.serve."
"""What a handler of the one-line way in begins with; the application's name follows."""


def app_reference(configured: str, environ: Mapping[str, str]) -> str:
    """The application's name: the setting, else Lambda's `_HANDLER` where that has a colon.

    Raises `AppImportError` where neither names one.
    """
    reference = configured or environ.get("_HANDLER", "").removeprefix(ONE_LINE)
    if ":" in reference:
        return reference
    if configured:
        raise AppImportError(
            f"ASGI_APP={configured!r} has no colon: write package.module:attribute, {EXAMPLE}."
        )
    raise AppImportError(f"ASGI_APP is not set: set it to package.module:attribute, {EXAMPLE}.")


def import_app(reference: str) -> ASGIApp:
    """Import `module:attribute`, calling it first where it ends in `()`.

    Raises `AppImportError`; an error inside the application's own code is its cause, and named.
    """
    module_name, _, attribute = reference.partition(":")
    is_factory = attribute.endswith("()")
    module = _import_module(reference, module_name)
    found = _attribute(reference, module, attribute[:-2] if is_factory else attribute)
    app = _call_factory(reference, found) if is_factory else found
    if not callable(app):
        raise AppImportError(
            f"ASGI_APP={reference!r} is {app!r}, which cannot be called: name an ASGI application.",
            "Runtime.HandlerNotFound",
        )
    return app  # type: ignore[no-any-return]  # callable is all that can be known of it here


def _import_module(reference: str, name: str) -> Any:
    if not name or name.startswith("."):
        raise AppImportError(f"ASGI_APP={reference!r} names no module before the colon: {EXAMPLE}.")
    try:
        return importlib.import_module(name)
    except BaseException as error:
        missing = error.name if isinstance(error, ModuleNotFoundError) else None
        # Only the module that was asked for, or a package around it, is a wrong ASGI_APP.
        if missing and f"{name}.".startswith(f"{missing}."):
            raise AppImportError(_missing_module(reference, missing)) from error
        raise _failed(reference, error) from error


def _missing_module(reference: str, name: str) -> str:
    root = os.environ.get("LAMBDA_TASK_ROOT") or os.getcwd()
    try:
        held = ", ".join(sorted(n for n in os.listdir(root) if not n.startswith("."))[:12])
    except OSError as error:
        held = f"unreadable: {error}"
    return (
        f"ASGI_APP={reference!r}: there is no module {name!r}. "
        f"The function's root {root} holds: {held or 'nothing'}."
    )


def _failed(reference: str, error: BaseException) -> AppImportError:
    types = {ImportError: "ImportModuleError", SyntaxError: "UserCodeSyntaxError"}
    named = (name for kind, name in types.items() if isinstance(error, kind))
    return AppImportError(
        f"ASGI_APP={reference!r} failed while it was imported: {described(error)}",
        f"Runtime.{next(named, 'UserCodeError')}",
    )


def _attribute(reference: str, module: Any, attribute: str) -> Any:
    found = module
    for name in attribute.split("."):
        try:
            found = getattr(found, name)
        except AttributeError:
            apps = [n for n, v in vars(module).items() if callable(v) and n in _USUAL_NAMES]
            hint = f" It has {', '.join(apps)}." if apps else ""
            raise AppImportError(
                f"ASGI_APP={reference!r}: module {module.__name__!r} "
                f"({getattr(module, '__file__', '?')}) has no attribute {name!r}.{hint}",
                "Runtime.HandlerNotFound",
            ) from None
    return found


_USUAL_NAMES = ("app", "application", "asgi", "api", "server", "create_app")


def _call_factory(reference: str, factory: Any) -> Any:
    try:
        return factory()
    except BaseException as error:
        raise _failed(reference, error) from error
