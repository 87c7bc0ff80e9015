"""Check a layer's zip against a rebuild from this checkout: `python -m layer.verify ZIP`.

Exit status: 0 when it holds what this checkout builds, 1 when it does not or that cannot be
told here, 2 for wrong arguments. Needs Python 3.11 or later with pip, and the package's own reader
of zips: `make verify` runs it with PYTHONPATH=src, where nothing is installed.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from lamella.local.machine.layer import LayerError
from lamella.tools.layer import contents
from lamella.tools.layer.contents import Contents
from layer import BuildError, archive, build, comparison, containers, pythons
from layer.comparison import Difference
from layer.pythons import Python

SHOWN = 3
"""How many names are shown of those that differ for the same reason."""


def verify(path: Path, root: Path, image: str | None = None) -> tuple[str, bool]:
    """Compare the layer in the zip at `path` with one that is built from `root` now.

    Returns what came out, for people, and whether they are the same. The rebuild takes the
    minors whose bytecode the zip has; those that this machine lacks come from the container
    `image`, where one is named. Raises LayerError when `path` is no layer, and BuildError when the
    build fails.
    """
    published = contents.read(path)
    with tempfile.TemporaryDirectory(prefix="lamella-") as folder:
        rebuilt_zip = Path(folder, "rebuilt.zip")
        archive.write(build.content(root, _interpreters(published, image)), rebuilt_zip)
        rebuilt = contents.read(rebuilt_zip)
        digests = _sha256(path), _sha256(rebuilt_zip)
    differences = comparison.compare(published, rebuilt)
    lines = [f"given    {digests[0]}  {path}", f"rebuilt  {digests[1]}"]
    if differences:
        count = f"{len(differences)} of {len(published.files)} files differ or cannot be compared"
        return "\n".join([*lines, f"differs  {count}:", *_listing(differences)]), False
    same = (
        "byte for byte"
        if digests[0] == digests[1]
        else ("file by file; only the packing differs, as it does with another zlib")
    )
    return "\n".join([*lines, f"verified {len(published.files)} files, {same}"]), True


def main(argv: list[str] | None = None) -> int:
    """Print what `verify` says; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m layer.verify",
        description="Check a layer's zip against a rebuild from this checkout.",
    )
    parser.add_argument("zip", type=Path, help="the layer's zip file")
    parser.add_argument(
        "--bytecode", choices=["here", "docker"], default="here",
        help="docker: compile in containers for the minors that this machine lacks",
    )  # fmt: skip
    parser.add_argument("--bytecode-image", default=containers.IMAGE, metavar="IMAGE")
    options = parser.parse_args(argv)
    image = options.bytecode_image if options.bytecode == "docker" else None
    try:
        words, same = verify(options.zip, build.ROOT, image)
    except (BuildError, LayerError) as error:
        print(error, file=sys.stderr)
        return 1
    print(words)
    return 0 if same else 1


def _interpreters(published: Contents, image: str | None) -> list[Python]:
    wanted = published.manifest["bytecode"]
    found = [python for python in pythons.find() if python.minor in wanted]
    if image:
        here = {python.minor for python in found}
        found += containers.find((minor for minor in wanted if minor not in here), image)
    return found


def _listing(differences: Iterable[Difference]) -> list[str]:
    by_reason: dict[str, list[str]] = {}
    for difference in differences:
        by_reason.setdefault(difference.why, []).append(difference.name)
    lines = []
    for why, names in by_reason.items():
        more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
        lines += [f"  {', '.join(names[:SHOWN])}{more}", f"      {why}"]
    return lines


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


if __name__ == "__main__":
    sys.exit(main())
