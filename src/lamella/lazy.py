"""Lazy imports for the application (PEP 810): `ASGI_LAZY_IMPORTS`, on Python 3.15.

A module that is imported at the top of another one is loaded when it is first used. What never is
costs nothing; what a request uses costs that request, or a warm-up.
"""

from __future__ import annotations

import sys
from typing import Any

from lamella.errors import SettingError

EAGER = (
    "beartype",  # FastMCP's; its import hook would have to import while it serves an import
    "lamella",  # lazily it brings FastAPI nothing (0.89 beside 0.88 [measured])
    "sanic.touchup",  # whose steps register themselves when they are loaded
    "sqlalchemy",  # whose modules register events when they are loaded
)
"""Packages whose own imports stay as they are. All but Lamella break otherwise [run on 3.15]."""


def import_lazily(excepted: tuple[str, ...]) -> None:
    """From now on imports are lazy, but for what `excepted` names and for what that imports.

    They stay so after the application's import: FastAPI's first answer then takes 0.87 instead of
    0.91 of the CPU of an eager import [measured]. Raises `SettingError` on other Pythons.
    """
    python: Any = sys  # whose types know no lazy imports yet
    if not hasattr(python, "set_lazy_imports"):
        raise SettingError(
            f"ASGI_LAZY_IMPORTS=on needs Python 3.15 or later, and this is {sys.version_info[0]}."
            f"{sys.version_info[1]}: choose a newer runtime, or remove the variable."
        )

    def is_lazy(importer: str | None, imported: str, names: tuple[str, ...] | None) -> bool:
        # A template's code, which Jinja executes, has no name.
        return not (
            _within(importer or "", EAGER + excepted)
            or _within(imported, excepted)
            or _is_hidden(importer, imported, names or ())
        )

    python.set_lazy_imports_filter(is_lazy)
    python.set_lazy_imports("all")


def _within(module: str, packages: tuple[str, ...]) -> bool:
    return any(module == package or module.startswith(f"{package}.") for package in packages)


def _is_hidden(importer: str | None, imported: str, names: tuple[str, ...]) -> bool:
    """Whether a package gives a submodule's name to what is in it, as graphql does.

    `from graphql.validation.validate import validate` in graphql/validation/__init__.py: loading
    the submodule later would put the module where the function belongs.
    """
    package, _, name = imported.rpartition(".")
    return package == importer and name in names
