"""What has to be there before anything is measured: an interpreter, the layer, the functions."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from benchmarks import BenchmarkError
from benchmarks.ways import Site
from layer import archive, pythons

ROOT = Path(__file__).resolve().parent.parent
LAYER = ROOT / "dist" / "lamella-layer.zip"
REQUIREMENTS = ROOT / "requirements" / "dev.txt"
NEEDED = ("awslambdaric", "django", "fastapi", "mangum", "uvicorn")

_VERSIONS = """
import json, sys
from importlib.metadata import PackageNotFoundError, version
found = {}
for name in sys.argv[1:]:
    try:
        found[name] = version(name)
    except PackageNotFoundError:
        pass
print(json.dumps(found))
"""


def prepare(
    python: str,
    layer: Path,
    folder: Path,
    web_adapter: Path | None = None,
    uvloop: Path | None = None,
) -> Site:
    """Unpack the layer and compile the functions below `folder`, for `python`.

    `web_adapter` is the binary of AWS Lambda Web Adapter, and `uvloop` a folder with uvloop, to
    measure beside. Raises `BenchmarkError` where the layer is not built, or one of them is not
    there.
    """
    found = pythons.probe(python)
    if found is None:
        raise BenchmarkError(f"{python} is no CPython 3.11 or later that runs.")
    if not layer.is_file():
        raise BenchmarkError(f"{layer} does not exist: build it with `make layer`.")
    if web_adapter is not None and not os.access(web_adapter, os.X_OK):
        raise BenchmarkError(
            f"--lwa {web_adapter} is no executable file: name Web Adapter's binary."
        )
    if uvloop is not None and not (uvloop / "uvloop").is_dir():
        raise BenchmarkError(
            f"--uvloop {uvloop} holds no uvloop: pip install --target {uvloop} uvloop"
        )
    # Each process starts in the function's folder, where a relative path leads elsewhere.
    peers = [each and each.resolve() for each in (web_adapter, uvloop)]
    site = Site(found.path, found.version, folder / "opt", folder / "task", *peers)
    archive.unpack(layer, site.opt)
    shutil.copytree(Path(__file__).parent / "functions", site.task)
    mode = ("--invalidation-mode", "unchecked-hash")
    compiler = (found.path, "-m", "compileall", "-q", *mode, str(site.task))
    subprocess.run(compiler, check=True)
    return site


def versions(python: str) -> dict[str, str]:
    """The versions of what is measured beside Lamella. Raises `BenchmarkError`."""
    output = subprocess.run(
        (python, "-c", _VERSIONS, *NEEDED), capture_output=True, check=True
    ).stdout
    found: dict[str, str] = json.loads(output)
    if missing := [name for name in NEEDED if name not in found]:
        raise BenchmarkError(
            f"{python} lacks {', '.join(missing)}: use the one that `make env` makes, or "
            f"--all-pythons, or install {REQUIREMENTS.relative_to(ROOT)} for it."
        )
    return found


def can_import(site: Site, module: str) -> bool:
    """Whether the interpreter has a package."""
    return not subprocess.run(
        (site.python, "-c", f"import {module}"), capture_output=True
    ).returncode


def has_bytecode(site: Site) -> bool:
    """Whether the layer holds bytecode for the interpreter; without it, starts are slow."""
    manifest = json.loads((site.opt / "lamella" / "manifest.json").read_text())
    return site.minor in manifest["bytecode"]


def use_one_cpu() -> None:
    """Keep this process and those it starts on one CPU, the last one allowed.

    A wake-up across CPUs costs twice as much as one on the same, and the kernel changes its mind
    from run to run. One CPU is what Lambda gives to a function of 1,769 MB, which is why its
    variables say that much.
    """
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def all_pythons(cache: Path) -> list[str]:
    """An interpreter with what is needed for each minor found here, made where it is missing."""
    return [_virtual_environment(python, cache) for python in pythons.find()]


def _virtual_environment(python: pythons.Python, cache: Path) -> str:
    folder = cache / f"bench-{python.minor}"
    interpreter, done = folder / "bin" / "python", folder / ".installed"
    if not done.exists() or done.stat().st_mtime < REQUIREMENTS.stat().st_mtime:
        print(f"making {folder}", file=sys.stderr)
        subprocess.run((python.path, "-m", "venv", "--clear", str(folder)), check=True)
        pip = (str(interpreter), "-m", "pip", "install", "--quiet", "--no-deps")
        subprocess.run((*pip, "--require-hashes", "-r", str(REQUIREMENTS)), check=True)
        done.touch()
    return str(interpreter)
