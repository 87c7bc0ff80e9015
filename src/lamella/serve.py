"""The one-line way in: `Handler: lamella.serve.app.main:app`, without a variable or a wrapper.

awslambdaric, AWS's runtime, imports a handler's module in the init phase: of this handler
`lamella.serve.app`, and before that this module, as its parent. The import takes the process
over: it runs Lamella's own loop until the environment ends, and never returns.

What follows `lamella.serve.` is the application: `main:app`, `app.main:app`,
`app.main:create_app()`. Imported by anybody but awslambdaric (a test, a type checker, a tool for
documentation), this module does nothing.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping

from lamella.importer import ONE_LINE


def application(environ: Mapping[str, str], words: Iterable[str] = ()) -> str:
    """The application's name in the handler, "" where no handler begins with `ONE_LINE`.

    A tool that wraps handlers puts its own into `_HANDLER`, and keeps the original in a variable
    of its own; so every variable may have it. `words` are those of the command line, which is
    where awslambdaric has the handler from.
    """
    values = (environ.get("_HANDLER", ""), *words, *environ.values())
    return next((value[len(ONE_LINE) :] for value in values if value.startswith(ONE_LINE)), "")


def _is_imported_by_the_runtime() -> bool:
    frame = sys._getframe()
    while frame.f_back is not None:
        frame = frame.f_back
        if frame.f_globals.get("__name__") == "awslambdaric.bootstrap":
            return True
    return False


if (
    "AWS_LAMBDA_RUNTIME_API" in os.environ
    and (_app := application(os.environ, sys.argv[1:]))
    and _is_imported_by_the_runtime()
):
    from lamella.runtime.takeover import take_over

    take_over(_app)
