"""Lamina runs any ASGI application on AWS Lambda, unchanged.

`lamina.handler` is the Lambda handler for `Handler: lamina.handler`; `lamina.Adapter(app)` makes
one of an application in code. The layer's bootstrap needs neither. Everything is imported on
first use: a cold start pays only for what it needs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from lamina.adapter import Adapter as Adapter
    from lamina.freeze import before_freeze as before_freeze
    from lamina.invocation import Invocation as Invocation
    from lamina.invocation import current_invocation as current_invocation
    from lamina.types import Event, Result

    def handler(event: Event, context: Any) -> Result:
        """The Lambda handler for the application that `ASGI_APP` names."""


__all__ = ["Adapter", "Invocation", "__version__", "before_freeze", "current_invocation", "handler"]


_HOMES = {
    "Adapter": "lamina.adapter",
    "before_freeze": "lamina.freeze",
    "Invocation": "lamina.invocation",
    "current_invocation": "lamina.invocation",
}


def __getattr__(name: str) -> Any:
    if name == "handler":
        found = _make_handler()
    elif name in _HOMES:
        from importlib import import_module

        found = getattr(import_module(_HOMES[name]), name)
    else:
        raise AttributeError(f"module 'lamina' has no attribute {name!r}")
    globals()[name] = found
    return found


def _make_handler() -> Any:
    """A plain function (tools read `__name__` and wrap it) around one adapter."""
    import logging
    import os

    from lamina.adapter import Adapter
    from lamina.importer import app_reference
    from lamina.settings import from_environ, misspelt

    settings = from_environ(os.environ)
    for warning in misspelt(os.environ):
        logging.getLogger("lamina").warning("%s", warning)
    adapter = Adapter.from_settings(app_reference(settings.app, {}), settings)

    def handler(event: Event, context: Any) -> Result:
        """Answer one event with the application that `ASGI_APP` names."""
        return adapter(event, context)

    return handler
