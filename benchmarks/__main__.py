"""The command: `python -m benchmarks`."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks import BenchmarkError, preparation, report, run, site
from benchmarks.measures import FULL, QUICK
from benchmarks.report import Report

PREPARATION = "preparation"
"""The part whose columns are no ways, but what was done to the function."""


def main(argv: list[str] | None = None) -> None:
    """Measure, print the tables, and write them where the options say."""
    options = _parser().parse_args(argv)
    try:
        found = site.all_pythons(site.ROOT / ".cache") if options.all_pythons else [options.python]
        machine = report.machine()
        site.use_one_cpu()
        reports = [_measure(python, machine, options) for python in found]
        text = "\n".join(each.text() for each in reports)
        print(text)
        if options.json:
            options.json.write_text(json.dumps([each.as_json() for each in reports], indent=1))
        if options.markdown:
            report.replace_results(options.markdown, text)
    except BenchmarkError as error:
        raise SystemExit(str(error)) from None


def _measure(python: str, machine: dict[str, Any], options: argparse.Namespace) -> Report:
    versions = site.versions(python)
    with tempfile.TemporaryDirectory(prefix="lamella-bench-") as folder:
        place = site.prepare(python, options.layer, Path(folder), options.lwa, options.uvloop)
        if not site.has_bytecode(place):
            print(f"The layer has no bytecode for {place.minor}: it starts slowly", file=sys.stderr)
        if place.web_adapter is None:
            print("Web Adapter is left out: --lwa FILE names its binary", file=sys.stderr)
        if place.uvloop is None:
            print("uvloop is left out: --uvloop FOLDER names where it is", file=sys.stderr)
        counts, parts = QUICK if options.quick else FULL, options.only or [*run.PARTS, PREPARATION]
        rows = run.rows(place, counts, [part for part in parts if part != PREPARATION])
        prepared = []
        if PREPARATION in parts:
            prepared = preparation.rows(place, counts, Path(folder, "functions"))
    rows.append(run.layer_row(options.layer.stat().st_size))
    python = ".".join(map(str, place.version))
    return Report(python, versions, rows, prepared, report.today(), machine)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure Lamella beside Mangum under awslambdaric, on this machine.",
    )
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--python", default=sys.executable, help="the interpreter to measure with")
    which.add_argument(
        "--all-pythons", action="store_true", help="measure with every minor found here"
    )
    parser.add_argument("--quick", action="store_true", help="a smoke run: figures mean nothing")
    parser.add_argument(
        "--only", action="append", choices=[*run.PARTS, PREPARATION], help="only these parts"
    )
    parser.add_argument("--layer", type=Path, default=site.LAYER, help="the layer's zip file")
    parser.add_argument(
        "--lwa", type=Path, metavar="FILE", help="AWS Lambda Web Adapter's binary, with uvicorn"
    )
    parser.add_argument(
        "--uvloop", type=Path, metavar="FOLDER", help="where pip has installed uvloop"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures here")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="put the tables in this page")
    return parser


if __name__ == "__main__":
    main()
