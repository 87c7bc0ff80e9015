"""A stand-in for AWS's base image, collected from what this machine has.

One of its Pythons with the libraries that it is linked to, a shell, awslambdaric, and AWS's
emulator. docs/layer.md says in which ways AWS's own image differs.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

from layer.pythons import Python
from tests.docker.context import Entry, data, folder, link, tree
from tests.e2e.judges import find_rie
from tests.e2e.packages import awslambdaric

IMAGE = Path(__file__).parent / "image"

# Big, and of no use to a function.
LEFT_OUT = re.compile(
    r"(^|/)(config-.*|ensurepip|idlelib|lib2to3|(site|dist)-packages|tests?|tkinter|turtledemo)/"
    r"|/_tkinter[^/]*$|\.opt-\d\.pyc$|\.[ao]$"
)

# Amazon Linux has these, and wheels rely on them (manylinux2014, PEP 599).
LIBRARIES = [
    *("libdl.so.2", "libgcc_s.so.1", "libpthread.so.0", "libresolv.so.2", "librt.so.1"),
    *("libstdc++.so.6", "libutil.so.1"),
]

PASSWD = "root:x:0:0::/root:/bin/sh\nsbx_user1051:x:993:990::/home/sbx_user1051:/bin/false\n"

_ASK = """
import json, os, re, sys, sysconfig
base = getattr(sys, "_base_executable", sys.executable)
loader = re.search(r"/\\S*/ld-linux\\S*", open("/proc/self/maps").read())[0]
print(json.dumps([os.path.realpath(base), sysconfig.get_path("stdlib"), loader]))
"""


def entries(python: Python, tools: Iterable[str] = ()) -> list[Entry]:
    """Everything that the build of the image for `python` gets; see image/Dockerfile.

    `tools` are this machine's programs for /bin, of which AWS's image has many.
    """
    answer = subprocess.run([python.path, "-I", "-c", _ASK], capture_output=True, check=True)
    executable, library, loader = map(Path, json.loads(answer.stdout))
    files = [*_interpreter(python, executable, library), *_runtime(python)]
    own = [entry.source for entry in files if _is_binary(entry.source)]
    files.append(Entry("bin/sh", Path("/bin/sh").resolve()))
    files.append(Entry("usr/local/bin/aws-lambda-rie", _emulator()))
    programs = [Path("/bin", tool) for tool in tools]
    files += [Entry(f"bin/{each.name}", each.resolve()) for each in programs]
    named = _named(LIBRARIES)
    libraries = {*named, *_linked(["ldd", "/bin/sh", *map(str, [*programs, *named])])}
    if _is_of_system(loader):
        libraries.update(_linked(["ldd", *map(str, own)]))
    else:  # a Python that `make pythons` has brought is told its loader, and libraries beside it
        told = [str(loader), "--library-path", str(loader.parent), "--list"]
        libraries.update(*(_linked([*told, str(each)]) for each in own))
    for each in sorted(libraries):
        in_place = _is_of_system(each) or each.parent == loader.parent
        files.append(Entry(str(each)[1:] if in_place else f"var/lang/lib/{each.name}", each))
    files += [folder("opt"), folder("var/task"), folder("tmp", 0o1777)]
    files.append(folder(f"var/lang/lib/python{python.minor}/site-packages"))
    files.append(data("etc/passwd", PASSWD.encode()))
    files.append(link("var/lang/bin/python3", f"python{python.minor}"))
    dockerfile = Entry("Dockerfile", IMAGE / "Dockerfile")
    return [dockerfile, *(entry.below("rootfs") for entry in files)]


def _interpreter(python: Python, executable: Path, library: Path) -> Iterator[Entry]:
    yield Entry(f"var/lang/bin/python{python.minor}", executable)
    for entry in tree(library, f"var/lang/lib/python{python.minor}"):
        if not LEFT_OUT.search(entry.name.removeprefix(f"var/lang/lib/python{python.minor}/")):
            yield entry


def _runtime(python: Python) -> Iterator[Entry]:
    packages = tree(awslambdaric(python), "var/runtime")
    yield from (entry for entry in packages if "/__pycache__/" not in entry.name)
    for name in ("var/runtime/bootstrap", "var/runtime/bootstrap.py", "lambda-entrypoint.sh"):
        text = (IMAGE / Path(name).name).read_text().replace("@VERSION@", python.minor)
        yield data(name, text.encode(), mode=0o755)


def _emulator() -> Path:
    rie = find_rie()
    if rie is None:
        raise FileNotFoundError("the stand-in needs AWS's emulator: make sam")
    return rie


def _is_binary(path: Path | None) -> bool:
    if path is None:
        return False
    with path.open("rb") as file:
        return file.read(4) == b"\x7fELF"


def _linked(command: list[str]) -> list[Path]:
    """The libraries that `command` lists, and the loader."""
    said = subprocess.run(command, capture_output=True, text=True).stdout
    return [Path(path) for path in re.findall(r"(?:=> |^\s+)(/\S+) \(0x", said, re.MULTILINE)]


def _named(libraries: Iterable[str]) -> list[Path]:
    known = subprocess.run(["/sbin/ldconfig", "-p"], capture_output=True, text=True).stdout
    return [Path(re.findall(rf"{re.escape(name)} .*=> (/\S+)", known)[0]) for name in libraries]


def _is_of_system(library: Path) -> bool:
    """Whether `library` is in a folder where the loader looks; else it looks in Lambda's own."""
    return str(library).startswith(("/lib", "/usr/lib"))
