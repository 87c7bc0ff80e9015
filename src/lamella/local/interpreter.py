"""An interpreter of this machine, and what it says about itself."""

from __future__ import annotations

import functools
import json
import shutil
import subprocess
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
