"""Take the pure Python parts of awslambdaric out of its pinned wheel.

The layer must behave as the managed runtime where an application can tell (the context
object, SnapStart's hooks), so it uses AWS's own code for these, under a private name: a function
that carries its own awslambdaric gets its own.
"""

from __future__ import annotations

import hashlib
import importlib.util
import re
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

from layer import BuildError

PACKAGE = "awslambdaric"
PRIVATE_NAME = "_awslambdaric"

MODULES = (
    "__init__.py",
    "lambda_context.py",
    "lambda_runtime_hooks_runner.py",
)
"""What is taken. None of them imports another module of awslambdaric, so a new name for the
package is all they need. lambda_runtime_hooks_runner imports snapshot_restore_py, which is
left out on purpose: hooks that the application registered are found only in the very module
object that it registered them with."""

LICENSES = ("LICENSE", "NOTICE")

# One wheel, whatever machine builds: those for other interpreters differ only in the native
# client, which is not taken.
_WHEEL_OPTIONS = (
    "--platform=manylinux2014_x86_64",
    "--implementation=cp",
    "--python-version=3.13",
    "--abi=cp313",
)


def pin(requirements: Path) -> tuple[str, str]:
    """Return version and sha256 (hexadecimal) of the one pin in `requirements`.

    Raises BuildError when there is not exactly one, with a hash.
    """
    text = requirements.read_text()
    pins = re.findall(rf"^{PACKAGE}==(\S+) \\\s+--hash=sha256:([0-9a-f]{{64}})$", text, re.M)
    if len(pins) != 1:
        raise BuildError(f"{requirements} has {len(pins)} pins of {PACKAGE} with a hash, not one")
    version, digest = pins[0]
    return version, digest


def wheel(requirements: Path, cache: Path) -> Path:
    """Return the wheel that `requirements` pins, downloaded by pip unless `cache` has it.

    pip compares the hash after a download; a file found in `cache` is compared here.
    Raises BuildError when the download fails.
    """
    _, digest = pin(requirements)
    if found := _with_digest(cache, digest):
        return found
    cache.mkdir(parents=True, exist_ok=True)
    command = [_python_with_pip(cache), "-m", "pip", "download", "--quiet", "--no-deps"]
    command += ["--require-hashes", "--only-binary=:all:", *_WHEEL_OPTIONS]
    command += ["--dest", str(cache), "--requirement", str(requirements)]
    if subprocess.run(command).returncode:
        raise BuildError(
            f"pip could not download what {requirements} pins (its message is above). The build "
            "needs the network once."
        )
    found = _with_digest(cache, digest)
    if found is None:
        raise BuildError(f"pip downloaded nothing with sha256 {digest} into {cache}")
    return found


def sources(wheel_file: Path) -> dict[str, bytes]:
    """Return the vendored modules, by file name."""
    with zipfile.ZipFile(wheel_file) as archive:
        return {name: archive.read(f"{PACKAGE}/{name}") for name in MODULES}


def licenses(wheel_file: Path) -> dict[str, bytes]:
    """Return the licence texts of the wheel, by file name."""
    with zipfile.ZipFile(wheel_file) as archive:
        return {
            Path(name).name: archive.read(name)
            for name in archive.namelist()
            if ".dist-info/" in name and Path(name).name in LICENSES
        }


def _python_with_pip(cache: Path) -> str:
    """This Python, or one of an environment below `cache`: Debian's has venv, and no pip."""
    if importlib.util.find_spec("pip"):
        return sys.executable
    folder = cache / "pip"
    venv.create(folder, clear=True, with_pip=True)
    return str(folder / "bin" / "python")


def _with_digest(folder: Path, digest: str) -> Path | None:
    for path in sorted(folder.glob("*.whl")):
        if hashlib.sha256(path.read_bytes()).hexdigest() == digest:
            return path
    return None
