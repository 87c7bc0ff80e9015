"""The same adversarial request through four event sources, field by field.

Each expectation is checked twice: on the event that AWS really sent (captures/README.md), and on
the inline event of the same shape.
"""

from __future__ import annotations

import pytest

from lamella.sources import registry
from lamella.types import Event, Request
from tests.sources import builders, samples

SOURCES = ("http", "url", "rest", "alb")


@pytest.fixture(params=["inline", "captured"])
def events(request: pytest.FixtureRequest) -> dict[str, Event]:
    """One event for each source, from either place."""
    if request.param == "inline":
        return {name: builders.HTTP_EVENTS[name]() for name in SOURCES}
    return {name: samples.captured(name) for name in SOURCES}


def decoded(events: dict[str, Event], name: str) -> Request:
    event = events[name]
    assert registry.find(event).name == name
    return builders.decode(event)


def host_of(request: Request) -> str:
    (host,) = builders.header(request, b"host")
    return host.decode()


def test_http_api(events: dict[str, Event]) -> None:
    request = decoded(events, "http")
    assert request.method == "POST"
    assert request.path == "/capture/space value"
    assert request.raw_path == b"/capture/space%20value"
    assert request.query_string == builders.QUERY.encode()
    assert request.root_path == ""
    assert request.scheme == "https"
    assert request.http_version == "1.1"
    assert request.server == (host_of(request), 443)
    assert request.client == ("203.0.113.7", 0)
    assert request.body == events["http"]["body"].encode()
    assert builders.header(request, b"cookie") == [b"session=abc123; theme=dark"]
    assert builders.header(request, b"x-voker-probe") == [b"first,second"]
    assert builders.header(request, b"content-type") == [b"application/json"]
    assert len(request.headers) == len(events["http"]["headers"]) + 1  # and the cookie


def test_function_url(events: dict[str, Event]) -> None:
    request = decoded(events, "url")
    assert request.method == "POST"
    assert request.path == "/capture/space value"
    assert request.raw_path == b"/capture/space%20value"
    assert request.query_string == builders.QUERY.encode()
    assert request.root_path == ""
    assert request.scheme == "https"
    assert request.http_version == "1.1"
    assert request.server == (host_of(request), 443)
    assert request.client == ("203.0.113.7", 0)
    assert request.body == events["url"]["body"].encode()
    assert builders.header(request, b"cookie") == [b"session=abc123; theme=dark"]
    assert builders.header(request, b"x-voker-probe") == [b"first,second"]
    assert len(request.headers) == len(events["url"]["headers"])


def test_rest_api(events: dict[str, Event]) -> None:
    request = decoded(events, "rest")
    assert request.method == "POST"
    assert request.path == "/live/capture/space value"
    assert request.raw_path == b"/live/capture/space%20value"
    assert request.root_path == "/live"
    assert request.query_string == (
        b"empty=&encodedPlus=a%2Bb&literalPlus=a%20b"
        b"&redirect=https%3A%2F%2Fexample.com%2Fa%2Fb&repeat=one&repeat=two"
    )
    assert request.scheme == "https"
    assert request.http_version == "1.1"
    assert request.server == (host_of(request), 443)
    assert request.client == ("203.0.113.7", 0)
    assert request.body == events["rest"]["body"].encode()
    assert builders.header(request, b"cookie") == [b"session=abc123; theme=dark"]
    assert builders.header(request, b"x-voker-probe") == [b"first", b"second"]
    assert all(name == name.lower() for name, _ in request.headers)
    assert len(request.headers) == len(events["rest"]["headers"]) + 1  # the probe came twice


def test_alb(events: dict[str, Event]) -> None:
    request = decoded(events, "alb")
    assert request.method == "POST"
    assert request.path == "/capture/space value"
    assert request.raw_path == b"/capture/space%20value"
    assert request.root_path == ""
    assert request.query_string == (
        b"empty=&encodedPlus=a%2Bb&literalPlus=a+b"
        b"&redirect=https%3A%2F%2Fexample.com%2Fa%2Fb&repeat=one&repeat=two"
    )
    assert request.scheme == "http"
    assert request.http_version == "1.1"
    assert request.server == (host_of(request), 80)
    assert request.client == ("203.0.113.7", 0)
    assert request.body == events["alb"]["body"].encode()
    assert builders.header(request, b"cookie") == [b"session=abc123; theme=dark"]
    assert builders.header(request, b"x-voker-probe") == [b"first", b"second"]
    assert len(request.headers) == len(events["alb"]["multiValueHeaders"]) + 1


@pytest.mark.parametrize(
    "event",
    [builders.lattice_event(), builders.lattice_v1_event(), builders.edge_event()],
    ids=["lattice", "lattice-v1", "edge"],
)
def test_the_sources_without_a_capture_say_the_same(event: Event) -> None:
    request = builders.decode(event)
    assert (request.method, request.path) == ("POST", "/capture/space value")
    assert request.raw_path == b"/capture/space%20value"
    assert request.client == ("203.0.113.7", 0)
    assert request.scheme == "https"
    assert request.server == (host_of(request), 443)
    assert b", ".join(builders.header(request, b"x-voker-probe")) == b"first, second"
    assert request.body == builders.BODY.encode()


def test_queries_of_the_sources_without_a_capture() -> None:
    assert builders.decode(builders.lattice_event()).query_string == (
        b"repeat=one&repeat=two&plus=a%2Bb"
    )
    raw = builders.QUERY.encode()
    assert builders.decode(builders.lattice_v1_event()).query_string == raw
    assert builders.decode(builders.edge_event()).query_string == raw


def test_http_api_1_0_hands_a_decoded_path() -> None:
    request = builders.decode(builders.http_v1_event())
    assert request.path == "/capture/space value"
    assert request.raw_path == b"/capture/space%20value"
    assert request.root_path == ""
    assert builders.header(request, b"x-voker-probe") == [b"first", b"second"]
