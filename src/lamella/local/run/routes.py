"""The routes that an application's own module spells out, read from its source.

For the lines to try that `lamella run` suggests: nothing is imported for them, and no request is
made. What a module includes from elsewhere (routers, Django's URLs) is not seen.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

VERBS = ("get", "post", "put", "patch", "delete")

_PARAMETER = re.compile(r"\{[^}]*\}|<[^>]*>")
_NO_JSON = re.compile(r"\b(Form|File|UploadFile|WebSocket)\b")


class Route(NamedTuple):
    """A method and a path; 1 stands for each of the path's parameters."""

    method: str
    path: str


def routes_of(folder: Path, app: str) -> list[Route]:
    """The routes of `app` ("package.module:attribute") below `folder`: "/" first, and those
    without parameters before those with them."""
    module, _, attribute = app.partition(":")
    path = folder.joinpath(*module.split("."))
    for source in (path.with_suffix(".py"), path / "__init__.py"):
        try:
            tree = ast.parse(source.read_bytes())
        except (OSError, SyntaxError, ValueError):  # to be told when it is imported
            continue
        found = sorted(_routes(tree, attribute.strip("()")), key=lambda each: each[0])
        return [route for _, route in found]
    return []


def _routes(tree: ast.AST, attribute: str) -> Iterator[tuple[int, Route]]:
    """Each route, with its place in the order."""
    for node in ast.walk(tree):
        calls: list[ast.expr] = []
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            if _NO_JSON.search(ast.unparse(node.args)):
                continue  # a request to it needs more than a line
            calls = node.decorator_list
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            calls = [node] if node.func.id == "Route" else []  # Starlette's
        for call in calls:
            if isinstance(call, ast.Call) and (method := _method(call, attribute)):
                given = [*call.args[:1], *(k.value for k in call.keywords if k.arg == "path")]
                for value in (each.value for each in given if isinstance(each, ast.Constant)):
                    if isinstance(value, str) and value.startswith("/"):
                        path = _PARAMETER.sub("1", value)
                        yield (value != "/") + (path != value), Route(method, path)


def _method(call: ast.Call, attribute: str) -> str | None:
    """The method of a call that makes a route; None for another call."""
    function = call.func
    if isinstance(function, ast.Attribute):
        owner = function.value
        if not (isinstance(owner, ast.Name) and owner.id in ("app", attribute)):
            return None  # a router, whose prefix may be anywhere
        name = function.attr
    else:
        name = function.id if isinstance(function, ast.Name) else ""
    if name in VERBS:
        return name.upper()
    if name not in ("route", "Route"):
        return None
    for keyword in call.keywords:
        if keyword.arg == "methods" and isinstance(keyword.value, (ast.List, ast.Tuple)):
            named = [each.value for each in keyword.value.elts if isinstance(each, ast.Constant)]
            return "GET" if "GET" in named or not named else str(named[0])
    return "GET"
