"""What a client sent, through a front door's event and a codec, as the application gets it.

The front doors of the local Lambda and the codecs share no code: two independent readings of
AWS's formats, which have to agree. Where a source loses something, the test says what.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, unquote_to_bytes

import pytest

from lamella.front_doors import (
    FrontDoor,
    FunctionUrl,
    HttpApi,
    HttpRequest,
    Lattice,
    LoadBalancer,
    RestApi,
)
from lamella.sources import registry
from lamella.types import Request
from tests.sources.builders import header


@dataclass(frozen=True)
class Door:
    """A front door, the source its events are to be taken for, and what is in front of paths."""

    door: FrontDoor
    source: str
    prefix: str = ""


DOORS = {
    "url": Door(FunctionUrl(), "url"),
    "http": Door(HttpApi(), "http"),
    "http-stage": Door(HttpApi("dev"), "http", "/dev"),
    "rest": Door(RestApi(), "rest", "/prod"),
    "rest-base": Door(RestApi("prod", "/shop"), "rest", "/shop"),
    "alb": Door(LoadBalancer(), "alb"),
    "alb-multi-value": Door(LoadBalancer(multi_value=True), "alb"),
    "lattice": Door(Lattice(), "lattice"),
    "lattice-v1": Door(Lattice(version=1), "lattice-v1"),
}

pytestmark = pytest.mark.parametrize("name", DOORS)


def through(name: str, path: str = "/x", query: str = "", **fields: Any) -> Request:
    """The request that a codec reads out of a front door's event for the client's request."""
    at = DOORS[name]
    sent = {"headers": [("host", "h.example")], "method": "GET", **fields}
    made = at.door.event(HttpRequest(raw_path=at.prefix + path, query=query, **sent))
    event = json.loads(json.dumps(made))
    source = registry.find(event)
    assert source.name == at.source
    return registry.load(source).decode(event)


PATHS = """
    / /x /x/ /a%20b /a%2Fb /a%252Fb /% /a%zz /%FF /%C3%A9 //x /a//b/ /a+b /a%3Fb /a;b=c /%25
    /{id} /prod /shop/x /dev/x
"""
QUERIES = """
    a a= a=1&a=2 a=2&b=0&a=1 a=b+c a=b%2Bc a=50%25 a=%2541 a=%26x&b=%3D a=b=c &&a=1 a=%23
    %2B=1 q=%C3%A9 %5Bk%5D=%7B%7D
"""


@pytest.mark.parametrize("path", PATHS.split())
def test_paths(name: str, path: str) -> None:
    request = through(name, path)
    at = DOORS[name]
    whole = at.prefix + path
    assert request.root_path == at.prefix
    if at.source == "http":  # it decodes the path, and cuts it at a question mark
        assert request.path == unquote(whole).partition("?")[0]
        assert unquote(request.raw_path.decode()) == request.path
    else:
        assert request.path == unquote(whole)
        assert request.raw_path == whole.encode()


def decoded(query: str | bytes) -> list[tuple[bytes, bytes]]:
    """Parameters as a form parser reads them, sorted by name: maps lose the order of names."""
    text = query if isinstance(query, str) else query.decode("ascii")
    parts = [part.replace("+", "%20").partition("=") for part in text.split("&") if part]
    pairs = [(unquote_to_bytes(key), unquote_to_bytes(value)) for key, _, value in parts]
    return sorted(pairs, key=lambda pair: pair[0])


@pytest.mark.parametrize("query", QUERIES.split())
def test_queries(name: str, query: str) -> None:
    request = through(name, query=query)
    if DOORS[name].source in ("url", "http", "lattice-v1"):
        assert request.query_string == query.encode(), "as sent, to the byte"
    elif name == "alb":  # of several values the last one only
        assert decoded(request.query_string) == sorted(dict(decoded(query)).items())
    else:
        assert decoded(request.query_string) == decoded(query)


def test_queries_that_are_not_utf_8(name: str) -> None:
    lost = DOORS[name].source == "rest"  # it decodes, and JSON has no such text
    expected = "\ufffd".encode() if lost else b"\xff"
    assert decoded(through(name, query="a=%FF").query_string) == [(b"a", expected)]


def test_headers(name: str) -> None:
    sent = [
        ("host", "h.example:8443"),
        ("accept", "*/*"),
        ("cookie", "a=1; b=2"),
        ("x-probe", "first"),
        ("x-probe", "second, third"),
        ("x-city", "Córdoba"),
    ]
    request = through(name, headers=sent)
    for plain in sent[:3]:
        assert header(request, plain[0].encode()) == [plain[1].encode()]
    assert header(request, b"x-city") == ["Córdoba".encode()]
    values = b",".join(header(request, b"x-probe")).replace(b", ", b",")
    assert values == (b"second,third" if name == "alb" else b"first,second,third")
    assert request.server == ("h.example", 8443)


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json", '{"unicode":"λ"}'.encode()),
        ("text/plain", b"a\r\nb"),
        ("application/x-www-form-urlencoded", b"a=1&b=%26+c"),
        ("multipart/form-data; boundary=B", b"--B\r\n\r\n\x00\xff\r\n--B--\r\n"),
        ("application/octet-stream", bytes(range(256))),
        ("text/plain; charset=latin-1", b"\xe9"),
        ("text/plain", b""),
    ],
)
@pytest.mark.parametrize("method", ["POST", "PATCH"])
def test_bodies(name: str, method: str, content_type: str, body: bytes) -> None:
    headers = [("host", "h"), ("content-type", content_type), ("content-length", str(len(body)))]
    request = through(name, method=method, headers=headers, body=body)
    assert (request.method, request.body) == (method, body)


def test_the_client_and_the_scheme(name: str) -> None:
    request = through(name, client_ip="203.0.113.7", scheme="https", port=443)
    assert request.client == ("203.0.113.7", 0)
    assert (request.scheme, request.http_version) == ("https", "1.1")
