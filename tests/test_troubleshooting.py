"""docs/troubleshooting.md has an entry for every message that the layer can give, and no other.

The messages are read out of the code: what is raised, what is logged, what Lamella answers in the
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

from layer.build import NOT_IN_THE_LAYER

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "lamella"
LAYER = [
    path
    for path in sorted(SOURCE.rglob("*.py"))
    if path.relative_to(SOURCE).parts[0] not in NOT_IN_THE_LAYER
]
SCRIPT = ROOT / "bootstrap" / "bootstrap"
PAGE = (ROOT / "docs" / "troubleshooting.md").read_text()

TEXT_AT = {
    **dict.fromkeys(("info", "warning", "error", "critical", "exception"), 0),  # of a logger
    **dict.fromkeys(("abandon", "cut_off", "fail", "plain"), 1),  # answers of Lamella's own
    "_guarded": 2,
}
"""Calls with a message, and which argument that is. For an error's class it is the first."""

WRITERS = {"_failure", "_missing_module", "_still_starting", "misspelt"}
"""Functions that return texts for others to raise or log."""

NO_MESSAGES = {"AttributeError", "ValueError"}
"""The AttributeError is Python's own for a module; ValueErrors become the end of a setting's
error, whose entry says so."""

PASSED_ON = {
    '"%s"': "the text of another message",
    '"%s\\n%s"': "an init error and its traceback",
    '"%s: %s"': "a request, and what the application raised",
    "message": "a parameter: its text is read where it is made",
    "reason": "a parameter: its text is read where it is made",
    "str(error)": "the text of another message",
    "f\"{reply.status} {reply.body[:300].decode('utf-8', 'replace')}\"": "the end of a log record",
}
"""Messages without words of their own, and why they need no entry. Another one fails the test:
no message is to hide behind a variable."""


class Message(NamedTuple):
    """A message: where it is made, its constant words, and the code that makes it."""

    where: str
    words: tuple[str, ...]
    code: str


class Module:
    """Reads the messages out of a module; `error_classes` are the names of Lamella's own errors."""

    def __init__(self, name: str, source: str, error_classes: Iterable[str] = ()) -> None:
        self._name = name
        self._source = source
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
        found = dict.fromkeys(text for node in ast.walk(self._tree) for text in self._texts(node))
        for node in found:
            text = self._text(node)
            if text and not (isinstance(node, ast.Call) and called(node) in WRITERS):
                code = ast.get_source_segment(self._source, node) or ""
                yield Message(f"{self._name}:{node.lineno}", words_of(text), code)

    def _texts(self, node: ast.AST) -> Iterator[ast.expr]:
        """The expressions that `node`, by itself, makes a message of."""
        if isinstance(node, ast.FunctionDef) and node.name in WRITERS:
            strings = (n for n in ast.walk(node) if isinstance(n, ast.JoinedStr))
            yield from (n for n in strings if len(words_of(self._text(n))) > 3)
        elif isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
            if called(node.exc)[0].isupper() and called(node.exc) not in NO_MESSAGES:
                yield from node.exc.args[:1]
        elif isinstance(node, ast.Call) and called(node) in self._text_at:
            position = self._text_at[called(node)]
            for text in node.args[position : position + 1]:
                yield from (text.body, text.orelse) if isinstance(text, ast.IfExp) else (text,)

    def _text(self, node: ast.expr) -> str:
        """The text, with `<>` for what is variable in it."""
        if isinstance(node, ast.Constant):
            return without_placeholders(str(node.value))
        if isinstance(node, ast.JoinedStr):
            return "".join(map(self._text, node.values))
        if isinstance(node, ast.FormattedValue):
            return self._text(node.value)
        if isinstance(node, ast.Name) and node.id in self._constants:
            return without_placeholders(self._constants[node.id])
        return "<>"


def without_placeholders(text: str) -> str:
    """The text with `<>` for logging's `%s`, `%d`, `%.1f` and so on."""
    return re.sub(r"%[-\d.]*[a-z]", "<>", text)


def called(node: ast.Call) -> str:
    """The last name of what is called: `error` of `logger.error(...)`."""
    return ast.unparse(node.func).rpartition(".")[2]


def words_of(text: str) -> tuple[str, ...]:
    """The constant words: `<...>` stands for what is variable, punctuation does not count."""
    return tuple(re.findall(r"[A-Za-z0-9_/]+", re.sub(r"<[^>]*>", " ", text)))


def error_classes(trees: Iterable[ast.AST]) -> set[str]:
    """`LamellaError` and every class under it, wherever it is."""
    classes = [n for tree in trees for n in ast.walk(tree) if isinstance(n, ast.ClassDef)]
    found, before = {"LamellaError"}, 0
    while len(found) > before:
        before = len(found)
        found |= {c.name for c in classes if {ast.unparse(base) for base in c.bases} & found}
    return found


def messages_of_the_script(source: str) -> Iterator[Message]:
    """What the bootstrap says before it gives up: the second word of each `fail`."""
    for match in re.finditer(r'fail \d+ "([^"]*)"', source):
        text = re.sub(r"\$\{\w+-?\}|\$\w+", "<>", match[1])
        line = source.count("\n", 0, match.start()) + 1
        yield Message(f"bootstrap:{line}", words_of(text), match[1])


ERRORS = error_classes(ast.parse(path.read_text()) for path in LAYER)
IN_CODE = [
    message
    for path in LAYER
    for message in Module(str(path.relative_to(ROOT)), path.read_text(), ERRORS).messages()
] + list(messages_of_the_script(SCRIPT.read_text()))
MESSAGES = {message.words: message for message in IN_CODE if message.words}

ENTRIES = re.findall(r"^### `(.+)`$", PAGE, re.MULTILINE)


def tells(entry: str, message: tuple[str, ...]) -> bool:
    """Whether an entry is about the message with these words."""
    words = words_of(entry)
    return message[: len(words)] == words if entry.endswith("...") else message == words


@pytest.mark.parametrize("message", MESSAGES.values(), ids=lambda message: " ".join(message.words))
def test_every_message_has_one_entry(message: Message) -> None:
    entries = [entry for entry in ENTRIES if tells(entry, message.words)]
    assert len(entries) == 1, (
        f"{message.where} says {message.code}\ndocs/troubleshooting.md needs one heading "
        f"`### \\`...\\`` with these words, and has {entries or 'none'}"
    )


@pytest.mark.parametrize("entry", ENTRIES)
def test_every_entry_is_about_a_message(entry: str) -> None:
    assert any(tells(entry, words) for words in MESSAGES), "no code says this any more"


def test_no_message_hides_behind_a_variable() -> None:
    wordless = {message.code: message.where for message in IN_CODE if not message.words}
    assert wordless.keys() == PASSED_ON.keys(), wordless


def test_entries_say_what_to_do_in_a_few_lines() -> None:
    headings = [line for line in PAGE.splitlines() if line.startswith("### ")]
    assert headings == [f"### `{entry}`" for entry in ENTRIES], "an entry is in backquotes"
    texts = re.split(r"^### .*$", PAGE, flags=re.MULTILINE)[1:]
    for entry, text in zip(ENTRIES, texts, strict=True):
        lines = text.partition("\n## ")[0].strip().splitlines()
        assert 1 <= len(lines) <= 6, entry


# The reading itself


SAMPLE = """
HINT = "try again"

def _missing_module(name):
    return f"there is no module {name!r} here"

def serve(name, count):
    logger.warning("%s took %.1f ms.", name, count)
    sink.fail(500, "Not Today" if count else str(name))
    logger.error("%s", name)
    raise LamellaError(f"{name!r} is {count:d} too many: {HINT}.")

def refuse():
    error = Worse("Worse " "still.")
    raise TypeError("Not a name.")
"""


def test_messages_are_read_from_whatever_makes_one() -> None:
    found = [m.words for m in Module("sample.py", SAMPLE, {"LamellaError", "Worse"}).messages()]
    assert sorted(" ".join(words) for words in found) == [
        "",  # str(name): test_no_message_hides_behind_a_variable wants a reason
        "",  # '%s': so does this
        "Not Today",
        "Not a name",
        "Worse still",
        "is too many try again",
        "there is no module here",
        "took ms",
    ]


def test_errors_of_later_modules_count() -> None:
    later = ast.parse(
        "class Worse(Bad): ...\nclass Bad(LamellaError): ...\nclass No(Exception): ..."
    )
    assert error_classes([later]) == {"LamellaError", "Bad", "Worse"}


def test_the_script_s_messages_are_read() -> None:
    found = messages_of_the_script(
        '[ -f "$next" ] || fail 127 "WRAPPER=$next is not on ${PATH-}"\n'
    )
    assert [message.words for message in found] == [("WRAPPER", "is", "not", "on")]


def test_an_entry_has_the_words_in_their_order() -> None:
    words = ("No", "module", "here", "add", "it")
    assert tells("No module '<name>' here: add it.", words)
    assert tells("No module '<name>' here: ...", words)
    assert not tells("No module '<name>' here", words)
    assert not tells("No module here: it add", words)
    assert not tells("No module '<name>' there: ...", words)
