"""Files of variables, such as `.env`, and what a function reads that only the shell has."""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

_LINE = re.compile(r"(?:export\s+)?([A-Za-z_]\w*)\s*=\s*(.*)", re.DOTALL)
_NAME = re.compile(r"""["']([A-Za-z_]\w*)["']""")

OF_LAMBDA = frozenset({"PATH", "LANG", "TZ", "LD_LIBRARY_PATH", "AWS_REGION", "AWS_DEFAULT_REGION"})
"""What every function has, whatever the shell says."""

NOT_SOURCES = frozenset({"__pycache__", "node_modules", "site-packages", "venv"})


class EnvFileError(Exception):
    """A line cannot be read; the message says which."""


def read(path: Path) -> dict[str, str]:
    """The variables of a file with a line NAME=VALUE for each.

    `export` may go before a name. Comments begin with #. A value may be quoted: in single quotes it
    is taken as it is, in double quotes \\n, \\" and \\\\ are known. Raises EnvFileError, OSError.
    """
    variables = {}
    for number, raw in enumerate(path.read_text(encoding="utf-8-sig").splitlines(), 1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        match = _LINE.fullmatch(line)
        value = None if match is None else _value(match[2])
        if match is None or value is None:
            raise EnvFileError(
                f"{path}, line {number}: {raw!r} is not of the form NAME=VALUE, or a quote is open."
            )
        variables[match[1]] = value
    return variables


def _value(text: str) -> str | None:
    """The value that `text` stands for; None where a quote is not closed."""
    if text[:1] not in ("'", '"'):
        return re.split(r"\s+#", text, maxsplit=1)[0].strip()
    quoted = re.fullmatch(r"""'([^']*)'\s*(?:#.*)?|"((?:[^"\\]|\\.)*)"\s*(?:#.*)?""", text)
    if quoted is None:
        return None
    if quoted[1] is not None:
        return quoted[1]
    return re.sub(r"\\(.)", lambda m: {"n": "\n"}.get(m[1], m[1]), quoted[2])


def only_in_shell(
    folder: Path, variables: Mapping[str, str], shell: Mapping[str, str]
) -> list[str]:
    """The names that the code in `folder` reads, as far as its text tells, and that are set in the
    `shell` and not among the function's `variables`."""
    candidates = {name for name in shell if name not in variables and name not in OF_LAMBDA}
    found = set[str]()
    for source in sources(folder):
        try:
            text = source.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            continue
        found |= candidates.intersection(_NAME.findall(text))
        if "BaseSettings" in text:
            found |= candidates.intersection(_fields(text))
    return sorted(found)


def sources(folder: Path) -> Iterator[Path]:
    """The Python files of the function itself, without those of packages that were installed."""
    installed = {
        line.partition("/")[0]
        for record in folder.glob("*.dist-info/RECORD")
        for line in record.read_text(encoding="utf-8").splitlines()
    }
    for parent, folders, files in os.walk(folder):
        skipped = installed if parent == str(folder) else set()
        folders[:] = [n for n in folders if n not in NOT_SOURCES | skipped and n[0] != "."]
        yield from (Path(parent, n) for n in files if n.endswith(".py") and n not in skipped)


def _fields(text: str) -> Iterator[str]:
    """The variables that pydantic's settings read: each field's name, in capitals too."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return
    classes = (node for node in ast.walk(tree) if isinstance(node, ast.ClassDef))
    for each in classes:
        if any(ast.unparse(base).endswith("BaseSettings") for base in each.bases):
            for field in each.body:
                if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
                    yield from (field.target.id, field.target.id.upper())
