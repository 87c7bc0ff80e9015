"""Runs inside the function's interpreter, as a script: write bytecode beside every module.

It imports nothing of Lamella's, so any Python from 3.11 on can run it. stdin holds one path of a
module a line; stdout gets JSON: the number of modules written and of those that had it already,
and an object of those that do not compile, with the reason.
"""

from __future__ import annotations

import importlib.util
import json
import os
import py_compile
import sys
import warnings
from pathlib import Path

INSTALLED_AT = "/var/task/"
"""Where Lambda unpacks a function: the path that its tracebacks show."""


def main(folder: str, names: list[str]) -> None:
    """Compile the modules `names`, paths relative to `folder`, unless they have this bytecode."""
    os.umask(0o022)  # Lambda's user must be able to read what is made here
    warnings.simplefilter("ignore")  # of the packages' authors' concern, not of this command's
    counts = {"written": 0, "unchanged": 0}
    failed: dict[str, str] = {}
    for name in names:
        module = Path(folder, name)
        target = Path(importlib.util.cache_from_source(str(module), optimization=""))
        source = module.read_bytes()
        header = importlib.util.MAGIC_NUMBER + b"\1\0\0\0" + importlib.util.source_hash(source)
        if target.exists() and target.read_bytes().startswith(header):
            counts["unchanged"] += 1
            continue
        try:
            py_compile.compile(
                str(module),
                str(target),
                INSTALLED_AT + name,
                doraise=True,
                optimize=0,
                invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
            )
        except (py_compile.PyCompileError, SyntaxError, ValueError, RecursionError) as error:
            failed[name] = str(error).strip().splitlines()[-1]
        else:
            counts["written"] += 1
    json.dump({**counts, "failed": failed}, sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1], sys.stdin.read().splitlines())
