"""`python -m tests.contract URL`: the contract against the application of `function/` anywhere.

With `--framework NAME` the example of that framework is there, and its row of the matrix is asked
for (`frameworks.py`). Prints a line for each check, and ends with status 1 if one failed.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from typing import NoReturn

from tests.contract import frameworks
from tests.contract.checks import Target, contract_of
from tests.matrix.frameworks import FRAMEWORKS
from tests.reasons import reason


def main() -> None:
    """Run every check."""
    parser = argparse.ArgumentParser(prog="python -m tests.contract", description=__doc__)
    parser.add_argument("url", help="where the application's root is")
    parser.add_argument("--buffered", action="store_true", help="nothing is streamed there")
    parser.add_argument("--max-answer", type=int, default=20_000_000, help="bytes of a body")
    parser.add_argument("--websocket", default="", help="the address of a WebSocket API")
    rows = {each.name: each for each in FRAMEWORKS}
    parser.add_argument("--framework", choices=rows, help="whose example is there")
    options = parser.parse_args()
    if options.framework is not None:
        row, streamed = rows[options.framework], not options.buffered
        report(asyncio.run(frameworks.run(options.url, row, streamed=streamed)))
    target = Target(
        options.url.rstrip("/"),
        streams=not options.buffered,
        root_path=None,
        max_answer=options.max_answer,
        challenge="",
        websocket=options.websocket,
    )
    report(run(target))


def report(results: dict[str, str]) -> NoReturn:
    """Print each check's name with why it failed, and end."""
    for name, why in results.items():
        print(f"{'failed' if why else 'passed'}  {name}{f': {why}' if why else ''}")
    sys.exit(any(results.values()))


def run(target: Target) -> dict[str, str]:
    """The name of each check that the target can be asked for, and why it failed, or ""."""
    results = {}
    for name, check in contract_of(target).items():
        try:
            check(target)
        except Exception as error:  # whatever a network may do is the check's failure
            results[name] = reason(error)
        else:
            results[name] = ""
    return results


if __name__ == "__main__":
    main()
