"""Which interpreter stands for the function's runtime."""

from __future__ import annotations

import contextlib
import os
import re
import sys
from pathlib import Path

from lamella.local.machine.interpreter import Interpreter, InterpreterError, inspected

SUPPORTED = ("python3.11", "python3.12", "python3.13", "python3.14", "python3.15")
"""The runtimes that the layer is built for."""

DEPRECATED = {"python3.11": ("2027-06-30", "2027-07-31", "2027-08-31")}
"""By runtime, the dates of its deprecation, and from which Lambda creates no function with it, and
updates none (https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtimes.html)."""


def chosen(python: str | None, runtime: str) -> Interpreter:
    """The interpreter `python`, else one of `runtime` ("python3.13") on PATH, else this one.

    `runtime` may be "". Raises `InterpreterError` where it does not run, or is of another minor.
    """
    match = re.fullmatch(r"python(3\.\d+)", runtime)
    if runtime and match is None:
        raise InterpreterError(
            f"{runtime!r} is not a Python runtime of Lambda: use one such as python3.13."
        )
    wanted = match[1] if match else ""
    if wanted and int(wanted[2:]) < 11:
        named = f"{', '.join(SUPPORTED[:-1])} and {SUPPORTED[-1]}"
        raise InterpreterError(
            f"{runtime} is not supported: Lamella runs on {named}. Lambda has deprecated it: set "
            "the function's Runtime to one of these."
        )
    if python is None and wanted not in ("", "{}.{}".format(*sys.version_info)):
        return _found(wanted)
    interpreter = inspected(python or sys.executable)
    if wanted and interpreter.minor != wanted:
        raise InterpreterError(
            f"The function's runtime is {runtime}, but {interpreter.path} is Python "
            f"{interpreter.minor}: name an interpreter of {wanted} with --python. (A Python "
            "cannot use the bytecode and the native modules of another minor.)"
        )
    return interpreter


def _found(minor: str) -> Interpreter:
    """The first that runs on PATH or below pyenv's versions; pyenv's shims exist and need not."""
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    folders = [*map(Path, os.get_exec_path()), *sorted(pyenv.glob(f"versions/{minor}*/bin"))]
    for folder in folders:
        with contextlib.suppress(InterpreterError):
            return inspected(str(folder / f"python{minor}"))
    raise InterpreterError(
        f"The function's runtime is python{minor}, and no python{minor} runs on PATH or below "
        "pyenv's versions: install it, or name it with --python."
    )
