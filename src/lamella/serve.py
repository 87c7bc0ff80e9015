"""The one-line way in: `Handler: lamella.serve.app.main:app`, without a variable or a wrapper.

awslambdaric, AWS's runtime, imports a handler's module in the init phase: of this handler
`lamella.serve.app`, and before that this module, as its parent. The import takes the process
over: it runs Lamella's own loop until the environment ends, and never returns.

What follows `lamella.serve.` is the application: `main:app`, `app.main:app`,
`app.main:create_app()`. Imported by anybody but awslambdaric (a test, a type checker, a tool for
documentation), this module does nothing.
"""

from __future__ import annotations

import gc
import os
import sys

from lamella.importer import served_by_handler


def _is_imported_by_the_runtime() -> bool:
    frame = sys._getframe()
    while frame.f_back is not None:
        frame = frame.f_back
        if frame.f_globals.get("__name__") == "awslambdaric.bootstrap":
            return True
    return False


if (
    "AWS_LAMBDA_RUNTIME_API" in os.environ
    and served_by_handler(os.environ, sys.argv[1:])
    and _is_imported_by_the_runtime()
):
    thresholds = gc.get_threshold()
    gc.set_threshold(0)  # an import makes no garbage worth looking for; the runtime puts this back

    from lamella.runtime.takeover import take_over

    take_over(thresholds)
