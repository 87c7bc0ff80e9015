"""Mangum around the application that ASGI_APP names: the handler that awslambdaric calls."""

from __future__ import annotations

import importlib
import os

from mangum import Mangum

_module, _, _attribute = os.environ["ASGI_APP"].partition(":")
handler = Mangum(
    getattr(importlib.import_module(_module), _attribute),
    lifespan=os.environ.get("ASGI_LIFESPAN", "auto"),  # type: ignore[arg-type]  # one of three
)
