"""`python -m tests.matrix`: run the matrix, write docs/frameworks and print the tables.

Eight minutes on two cores with four Pythons, half of that once the packages are there.
`python -m tests.matrix --stored` runs nothing: the tables of the last run.
"""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from layer import archive, build, pythons
from layer.pythons import Python
from tests.e2e.packages import USUAL
from tests.matrix import table
from tests.matrix.frameworks import FRAMEWORKS, Framework
from tests.matrix.function import Function
from tests.matrix.run import failed, run, run_once


def main() -> None:
    """Run, unless the stored results are to do, and write the tables."""
    if "--stored" not in sys.argv[1:]:
        table.RESULTS.write_text(json.dumps(run_all(), indent=1, ensure_ascii=False) + "\n")
    results = table.load()
    table.PAGE.write_text(table.in_page(table.PAGE.read_text(), table.render(results)))
    print(table.summary(results))


def run_all() -> table.Results:
    """Every framework on every Python that is found here."""
    found = pythons.find()
    with tempfile.TemporaryDirectory(prefix="lamella-matrix-") as folder:
        place = Path(folder)
        build.build(build.ROOT, place / "layer.zip")
        archive.unpack(place / "layer.zip", place / "opt")
        frameworks = {}
        for framework in FRAMEWORKS:
            print(framework.title, end=" ", flush=True, file=sys.stderr)
            frameworks[framework.name] = _results(framework, found, place)
    print("\n", file=sys.stderr)
    return {"python": USUAL.minor, "frameworks": frameworks}


def _results(framework: Framework, found: list[Python], place: Path) -> dict[str, Any]:
    folder = place / framework.name
    record = asyncio.run(run(Function(framework, USUAL, place / "opt", folder / "newest")))
    same = framework.at(record["version"])
    record["pythons"] = {
        python.minor: _on_python(same, python, place / "opt", folder / python.minor)
        for python in found
        if python != USUAL
    }
    record["pythons"][USUAL.minor] = {"failed": record["failed"]}
    return record


def _on_python(framework: Framework, python: Python, opt: Path, folder: Path) -> dict[str, Any]:
    """What failed there, or why pip `refused`."""
    try:
        function = Function(framework, python, opt, folder)
    except subprocess.CalledProcessError:
        return {"refused": _refusal(framework, python)}
    return {"failed": failed(asyncio.run(run_once(function)))}


def _refusal(framework: Framework, python: Python) -> str:
    """What pip says of the version that was asked for, or else its last error."""
    command = [python.path, "-m", "pip", "install", "--dry-run", *framework.requirements]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    for requirement in framework.requirements:
        version = requirement.rpartition("==")[2]
        if found := re.search(rf"\b{re.escape(version)} Requires-Python ([^;,\s]+)", done.stderr):
            return f"needs Python {found[1]}"
    errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR: ")]
    return errors[-1].removeprefix("ERROR: ") if errors else "pip gave no reason"


if __name__ == "__main__":
    main()
