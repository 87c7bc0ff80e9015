"""Whether the bytecode in a function's folder is of use on Lambda.

Deploy tools give every file one date (SAM: 1980), and /var/task is read-only. So bytecode that
Python compares with its source's date is stale there for ever, and every cold start compiles
anew. What is compared with a hash of the source, or with nothing (PEP 552), is usable.
"""

from __future__ import annotations

import _imp
import os
from collections import Counter
from collections.abc import Iterator
from enum import Enum
from pathlib import Path

from lamella.local.machine.interpreter import Interpreter


class State(Enum):
    """Of one module's bytecode."""

    UNCHECKED = "unchecked"
    CHECKED = "checked"  # usable, but the source is read and hashed on every start
    TIMESTAMP = "timestamp"
    CHANGED = "changed"  # unchecked, but of another source: Python would run the old code
    OTHER_MAGIC = "other magic number"
    MISSING = "missing"


USABLE = (State.UNCHECKED, State.CHECKED)


def modules(folder: Path) -> Iterator[Path]:
    """Every .py file below `folder`; Python imports nothing from a hidden one (.git, .venv)."""
    for path, folders, files in os.walk(folder):
        folders[:] = sorted(f for f in folders if not f.startswith(".") and f != "__pycache__")
        yield from (Path(path, name) for name in sorted(files) if name.endswith(".py"))


def states(folder: Path, interpreter: Interpreter) -> Counter[State]:
    """How many modules below `folder` are in which state."""
    return Counter(state(module, interpreter) for module in modules(folder))


def state(module: Path, interpreter: Interpreter) -> State:
    """Look at the head of the module's bytecode: magic number, flags, hash of the source (PEP 552).

    Pythons hash alike, each with its own magic number as the key; only `_imp` takes another's.
    """
    path = module.parent / "__pycache__" / f"{module.stem}.{interpreter.tag}.pyc"
    try:
        with path.open("rb") as file:
            header = file.read(16)
    except OSError:
        return State.MISSING
    if header[:4] != interpreter.magic or len(header) < 8:
        return State.OTHER_MAGIC
    flags = int.from_bytes(header[4:8], "little")
    if flags == 0b01:
        key = int.from_bytes(interpreter.magic, "little")
        is_same = header[8:] == _imp.source_hash(key, module.read_bytes())
        return State.UNCHECKED if is_same else State.CHANGED
    return State.CHECKED if flags == 0b11 else State.TIMESTAMP


def changed(folder: Path, interpreter: Interpreter) -> list[str]:
    """The modules below `folder` whose bytecode is unchecked and of another source."""
    found = (each for each in modules(folder) if state(each, interpreter) is State.CHANGED)
    return [module.relative_to(folder).as_posix() for module in found]


def other_tags(folder: Path, interpreter: Interpreter) -> list[str]:
    """The tags of interpreters other than `interpreter` whose bytecode is in `folder`."""
    tags = {path.suffixes[-2][1:] for path in folder.rglob("*.pyc") if len(path.suffixes) > 1}
    return sorted(tag for tag in tags - {interpreter.tag} if tag.startswith("cpython-"))
