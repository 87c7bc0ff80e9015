"""The interpreter that stands for the function's runtime, and what it says about itself."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

_QUESTION = """
import importlib.util, json, platform, site, sys
print(json.dumps({
    "minor": "%d.%d" % sys.version_info[:2],
    "magic": importlib.util.MAGIC_NUMBER.hex(),
    "tag": sys.implementation.cache_tag,
    "machine": platform.machine(),
    "packages": site.getsitepackages(),
    "library": sorted(sys.stdlib_module_names - set(sys.builtin_module_names)),
}))
"""


class InterpreterError(Exception):
    """There is no usable interpreter; the message says what to do."""


class Interpreter(NamedTuple):
    """A Python that runs: `path` absolute, `minor` "3.13", `tag` as in the names of .pyc files.

    `magic` is the number its bytecode begins with, `machine` this machine's word for its
    processor, `packages` its site-packages folders, `library` the names of the standard
    library's modules that a function's folder could shadow.
    """

    path: str
    minor: str
    magic: bytes
    tag: str
    machine: str
    packages: tuple[str, ...]
    library: frozenset[str]

    @property
    def architecture(self) -> str:
        """The machine in AWS's words: "x86_64" or "arm64"."""
        return {"aarch64": "arm64", "amd64": "x86_64"}.get(self.machine.lower(), self.machine)


def chosen(python: str | None, runtime: str) -> Interpreter:
    """The interpreter `python`, else one of `runtime` ("python3.13") on PATH, else this one.

    `runtime` may be "". Raises `InterpreterError` where it does not run, or is of another minor.
    """
    wanted = runtime_minor(runtime)
    interpreter = inspected(python or _of_minor(wanted))
    if wanted and interpreter.minor != wanted:
        raise InterpreterError(
            f"The function's runtime is {runtime}, but {interpreter.path} is Python "
            f"{interpreter.minor}: name an interpreter of {wanted} with --python. (Bytecode and "
            "native modules of one minor are of no use to another.)"
        )
    return interpreter


def runtime_minor(runtime: str) -> str:
    """The "3.13" of "python3.13"; "" of "". Raises `InterpreterError` for anything else."""
    match = re.fullmatch(r"python(3\.\d+)", runtime)
    if runtime and match is None:
        raise InterpreterError(
            f"{runtime!r} is no runtime of Lambda's for Python: use one such as python3.13."
        )
    return match[1] if match else ""


def inspected(python: str) -> Interpreter:
    """Ask the interpreter at `python`, a path or a name on PATH. Raises `InterpreterError`."""
    found = shutil.which(python)
    if found is None:
        raise InterpreterError(f"{python} is no executable file: name another with --python.")
    path = str(Path(found).absolute())
    answer = _asked(path)
    if answer is None:
        raise InterpreterError(
            f"{path} does not run as Python 3.10 or later: name another with --python."
        )
    return _interpreter(path, answer)


def _asked(path: str) -> dict[str, object] | None:
    command = [path, "-I", "-c", _QUESTION]
    try:
        done = subprocess.run(command, check=True, capture_output=True, timeout=60)
        answer: dict[str, object] = json.loads(done.stdout)
    except (OSError, subprocess.SubprocessError, ValueError):
        return None
    return answer


def _interpreter(path: str, answer: Mapping[str, object]) -> Interpreter:
    values = {name: answer[name] for name in ("minor", "tag", "machine")}
    packages, library = answer["packages"], answer["library"]
    assert isinstance(packages, list)
    assert isinstance(library, list)
    return Interpreter(
        path=path,
        magic=bytes.fromhex(str(answer["magic"])),
        packages=tuple(packages),
        library=frozenset(library),
        **{name: str(value) for name, value in values.items()},
    )


def _of_minor(minor: str) -> str:
    if not minor or minor == "{}.{}".format(*sys.version_info):
        return sys.executable
    for path in _candidates(minor):
        if _asked(path) is not None:  # a name that exists need not run: pyenv's shims
            return path
    raise InterpreterError(
        f"The function's runtime is python{minor}, and no python{minor} runs on PATH or below "
        "pyenv's versions: install it, or name it with --python."
    )


def _candidates(minor: str) -> Iterator[str]:
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    folders = [Path(folder) for folder in os.get_exec_path()]
    for folder in [*folders, *sorted(pyenv.glob(f"versions/{minor}*/bin"))]:
        path = folder / f"python{minor}"
        if path.is_file():
            yield str(path)
