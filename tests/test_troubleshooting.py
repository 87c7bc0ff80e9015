"""docs/troubleshooting.md has an entry for every message that the layer can give, and no other.

The messages are read out of the code: what is raised, what is logged, what Lamina answers in the
application's place, and what the bootstrap script says. An entry is a heading with the message's
constant words in their order, and `<...>` where something variable stands; one that ends in `...`
has the beginning of them.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1]
LAYER = [
    path
    for path in sorted((ROOT / "src" / "lamina").rglob("*.py"))
    if not {"local", "testing", "__main__.py"} & set(path.parts)
]
SCRIPT = ROOT / "bootstrap" / "bootstrap"
PAGE = (ROOT / "docs" / "troubleshooting.md").read_text()

TEXT_AT = {
    **dict.fromkeys(("info", "warning", "error", "critical", "exception"), 0),  # of a logger
    **dict.fromkeys(("abandon", "cut_off", "fail", "plain"), 1),  # answers of Lamina's own
    "_guarded": 2,
}
"""Calls with a message, and which argument that is. For an error's class it is the first."""

WRITERS = {"_missing_module", "misspelt"}
"""Functions that return texts for others to raise or log."""

NO_MESSAGES = {"AttributeError", "ValueError"}
"""The AttributeError is Python's own for a module; ValueErrors become the end of a setting's
error, whose entry says so."""

PASSED_ON = {
    "'%s'": "the text of another message",
    "'%s\\n%s'": "an init error and its traceback",
    "'%s: %s'": "a request, and what the application raised",
    "'%s %d %.1f ms'": "the access record",
    "error": "its text is read where it is made",
    "message": "its text is read where it is made",
    "reason": "its text is read where it is made",
    "str(error)": "the text of another message",
    "_missing_module(reference, error.name)": "its text is read where it is made",
    "f'{what}: {type(error).__name__}: {error}'": "its text is read where it is made",
    "f'{reply.status} {reply.body[:300].decode('utf-8', 'replace')}'": "the end of a log record",
}
"""Messages without words of their own, and why they need no entry. Another one fails the test:
no message is to hide behind a variable."""


class Message(NamedTuple):
    """A message: where it is made, its words, and what stands in the code."""

    where: str
    words: tuple[str, ...]
    code: str


class Module:
    """Reads the messages out of a module. `error_classes` are the names of Lamina's own."""

    def __init__(self, name: str, source: str, error_classes: Iterable[str] = ()) -> None:
        self._name = name
        self._tree = ast.parse(source)
        self._text_at = TEXT_AT | dict.fromkeys(error_classes, 0)
        self._constants = {
            target.id: node.value.value
            for node in ast.walk(self._tree)
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
            for target in node.targets
            if isinstance(target, ast.Name) and isinstance(node.value.value, str)
        }

    def messages(self) -> Iterator[Message]:
        found = {node: None for made in ast.walk(self._tree) for node in self._texts(made)}
        for node in found:
            words = words_of(re.sub(r"%[-\d.]*[a-z]", "<>", self._text(node)))
            yield Message(f"{self._name}:{node.lineno}", words, ast.unparse(node))

    def _texts(self, node: ast.AST) -> Iterator[ast.expr]:
        """The expressions in `node` itself that are messages."""
        if isinstance(node, ast.FunctionDef) and node.name in WRITERS:
            yield from filter(self._text, (n for n in ast.walk(node) if is_sentence(n)))
        elif isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
            if called(node.exc) not in NO_MESSAGES:
                yield from node.exc.args[:1]
        elif isinstance(node, ast.Call) and called(node) in self._text_at:
            position = self._text_at[called(node)]
            for text in node.args[position : position + 1]:
                yield from (text.body, text.orelse) if isinstance(text, ast.IfExp) else (text,)

    def _text(self, node: ast.expr) -> str:
        """The text with `<>` for what is variable."""
        if isinstance(node, ast.Constant):
            return str(node.value)
        if isinstance(node, ast.JoinedStr):
            return "".join(map(self._text, node.values))
        if isinstance(node, ast.FormattedValue):
            return self._text(node.value)
        return self._constants.get(node.id, "<>") if isinstance(node, ast.Name) else "<>"
