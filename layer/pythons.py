"""Find the Pythons of this machine that can compile bytecode for the layer."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

SUPPORTED = ("3.11", "3.12", "3.13", "3.14", "3.15")
"""The minors that the layer has bytecode for, and no other: those that Lambda has a runtime for
(https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtimes.html)."""

BROUGHT = Path(__file__).parents[1] / ".cache" / "pythons" / "bin"
"""Where `make pythons` puts what it brings."""

_PROBE = """
import importlib.util, json, sys
print(json.dumps([sys.executable, list(sys.version_info[:3]), importlib.util.MAGIC_NUMBER.hex(),
                  "free-threaded" if "t" in sys.abiflags else sys.implementation.name,
                  sys.version_info.releaselevel]))
"""


class Python(NamedTuple):
    """An interpreter that runs: `magic` is the bytecode's magic number in hexadecimal.

    `image` names the container image that `path` is in; it is empty for one of this machine.
    """

    path: str
    version: tuple[int, int, int]
    magic: str
    image: str = ""

    @property
    def minor(self) -> str:
        """The minor version as Lambda spells it: "3.13"."""
        return f"{self.version[0]}.{self.version[1]}"


def find() -> list[Python]:
    """Return one CPython for each supported minor, oldest first, the newest patch of each.

    Looks at python3.X on PATH and in /usr/bin, below pyenv's versions, where `make pythons` puts
    them, and at the running interpreter. Each is started once, because a name that exists need not
    run (pyenv's shims).
    """
    found = [python for path in _unique(_candidates()) if (python := probe(path))]
    best: dict[tuple[int, int], Python] = {}
    for python in sorted(found, key=lambda each: each.version):
        best[python.version[:2]] = python
    return [best[minor] for minor in sorted(best)]


@functools.cache  # a start takes a tenth of a second, and the tests ask in many places
def probe(path: str) -> Python | None:
    """Return the interpreter that `path` starts; None if it does not run or is of no use here.

    Of no use are other implementations, free-threaded builds, minors that no runtime has, and
    alpha, beta and candidate releases: their magic number is not the final release's.
    """
    try:
        return ask([path], timeout=60)
    except (OSError, subprocess.SubprocessError, ValueError):
        return None


def ask(command: list[str], timeout: float) -> Python | None:
    """Return the interpreter that `command` starts, asking it; None if it is of no use here.

    Raises OSError or subprocess.SubprocessError when it does not run, or not within `timeout`
    seconds, and ValueError when its answer is not a Python's.
    """
    output = subprocess.run(
        [*command, "-I", "-c", _PROBE], capture_output=True, check=True, timeout=timeout
    ).stdout
    executable, version, magic, implementation, release = json.loads(output)
    found = Python(executable, tuple(version), magic)
    is_of_use = implementation == "cpython" and release == "final" and found.minor in SUPPORTED
    return found if is_of_use else None


def newer() -> list[str]:
    """Return the paths of Pythons that are newer than the supported ones, by their names."""
    newest = int(SUPPORTED[-1].removeprefix("3."))
    named = [path for path in _unique(_candidates()) if Path(path).name[8:].isdigit()]
    return [path for path in named if int(Path(path).name[8:]) > newest]


def missing(found: Iterable[Python]) -> list[str]:
    """Return the supported minors that none of `found` is."""
    there = {python.minor for python in found}
    return [minor for minor in SUPPORTED if minor not in there]


def _candidates() -> Iterator[Path]:
    yield Path(sys.executable)
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    on_path = [Path(folder) for folder in [*os.get_exec_path(), "/usr/bin"]]
    for folder in [*on_path, BROUGHT, *sorted(pyenv.glob("versions/*/bin"))]:
        yield from _named_python(folder)


def _named_python(folder: Path) -> list[Path]:
    """Return python3.11, python3.12, ... of `folder`, but not python3.11-config."""
    return sorted(path for path in folder.glob("python3.*") if path.name[8:].isdigit())


def _unique(paths: Iterable[Path]) -> list[str]:
    """Return `paths` once each; two links to one interpreter count as one.

    A virtual environment's link is kept as it is, since the environment is found beside it.
    """
    return list({path.resolve(): str(path) for path in paths if path.is_file()}.values())


if __name__ == "__main__":
    for each in find():
        print(each.minor, each.path)
