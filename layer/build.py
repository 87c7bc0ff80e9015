"""Build the layer: `python -m layer.build` writes dist/lamella-layer.zip.

Needs Python 3.11 or later with pip, and nothing else. Every supported Python that is found on
this machine contributes its bytecode, so that its functions start fast. For minors that it lacks,
`--bytecode docker` compiles in containers.
"""

from __future__ import annotations

import argparse
import hashlib
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from layer import BuildError, archive, budget, bytecode, containers, manifest, pythons, vendor

ROOT = Path(__file__).resolve().parent.parent
ZIP = ROOT / "dist" / "lamella-layer.zip"
STAMP = ROOT / "build" / "layer.stamp"
"""The fingerprint of the last build, for `--if-changed`."""

NOT_IN_THE_LAYER = frozenset({"front_doors", "local", "templates", "testing", "tools"})
"""The package's folders that a function has no use for: docs/design.md, section 3.

Neither has it for what only type checkers read: py.typed, .pyi files and `TYPES`."""

TYPES = "ports.py"
"""A module that no other one imports when it runs."""


def content(root: Path, found: Iterable[pythons.Python]) -> dict[str, bytes]:
    """Return every file of the layer by its path, built from the repository at `root`.

    May download a wheel into build/cache below `root`, and compiles with each of `found`.
    Raises BuildError with what to do when an input is missing.
    """
    requirements = root / "layer" / "requirements.txt"
    wheel = vendor.wheel(requirements, root / "build" / "cache")
    inputs = manifest.Inputs(version(root), wheel, vendor.pin(requirements)[0], tuple(found))
    files = {f"python/lamella/{name}": data for name, data in package(root).items()}
    for name, data in vendor.sources(wheel).items():
        files[f"python/lamella/{vendor.PRIVATE_NAME}/{name}"] = data
    for python in inputs.pythons:
        files |= bytecode.compile_all(_modules(files), python)
    for name, data in vendor.licenses(wheel).items():
        files[f"lamella/licenses/{vendor.PACKAGE}/{name}"] = data
    files["lamella/licenses/lamella/LICENSE"] = (root / "LICENSE").read_bytes()
    files["lamella/runtime.py"] = (root / "bootstrap" / "runtime.py").read_bytes()
    files["bootstrap"] = (root / "bootstrap" / "bootstrap").read_bytes()
    files[manifest.SBOM] = manifest.sbom(files, inputs)
    files["lamella/manifest.json"] = manifest.manifest(files, inputs)
    return files


def package(root: Path) -> dict[str, bytes]:
    """Return the modules of the package that belong in the layer, by path inside it."""
    folder = root / "src" / "lamella"
    paths = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*.py")}
    return {
        name: path.read_bytes()
        for name, path in sorted(paths.items())
        if name != TYPES and name.partition("/")[0] not in NOT_IN_THE_LAYER
    }


def version(root: Path) -> str:
    """Return Lamella's version, which the package's `__init__.py` alone states."""
    path = root / "src" / "lamella" / "__init__.py"
    match = re.search(r'^__version__ = "(.+)"$', path.read_text(), re.M)
    if match is None:
        raise BuildError(f'{path} has no line like __version__ = "1.2.3"')
    return match[1]


def fingerprint(root: Path, path: Path, found: Iterable[pythons.Python]) -> str:
    """Return a hash of all that decides about the zip at `path`, and of that zip, if it is there.

    Whole files count, because a date does not tell that a file was removed, or is another branch's.
    """
    digest = hashlib.sha256(repr([(python.version, python.magic) for python in found]).encode())
    inputs = [root / "LICENSE", *(root / "bootstrap").iterdir(), *(root / "layer").iterdir()]
    files = {file.name: file.read_bytes() for file in [*sorted(inputs), path] if file.is_file()}
    for name, data in (files | package(root)).items():
        digest.update(f"{name} {len(data)}\n".encode() + data)
    return digest.hexdigest()


def build(root: Path, path: Path, image: str | None = None) -> list[pythons.Python]:
    """Write the layer of the repository at `root` to the zip at `path`.

    Returns the interpreters whose bytecode is in it: those of this machine and, when `image`
    names a container image for each {version}, one for every supported minor besides. Raises
    BuildError when there are none (a layer without bytecode starts slowly), when a container
    does not start, or when the zip is over the limits of layer/budget.toml.
    """
    found = pythons.find()
    if image:
        found += containers.find(pythons.missing(found), image)
    if not found:
        raise BuildError(
            "found no CPython to compile the layer's bytecode with: install one of "
            f"{', '.join(pythons.SUPPORTED)}, or use Docker's with --bytecode docker"
        )
    archive.write(content(root, found), path)
    budget.check(path, budget.load(root / "layer" / "budget.toml"))
    return found


def report(path: Path, found: Iterable[pythons.Python]) -> str:
    """Return what is to be said about the zip at `path`, with the bytecode of `found`."""
    sizes, limits = budget.measure(path), budget.load()
    lines = [
        f"layer    {path}",
        f"size     {sizes.zip:,} bytes of at most {limits.zip:,}",
        f"unpacked {sizes.unpacked:,} bytes of at most {limits.unpacked:,}",
        f"sha256   {hashlib.sha256(path.read_bytes()).hexdigest()}",
    ]
    for python in found:
        size = f"{sizes.minors[python.minor]:,} bytes of at most {limits.minor:,}"
        lines.append(f"bytecode {python.minor}, {size}, by {python.image or python.path}")
    for minor in pythons.missing(found):
        lines.append(
            f"bytecode {minor} is missing: functions on it compile the layer on each cold start. "
            f"Install python{minor} here, or compile in a container: make layer BYTECODE=docker"
        )
    for newer in pythons.newer():
        lines.append(f"ignored  {newer}: the newest Python of the layer is {pythons.SUPPORTED[-1]}")
    return "\n".join(lines)


def main(argv: list[str] | None = None) -> None:
    """Build the layer, print what came out, and unpack it where `--unpack` says."""
    parser = argparse.ArgumentParser(prog="python -m layer.build", description="Build the layer.")
    parser.add_argument("--output", type=Path, default=ZIP, help="the zip file to write")
    parser.add_argument("--unpack", type=Path, metavar="DIR", help="unpack it here as well")
    parser.add_argument(
        "--bytecode",
        choices=["here", "docker"],
        default="here",
        help="docker: compile in containers for the minors that this machine lacks",
    )
    parser.add_argument(
        "--bytecode-image",
        default=containers.IMAGE,
        metavar="IMAGE",
        help="the image for a minor, which stands for {version} (%(default)s)",
    )
    parser.add_argument(
        "--if-changed",
        action="store_true",
        help="leave a zip as it is that this very tree made, with this machine's Pythons",
    )
    options = parser.parse_args(argv)
    image = options.bytecode_image if options.bytecode == "docker" else None
    if options.if_changed and not image and _is_built(options.output):
        print(f"layer    {options.output} is up to date")
    else:
        try:
            found = build(ROOT, options.output, image)
        except BuildError as error:
            raise SystemExit(str(error)) from None
        print(report(options.output, found))
        STAMP.parent.mkdir(exist_ok=True)
        STAMP.write_text(fingerprint(ROOT, options.output, found))
    if options.unpack:
        archive.unpack(options.output, options.unpack)
        print(f"unpacked into {options.unpack}")


def _is_built(path: Path) -> bool:
    return STAMP.is_file() and STAMP.read_text() == fingerprint(ROOT, path, pythons.find())


def _modules(files: Mapping[str, bytes]) -> dict[str, bytes]:
    return {name: data for name, data in files.items() if name.endswith(".py")}


if __name__ == "__main__":
    main()
