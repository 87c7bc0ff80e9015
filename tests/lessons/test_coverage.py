"""The faults and wishes that other adapters' users met, by number, and that each has its test.

The numbers are in the tests' ids (`test_E17_...`, `id="E7-D14-ipv6"`). E: faults of Mangum 0.22.0
that were reproduced; D: what its users, and those of its peers, asked for or ran into. Where
Mangum's tracker has an issue, its number is given.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]

LESSONS = {
    # Requests
    "E1": "a base path matches only at a segment border",
    "E2": "a base path has one spelling, and what is left of a path is never empty",
    "E3": "a base path gives a root_path, for every event source",
    "E4": "an HTTP API's path is decoded already, all others are not",
    "E5": "raw_path is bytes, as sent",
    "E6": "Lambda@Edge's path is decoded",
    "E7": "IPv6 hosts and odd ports do not fail a request",
    "E8": "the default port is the scheme's",
    "E9": "the client is the last X-Forwarded-For entry, or nobody",
    "E10": "duplicate headers stay apart, cookies are joined as cookies",
    "E11": "Lambda@Edge's duplicate headers stay",
    "E12": "header values are latin-1",
    "E13": "fields of an event may be null or absent",
    "E14": "decoded parameters are encoded once; a raw query string is better",
    "E15": "raw_path and query_string are ASCII",
    "E16": "the scheme is the first of a list",
    "E17": "bad base64 is a 400",
    "E18": "the HTTP version is the event's",
    "E19": "VPC Lattice is no HTTP API, an authorizer's event no request",
    "E20": "a body that CloudFront cut off is not passed on as if whole",
    # Responses
    "E21": "excluded headers never leave, cookies and every source included",
    "E22": "no content-type is invented",
    "E23": "response headers are latin-1 bytes, and checked",
    "E24": "an application that answers nothing, or half, is a 500 that says so",
    "E25": "Lambda@Edge's binary bodies have bodyEncoding",
    "E26": "a second content-type does not make text binary",
    "E27": "text or base64: parameters, case and a missing type",
    "E28": "two www-authenticate: apart where a source allows it",
    "E29": "300 cookies and long header names on a load balancer",
    "E30": "streams stream",
    # The life of an environment
    "E31": "one lifespan for all requests",
    "E32": "a failing shutdown takes no answer back",
    "E33": "lifespan on refuses to start",
    "E34": "a startup that never ends is cut off",
    "E35": "receive() after the response disconnects, every time",
    "E36": "SystemExit and its like end the environment, exceptions are a 500",
    "E37": "tasks do not run on in somebody else's request",
    "E38": "any asyncio.run(), thread or running loop around the handler",
    "E39": "no DeprecationWarning for a missing loop",
    "E40": "spec_version 2.4 or later, and an OSError once the client is gone",
    "E41": "one quiet line where an application has no lifespan",
    "E42": "the deadline is a 504",
    "E43": "text_types adds; the handler is a function with a name",
    # Wishes
    "D1": "streaming and server-sent events (#299)",
    "D2": "lifespan once (#342)",
    "D3": "MCP servers live through the second request",
    "D4": "one loop for all requests (#361)",
    "D5": "no current event loop (#347)",
    "D6": "errors in Lambda's own metrics (#285)",
    "D7": "background tasks run to their end (#214)",
    "D8": "root_path of stage and base path (#147)",
    "D9": "the public host from a trusted header (#307)",
    "D10": "Sanic: raw_path, and paths without the stage (#300)",
    "D11": "events that are not HTTP (#345)",
    "D12": "WebSocket events are not served as HTTP (#132)",
    "D13": "a base path behind a load balancer (#238)",
    "D14": "x-forwarded-port: 443,80 (#303)",
    "D15": "text types that are not text/* (#275)",
    "D16": "VPC Lattice (#319)",
    "D17": "headers that CloudFront refuses (#262)",
    "D18": "state is alive during a request (#243)",
    "D19": "each request has its own copy of the state (#323)",
    "D20": "load balancers: queries encoded once, cookies kept (#178, #185)",
    "D21": "payload 2.0: cookies in both directions (#215)",
    "D22": "null headers and queries (#69)",
    "D23": "percent-encoding by event source",
    "D24": "Powertools reads the handler's name (#222)",
    "D25": "nothing is imported before it is needed (#252)",
    "D26": "excluded headers (#202)",
    "D27": "every framework's application passes type checkers (#247)",
    "D28": "tracebacks go through logging (#339)",
    "D30": "uploads and forms arrive whole (#146)",
    "D31": "an event is read once (#296)",
    "D32": "a response that is too large says so",
    "D33": "a handler can be called from a script (#48)",
    "D34": "a request that takes too long does not take the environment with it",
    "D37": "Function URLs (#254)",
}

NOT_TESTED_HERE = {
    "D29": "custom handlers: a source is a file and a row, see CONTRIBUTING.md",
    "D35": "SnapStart has an issue of its own",
    "D36": "managed instances have an issue of their own",
    "D38": "a how-to for Django: documentation",
    "D39": "other clouds: out of scope",
    "D40": "release discipline: no behaviour",
}


def ids() -> Iterator[str]:
    """Everything in the test sources that becomes a test's id."""
    for path in sorted(TESTS.rglob("test_*.py")):
        source = path.read_text(encoding="utf-8")
        yield from re.findall(r"def (test_\w+)", source)
        if path != Path(__file__):
            yield from re.findall(r'"([DE]\d+-[^"]*)"', source)


@cache
def numbers() -> set[str]:
    return {part for name in ids() for part in re.split(r"[-_]", name)}


@pytest.mark.parametrize("lesson", LESSONS)
def test_each_lesson_has_a_test(lesson: str) -> None:
    assert lesson in numbers(), f"no test's id has {lesson}: {LESSONS[lesson]}"


def test_what_is_not_tested_here_is_not() -> None:
    assert not numbers() & NOT_TESTED_HERE.keys(), "move it up"


def test_every_number_is_in_one_of_the_lists() -> None:
    every = {f"E{n}" for n in range(1, 44)} | {f"D{n}" for n in range(1, 41)}
    assert LESSONS.keys() | NOT_TESTED_HERE.keys() == every
    assert not LESSONS.keys() & NOT_TESTED_HERE.keys()
    found = {number for number in numbers() if re.fullmatch(r"[DE]\d+", number)}
    assert found <= every, "a number that is no lesson"
