"""What a warm invocation costs above the floor, by part: `python -m benchmarks.parts`.

The whole and the floor are processes, measured in turn. The parts are functions of the layer,
called in this process with what they get in a bare invocation. The fastest run of each counts.
What is left over is the rest: asyncio's event loop and sockets, the task with its context, the
application, its deadline, and what it leaves behind.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import measures, report, site
from benchmarks.api import TAKEN
from benchmarks.environment import invocation_headers
from benchmarks.measures import BARE, FULL, QUICK
from benchmarks.run import alternate
from benchmarks.ways import BOOTSTRAP, FLOOR, Site

CALLS, RUNS = 2000, 15


def microseconds(call: Callable[[], object]) -> float:
    """CPU of one call, in the fastest of `RUNS` runs of `CALLS` calls."""

    def run() -> float:
        before = time.process_time_ns()
        for _ in range(CALLS):
            call()
        return (time.process_time_ns() - before) / CALLS / 1000

    return min(run() for _ in range(RUNS))


def parts(opt: Path) -> dict[str, float]:
    """Microseconds of each part, with the layer's modules."""
    sys.path.insert(0, f"{opt}/python")

    def module(name: str) -> Any:
        return importlib.import_module(f"lamella.{name}")

    data = measures.request(BARE)
    event = json.loads(data)
    head = b"HTTP/1.1 %b\r\nContent-Type: application/json\r\n%bContent-Length: %d\r\n\r\n%b"
    replies = [
        memoryview(head % (b"200 OK", invocation_headers(1), len(data), data)),
        memoryview(head % (b"202 Accepted", b"", len(TAKEN), TAKEN)),
    ]
    reader = module("http1").ReplyReader()
    client, ric = module("runtime.client"), module("runtime.ric")
    codec = module("sources.function_url")
    invocation = client.read_next(reader.feed(replies[0]))
    app = importlib.import_module("benchmarks.functions.bare").app
    service = module("service").Service(app, module("settings").from_arguments({}))
    current = module("invocation").Invocation(event, None, None, data)
    preparation = module("sources.preparation").Preparation()
    answer = module("types").Response(
        200, [(b"content-type", b"application/json")], measures.BODIES[BARE]
    )
    result = codec.encode(answer, event, ())
    runtime = client.RuntimeClient("127.0.0.1:9001", print)
    runtime._connection = _Nowhere()
    checked, encoded = module("asgi.http").checked_headers, module("response.wire").encode_result

    def read_replies() -> None:
        client.read_next(reader.feed(replies[0]))
        reader.feed(replies[1])

    def answered() -> None:
        checked(answer.headers)
        codec.encode(answer, event, ())

    request = microseconds(lambda: preparation.prepare(codec.decode(event)))
    return {
        "the Runtime API's two replies": microseconds(read_replies),
        "the context object": microseconds(lambda: ric.lambda_context(invocation, 0)),
        "the event's request": request,
        "scope, cycle and sink": microseconds(lambda: service.open(current, None)) - request,
        "the response's headers and body": microseconds(answered),
        "the result as JSON": microseconds(lambda: encoded(result)),
        "the head of its POST": microseconds(lambda: runtime.respond(invocation, b"{}")),
    }


class _Nowhere:
    """A connection that takes requests."""

    def request(self, data: bytes, answered: object) -> None:
        """Take it."""


def table(place: Site, rounds: int) -> str:
    """The parts as shares of a warm invocation, as a Markdown table."""
    counts = QUICK if rounds < 3 else FULL
    event = measures.request(BARE)

    def measure(way: str) -> tuple[float]:
        return (measures.warm(place, way, BARE, counts, event),)

    (figures,) = alternate("parts", (FLOOR, BOOTSTRAP), rounds, measure)
    whole, floor = min(figures[BOOTSTRAP]), min(figures[FLOOR])
    found = {"the floor: sockets, and the event's JSON": floor, **parts(place.opt)}
    found["the rest"] = whole - sum(found.values())
    lines = ["| part | share of a warm invocation |", "|---|---|"]
    lines += [f"| {name} | {cost / whole:.2f} |" for name, cost in found.items()]
    return "\n".join(lines)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.parts", description=__doc__)
    parser.add_argument("--layer", type=Path, default=site.LAYER)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="put the table in this page")
    options = parser.parse_args()
    site.use_one_cpu()
    with tempfile.TemporaryDirectory(prefix="lamella-parts-") as folder:
        place = site.prepare(sys.executable, options.layer, Path(folder))
        text = table(place, options.rounds)
        print(text)
    if options.markdown:
        text = f"Python {place.minor}, {report.today()}\n\n{text}\n"
        report.replace_results(options.markdown, text, "parts")


if __name__ == "__main__":
    main()
