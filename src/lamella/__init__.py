"""Lamella runs any ASGI application on AWS Lambda, unchanged.

`lamella.handler` is the Lambda handler for `Handler: lamella.handler`; `lamella.Adapter(app)` makes
one of an application in code. The layer's bootstrap needs neither. Everything is imported on
first use: a cold start pays only for what it needs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from lamella.adapter import Adapter as Adapter
    from lamella.invocation import Invocation as Invocation
    from lamella.invocation import current_invocation as current_invocation
    from lamella.life.freeze import before_freeze as before_freeze
    from lamella.types import Event, Result

    def handler(event: Event, context: Any) -> Result:
        """The Lambda handler for the application that `ASGI_APP` names."""


__all__ = ["Adapter", "Invocation", "__version__", "before_freeze", "current_invocation", "handler"]


_HOMES = {
    "Adapter": "lamella.adapter",
    "before_freeze": "lamella.life.freeze",
    "Invocation": "lamella.invocation",
    "current_invocation": "lamella.invocation",
}


def __getattr__(name: str) -> Any:
    if name == "handler":
        found = _make_handler()
    elif name in _HOMES:
        from importlib import import_module

        found = getattr(import_module(_HOMES[name]), name)
    else:
        raise AttributeError(f"module 'lamella' has no attribute {name!r}")
    globals()[name] = found
    return found


def _unused(_event: Event, _context: Any) -> Result:
    """`lamella.handler` where the bootstrap runs the application."""
    raise RuntimeError(
        "lamella.handler was called in a process of the bootstrap, which serves the application "
        "itself: remove one of AWS_LAMBDA_EXEC_WRAPPER and the call."
    )


def _make_handler() -> Any:
    """A plain function (tools read `__name__` and wrap it) around one adapter.

    In a process of the bootstrap nobody calls it, but a tool may look at it.
    """
    import gc
    import sys

    if sys.orig_argv[-1:] and sys.orig_argv[-1].endswith("/lamella/runtime.py"):
        return _unused

    from lamella.importer import collect_again

    thresholds = gc.get_threshold()
    gc.set_threshold(0)  # an import makes no garbage worth looking for
    try:
        import logging
        import os

        from lamella.adapter import Adapter, import_named
        from lamella.importer import find_app
        from lamella.settings import from_environ, misspelt

        settings = from_environ(os.environ)
        for warning in misspelt(os.environ):
            logging.getLogger("lamella").warning("%s", warning)
        app, settings = import_named(find_app(settings.app, os.environ), settings)
    finally:
        collect_again(thresholds)
    adapter = Adapter.from_settings(app, settings)

    def handler(event: Event, context: Any) -> Result:
        """Answer one event with the application that `ASGI_APP` names."""
        return adapter(event, context)

    return handler
