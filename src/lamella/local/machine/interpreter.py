"""An interpreter of this machine, and what it says about itself."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

_QUESTION = """
import importlib.util, json, platform, site, sys
print(json.dumps({
    "path": sys.executable,
    "minor": "%d.%d" % sys.version_info[:2],
    "magic": importlib.util.MAGIC_NUMBER.hex(),
    "tag": sys.implementation.cache_tag,
    "machine": platform.machine(),
    "packages": site.getsitepackages(),
    "library": sorted(sys.stdlib_module_names - set(sys.builtin_module_names)),
}))
"""


_COMPILED = re.compile(r"\.cpython-3(\d+)-.*\.so$")


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


def folders_of(python: str) -> list[Path]:
    """The folders that the interpreter at `python` needs: its environment's, and its own."""
    path = Path(python)
    return [path.parents[1], path.resolve().parents[1]]


def interpreter_for(folder: Path, runtime: str = "") -> Interpreter:
    """The interpreter that runs what is in `folder`. Raises `InterpreterError`.

    Compiled modules there tell the minor version, or else the function's `runtime`, such as
    "python3.13". The first that fits is taken of the project's .venv, the shell's active
    environment, this process's interpreter, and PATH. Where none fits the runtime, the first of
    them runs what needs no certain version.
    """
    compiled = compiled_minors(folder)
    minors = compiled or [each for each in (runtime.removeprefix("python"),) if each]
    active = os.environ.get("VIRTUAL_ENV")
    venvs = [folder / ".venv", Path.cwd() / ".venv", *([Path(active)] if active else [])]
    pythons = [str(each / "bin" / "python") for each in venvs]
    pythons = [*(each for each in pythons if os.access(each, os.X_OK)), sys.executable]
    # One of PATH has no packages: it is for a folder that has them.
    has_packages = bool(compiled) or any(folder.glob("*.dist-info"))
    others = [f"python{minor}" for minor in minors] if has_packages else []
    for python in [*pythons, *others]:
        with contextlib.suppress(InterpreterError):
            found = inspected(python)
            if not minors or found.minor in minors:
                return found
    if compiled:
        raise InterpreterError(
            f"{folder} has modules that were compiled for Python {' and '.join(compiled)}, and no "
            "such Python was found here: name one with --python."
        )
    return inspected(pythons[0])


def compiled_minors(folder: Path) -> list[str]:
    """The minor versions of Python that compiled modules in `folder` are for, such as ["3.13"]."""
    found = set[str]()
    for _, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if name[0] != "." and name != "node_modules"]
        found.update(match[1] for name in files if (match := _COMPILED.search(name)))
    return [f"3.{minor}" for minor in sorted(found, key=int)]


@functools.lru_cache(maxsize=16)
def inspected(python: str) -> Interpreter:
    """Ask the interpreter at `python`, a path or a name on PATH; runs it once.

    A shim, such as pyenv's, finds its Python by variables that Lambda does not have; so `path` is
    what the interpreter says of itself. Raises `InterpreterError`.
    """
    found = shutil.which(python)
    if found is None:
        raise InterpreterError(f"{python} is no executable file: name another with --python.")
    path = str(Path(found).absolute())
    command = [path, "-I", "-c", _QUESTION]
    try:
        done = subprocess.run(command, check=True, capture_output=True, timeout=60)
        answer = json.loads(done.stdout)
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        said = (getattr(error, "stderr", None) or b"").decode(errors="replace").splitlines()
        why = f" ({said[0]})" if said else ""
        raise InterpreterError(
            f"{path} does not run as Python 3.11 or later{why}: name another with --python."
        ) from None
    return Interpreter(
        path=answer["path"] or path,
        minor=answer["minor"],
        magic=bytes.fromhex(answer["magic"]),
        tag=answer["tag"],
        machine=answer["machine"],
        packages=tuple(answer["packages"]),
        library=frozenset(answer["library"]),
    )
