"""The scope that an application gets of the four events AWS sent, every key of it."""

from __future__ import annotations

from typing import Any

import pytest

from lamella.types import Event, Headers
from tests.sources import builders, samples
from tests.sources.test_samples import CONTEXT, served

SAME: dict[str, Any] = {
    "type": "http",
    "asgi": {"version": "3.0", "spec_version": "2.5"},
    "http_version": "1.1",
    "method": "POST",
    "client": ("203.0.113.7", 0),
    "state": {},
    "extensions": {"http.response.pathsend": {}},
    "aws.context": CONTEXT,
}
AT_THE_ROOT = {
    "path": "/capture/space value",
    "raw_path": b"/capture/space%20value",
    "root_path": "",
}
OF_A_MAP = b"empty=&encodedPlus=a%2Bb&literalPlus="
OF_A_MAP_TOO = b"&redirect=https%3A%2F%2Fexample.com%2Fa%2Fb&repeat=one&repeat=two"

EXPECTED: dict[str, dict[str, Any]] = {
    "http": {
        **AT_THE_ROOT,
        "scheme": "https",
        "query_string": builders.QUERY.encode(),
        "server": ("sjzepsqsu5.execute-api.us-west-2.amazonaws.com", 443),
    },
    "url": {
        **AT_THE_ROOT,
        "scheme": "https",
        "query_string": builders.QUERY.encode(),
        "server": ("2cxn22odiwguak4feg4jtt7cwm0ziblr.lambda-url.us-west-2.on.aws", 443),
    },
    "rest": {
        "path": "/live/capture/space value",
        "raw_path": b"/live/capture/space%20value",
        "root_path": "/live",
        "scheme": "https",
        "query_string": OF_A_MAP + b"a%20b" + OF_A_MAP_TOO,
        "server": ("5h7pqvr9u4.execute-api.us-west-2.amazonaws.com", 443),
    },
    "alb": {
        **AT_THE_ROOT,
        "scheme": "http",
        "query_string": OF_A_MAP + b"a+b" + OF_A_MAP_TOO,
        "server": ("vokerhtt-ALB-4XF8jCVDRJg4-1316758055.us-west-2.elb.amazonaws.com", 80),
    },
}


def expected_headers(source: str, event: Event) -> Headers:
    """The headers that came, with what the source is known to take out put back."""
    given = event["multiValueHeaders" if source in ("rest", "alb") else "headers"]
    pairs = [
        (name.lower().encode(), value.encode())
        for name, held in given.items()
        for value in (held if isinstance(held, list) else [held])
    ]
    if source == "http":
        pairs.append((b"cookie", b"session=abc123; theme=dark"))
    if source == "rest":
        pairs.append((b"content-length", b"66"))
    return pairs


@pytest.mark.parametrize("source", EXPECTED)
def test_the_scope_of_a_captured_event(source: str) -> None:
    event = samples.captured(source)
    result, (scope,) = served(event)
    assert result["statusCode"] == 200
    assert result["body"] == event["body"], "66 bytes, one letter of them outside of ASCII"
    assert scope.pop("aws.event") is event
    assert scope.pop("headers") == expected_headers(source, event)
    assert scope == {**SAME, **EXPECTED[source]}
