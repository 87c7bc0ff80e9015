"""The contract, asked of what is at any address.

python -m tests.contract URL: the application of `tests/contract/function` is there. --websocket
and --function say how else it is reached; the other options say what a client cannot rely on there.

python -m tests.contract URL --framework NAME: the example of that framework is there, and its row
of the matrix is asked for (`frameworks.py`).

Prints a line for each check, and ends with status 1 if one failed.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from typing import NoReturn

from tests.contract import frameworks
from tests.contract.checks import UNLIMITED, Target, contract_of
from tests.contract.invoking import invoker
from tests.matrix.frameworks import FRAMEWORKS
from tests.reasons import reason

ROWS = {each.name: each for each in FRAMEWORKS}


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run every check."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.contract",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("url", help="where the application's root is; '' for a WebSocket API")
    parser.add_argument("--websocket", default="", help="the address of a WebSocket API")
    parser.add_argument("--function", help="the function's name, for events by Invoke")
    parser.add_argument("--lambda-api", default="", help="of `lamella run`; else it is AWS's")
    parser.add_argument("--framework", choices=ROWS, help="whose example is there")
    parser.add_argument("--buffered", action="store_true", help="nothing is streamed there")
    parser.add_argument("--waits", action="store_true", help="clients wait for background work")
    parser.add_argument("--last-value", action="store_true", help="of headers of one name, too")
    parser.add_argument("--max-request", type=int, default=UNLIMITED, help="bytes of a body")
    parser.add_argument("--max-answer", type=int, default=UNLIMITED, help="bytes of a body")
    options = parser.parse_args(arguments)
    if options.framework is not None:
        client = frameworks.HttpClient(options.url, streamed=not options.buffered)
        report(asyncio.run(frameworks.run(client, ROWS[options.framework])))
    by_invoke = invoker(options.function, options.lambda_api) if options.function else nullcontext()
    with by_invoke as send:
        target = Target(
            options.url.rstrip("/"),
            streams=not options.buffered,
            background=not options.waits,
            root_path=None,
            max_request=options.max_request,
            max_answer=options.max_answer,
            repeats=not options.last_value,
            challenge="",
            websocket=options.websocket,
            invoke=send,
        )
        results = run(target)
    report(results)


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
