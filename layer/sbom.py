"""Put the layer's bill of materials beside its zip: `python -m layer.sbom [ZIP]`.

The same bytes as lamella/sbom.cdx.json inside, for tools that do not open the zip.
"""

from __future__ import annotations

import argparse
import zipfile
from pathlib import Path

from layer import BuildError
from layer.build import ZIP
from layer.manifest import SBOM


def beside(path: Path) -> Path:
    """Write the bill of the layer at `path` to a .cdx.json file beside it, and return that.

    Raises BuildError when the zip has none, or is no zip.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            data = archive.read(SBOM)
    except (OSError, KeyError, zipfile.BadZipFile):
        raise BuildError(f"{path} has no {SBOM}. Build the layer anew: make layer") from None
    bill = path.with_suffix(".cdx.json")
    bill.write_bytes(data)
    return bill


def main(argv: list[str] | None = None) -> None:
    """Write the bill and say where it is."""
    parser = argparse.ArgumentParser(prog="python -m layer.sbom", description=__doc__)
    parser.add_argument("zip", type=Path, nargs="?", default=ZIP, help="the layer (%(default)s)")
    try:
        print(f"sbom     {beside(parser.parse_args(argv).zip)}")
    except BuildError as error:
        raise SystemExit(str(error)) from None


if __name__ == "__main__":
    main()
