"""`python -m tests.contract URL`: the contract against the application of `function/` anywhere.

Prints a line for each check, and ends with status 1 if one failed.
"""

from __future__ import annotations

import argparse
import sys

from tests.contract.checks import Target, contract_of


def main() -> None:
    """Run every check."""
    parser = argparse.ArgumentParser(prog="python -m tests.contract", description=__doc__)
    parser.add_argument("url", help="where the application's root is")
    parser.add_argument("--buffered", action="store_true", help="nothing is streamed there")
    parser.add_argument("--max-answer", type=int, default=20_000_000, help="bytes of a body")
    parser.add_argument("--websocket", default="", help="the address of a WebSocket API")
    options = parser.parse_args()
    target = Target(
        options.url.rstrip("/"),
        streams=not options.buffered,
        root_path=None,
        max_answer=options.max_answer,
        challenge="",
        websocket=options.websocket,
    )
    failed = False
    for name, why in run(target).items():
        print(f"{'failed' if why else 'passed'}  {name}{f': {why}' if why else ''}")
        failed = failed or bool(why)
    sys.exit(failed)


def run(target: Target) -> dict[str, str]:
    """The name of each check that the target can be asked for, and why it failed, or ""."""
    results = {}
    for name, check in contract_of(target).items():
        try:
            check(target)
        except Exception as error:  # whatever a network may do is the check's failure
            results[name] = f"{type(error).__name__}: {error}".splitlines()[0]
        else:
            results[name] = ""
    return results


if __name__ == "__main__":
    main()
