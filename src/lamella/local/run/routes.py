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
    for call in _calls(tree):
        named = {each.arg: each.value for each in call.keywords}
        method = _method(call.func, _strings(named.get("methods")), attribute)
        for path in _strings(call.args[0] if call.args else named.get("path"))[:1]:
            if method and path.startswith("/"):
                filled = _PARAMETER.sub("1", path)
                yield (path != "/") + (filled != path), Route(method, filled)


def _calls(tree: ast.AST) -> Iterator[ast.Call]:
    """The calls that may make a route: those of decorators, and Starlette's `Route`."""
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef(args=args) | ast.AsyncFunctionDef(args=args):
                if not _NO_JSON.search(ast.unparse(args)):  # a request to it needs more than a line
                    yield from (each for each in node.decorator_list if isinstance(each, ast.Call))
            case ast.Call(ast.Name("Route")):
                yield node


def _method(function: ast.expr, methods: list[str], attribute: str) -> str:
    """The method of the route that a call of `function` makes, "" where it makes none."""
    match function:
        case ast.Attribute(ast.Name(owner), name):
            if owner not in ("app", attribute):
                return ""  # a router, whose prefix may be anywhere
        case ast.Name(name):
            pass
        case _:
            return ""
    if name in VERBS:
        return name.upper()
    if name not in ("route", "Route"):
        return ""
    return "GET" if "GET" in methods or not methods else methods[0]


def _strings(node: ast.expr | None) -> list[str]:
    """The strings that an expression spells out, alone or in a list."""
    match node:
        case ast.Constant(str(text)):
            return [text]
        case ast.List(elements) | ast.Tuple(elements):
            return [text for each in elements for text in _strings(each)]
    return []
