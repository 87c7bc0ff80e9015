"""Results: what each source gets, field by field, and the faults of others by their number."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from lamella.sources import function_url, rest
from lamella.types import Headers
from tests.sources import builders
from tests.sources.builders import encode

HTML = (b"content-type", b"text/html")
COOKIES = [(b"set-cookie", b"a=1; Path=/"), (b"set-cookie", b"b=2")]
VARY = [(b"vary", b"accept"), (b"vary", b"origin")]


@pytest.mark.parametrize("name", ["http", "url"])
def test_D21_payload_2_0_has_a_list_of_cookies(name: str) -> None:
    result = encode(builders.HTTP_EVENTS[name](), 201, [HTML, *COOKIES, *VARY], b"<p>\xc3\xa9")
    assert result == {
        "statusCode": 201,
        "headers": {"content-type": "text/html", "vary": "accept, origin"},
        "cookies": ["a=1; Path=/", "b=2"],
        "body": "<p>é",
        "isBase64Encoded": False,
    }


@pytest.mark.parametrize("name", ["rest", "http-v1"])
def test_payload_1_0(name: str) -> None:
    result = encode(builders.HTTP_EVENTS[name](), 201, [HTML, *COOKIES], b"\xff\x00")
    assert result == {
        "statusCode": 201,
        "headers": {"content-type": "text/html"},
        "multiValueHeaders": {"set-cookie": ["a=1; Path=/", "b=2"]},
        "body": "/wA=",
        "isBase64Encoded": True,
    }


def test_D20_alb_with_multi_value_headers() -> None:
    assert encode(builders.alb_event(), 404, [HTML, *COOKIES], b"no") == {
        "statusCode": 404,
        "statusDescription": "404 Not Found",
        "multiValueHeaders": {
            "content-type": ["text/html"],
            "set-cookie": ["a=1; Path=/", "b=2"],
        },
        "body": "no",
        "isBase64Encoded": False,
    }


def test_alb_without_multi_value_headers() -> None:
    assert encode(builders.alb_single_event(), 299, [HTML, *VARY, *COOKIES], b"") == {
        "statusCode": 299,
        "statusDescription": "299",
        "headers": {
            "content-type": "text/html",
            "vary": "accept, origin",
            "set-cookie": "a=1; Path=/",
            "Set-cookie": "b=2",
        },
        "body": "",
        "isBase64Encoded": False,
    }


def test_alb_reads_multi_value_headers_even_from_a_request_that_had_none() -> None:
    result = encode(builders.alb_event(multiValueHeaders={}), headers=[HTML])
    assert result["multiValueHeaders"] == {"content-type": ["text/html"]}
    assert "headers" not in result


def test_E29_alb_keeps_300_cookies_apart_by_the_case_of_the_name() -> None:
    cookies = [(b"set-cookie", b"c%d=1" % number) for number in range(300)]
    headers = encode(builders.alb_single_event(), headers=cookies)["headers"]
    assert list(headers.values()) == [value.decode() for _, value in cookies]
    assert {name.lower() for name in headers} == {"set-cookie"}


@pytest.mark.parametrize("name", ["lattice", "lattice-v1"])
def test_D16_lattice(name: str) -> None:
    assert encode(builders.HTTP_EVENTS[name](), 200, [HTML, *VARY], b"ok") == {
        "statusCode": 200,
        "headers": {"content-type": "text/html", "vary": "accept, origin"},
        "body": "ok",
        "isBase64Encoded": False,
    }


def test_edge() -> None:
    assert encode(builders.edge_event(), 200, [HTML, *VARY], b"ok") == {
        "status": "200",
        "headers": {
            "content-type": [{"key": "content-type", "value": "text/html"}],
            "vary": [{"key": "vary", "value": "accept"}, {"key": "vary", "value": "origin"}],
        },
        "body": "ok",
        "bodyEncoding": "text",
    }


def test_D17_edge_drops_what_cloudfront_refuses() -> None:
    names = ["content-length", "transfer-encoding", "connection", "via", "x-edge-a", "x-cache"]
    names += ["x-amz-cf-id", "x-amzn-cf-id", "x-accel-buffering", "warning", "keep-alive"]
    headers = [(name.encode(), b"1") for name in names]
    kept = [(b"x-amzn-trace", b"1"), (b"content-encoding", b"identity")]
    result = encode(builders.edge_event(), headers=headers + kept)
    assert list(result["headers"]) == ["x-amzn-trace", "content-encoding"]


@pytest.mark.parametrize("build", builders.HTTP_EVENTS.values(), ids=builders.HTTP_EVENTS)
def test_E22_no_content_type_is_invented(build: Any) -> None:
    result = encode(build(), 204)
    assert "content-type" not in json.dumps(result).lower()
    assert not result.get("body")


@pytest.mark.parametrize("build", builders.HTTP_EVENTS.values(), ids=builders.HTTP_EVENTS)
def test_E23_header_values_are_latin_1(build: Any) -> None:
    value = 'filename="é.txt"'
    result = encode(build(), headers=[(b"content-disposition", value.encode("latin-1"))])
    assert value in json.dumps(result, ensure_ascii=False).replace('\\"', '"')


def test_edge_has_no_body_at_all_where_the_response_has_none() -> None:
    assert encode(builders.edge_event(), 204) == {"status": "204", "headers": {}}


def test_E25_edge_binary_has_a_body_encoding() -> None:
    result = encode(builders.edge_event(), 200, COOKIES, b"\xff")
    assert (result["body"], result["bodyEncoding"]) == ("/w==", "base64")
    assert "isBase64Encoded" not in result
    assert [cookie["value"] for cookie in result["headers"]["set-cookie"]] == ["a=1; Path=/", "b=2"]


def test_E26_a_second_content_type_does_not_make_text_binary() -> None:
    json_type = (b"content-type", b"application/json")
    result = encode(builders.rest_event(), headers=[json_type, json_type], body=b"{}")
    assert (result["body"], result["isBase64Encoded"]) == ("{}", False)


@pytest.mark.parametrize(
    ("content_type", "body", "text_types", "is_base64"),
    [
        pytest.param("application/octet-stream;note=text/", b"a", (), True, id="E27-parameters"),
        pytest.param("Application/JSON", b"{}", (), False, id="E27-case"),
        pytest.param("IMAGE/PNG", b"a", (), True, id="E27-case-of-binary"),
        pytest.param(None, b"{}", (), False, id="E27-missing-but-utf-8"),
        pytest.param(None, b"\xff", (), True, id="E27-missing-and-not-utf-8"),
        pytest.param("text/plain; charset=latin-1", b"\xe9", (), True, id="A3-not-utf-8"),
        pytest.param("application/problem+json", b"{}", (), False, id="D15-problem+json"),
        pytest.param("application/geo+json", b"{}", (), False, id="D15-geo+json"),
        pytest.param("application/x-ndjson", b"{}", (), False, id="D15-ndjson"),
        pytest.param("application/yaml", b"a: 1", (), False, id="D15-yaml"),
        pytest.param("application/x-www-form-urlencoded", b"a=1", (), False, id="D15-form"),
        pytest.param("image/svg+xml", b"<svg/>", (), False, id="D15-svg"),
        pytest.param("image/png", b"png", (), True, id="image"),
        pytest.param("font/woff2", b"f", (), True, id="font"),
        pytest.param("video/mp4", b"v", (), True, id="video"),
        pytest.param("application/zip", b"PK", (), True, id="zip"),
        pytest.param("application/vnd.x+protobuf", b"p", (), True, id="suffix"),
        pytest.param("image/x-ascii", b"a", ("image/x-ascii",), False, id="added-type"),
        pytest.param("image/x-ascii", b"a", ("Image/*",), False, id="added-kind"),
        pytest.param("application/x+cbor", b"a", ("+cbor",), False, id="added-suffix"),
        pytest.param("image/x-ascii", b"\xff", ("image/*",), True, id="added-but-not-utf-8"),
        pytest.param(
            "application/json", b"{}", ("text/x",), False, id="E43-text-types-add-to-the-rule"
        ),
        pytest.param("image/png", b"", (), False, id="A3-empty-is-never-base64"),
    ],
)
def test_text_or_base64(
    content_type: str | None, body: bytes, text_types: tuple[str, ...], is_base64: bool
) -> None:
    headers = [(b"content-type", content_type.encode())] if content_type else []
    result = encode(builders.url_event(), 200, headers, body, text_types)
    assert result["isBase64Encoded"] is is_base64
    shown = base64.b64encode(body) if is_base64 else body
    assert result["body"].encode() == shown


@pytest.mark.parametrize(
    ("encoding", "is_base64"), [(b"gzip", True), (b"Identity", False), (b"", False)]
)
def test_a_content_encoding_makes_a_body_binary(encoding: bytes, is_base64: bool) -> None:
    headers = [(b"content-type", b"text/plain"), (b"content-encoding", encoding)]
    result = encode(builders.url_event(), 200, headers, b"a", ("text/*",))
    assert result["isBase64Encoded"] is is_base64


BUILDERS = {**builders.HTTP_EVENTS, "alb-single": builders.alb_single_event}


def test_E29_a_long_name_sent_twice_on_alb() -> None:
    name = b"x" * 1200
    headers = encode(builders.alb_single_event(), headers=[(name, b"1"), (name, b"2")])["headers"]
    assert headers == {name.decode(): "1, 2"}


CHALLENGES = [(b"www-authenticate", b"Bearer"), (b"www-authenticate", b'Basic realm="a, b"')]


@pytest.mark.parametrize("name", BUILDERS)
def test_E28_two_challenges(name: str) -> None:
    """Apart where a source has lists, else joined, which is all that a map of strings allows."""
    _, headers, _ = at_the_client(encode(BUILDERS[name](), 401, CHALLENGES))
    apart = [("www-authenticate", 'Basic realm="a, b"'), ("www-authenticate", "Bearer")]
    joined = [("www-authenticate", 'Bearer, Basic realm="a, b"')]
    assert headers == (apart if name in ("rest", "http-v1", "alb", "edge") else joined)


SINGLETONS = {
    "content-type": "text/html",
    "content-length": "2",
    "location": "/x, y",
    "etag": '"1"',
    "last-modified": "Fri, 10 Jul 2026 19:19:04 GMT",
    "date": "Fri, 10 Jul 2026 19:19:04 GMT",
    "expires": "0",
    "retry-after": "5",
    "server": "s",
    "age": "1",
    "content-disposition": "inline",
    "content-location": "/x",
    "content-range": "bytes 0-1/2",
    "access-control-allow-origin": "*",
    "access-control-allow-credentials": "true",
    "access-control-max-age": "5",
    "strict-transport-security": "max-age=1",
}


@pytest.mark.parametrize("name", ["url", "http", "lattice", "lattice-v1", "alb-single"])
@pytest.mark.parametrize("header", SINGLETONS)
def test_a_header_that_is_no_list_is_not_joined(name: str, header: str) -> None:
    pairs = [(header.encode(), SINGLETONS[header].encode()), (header.encode(), b"other")]
    assert encode(BUILDERS[name](), headers=pairs)["headers"] == {header: SINGLETONS[header]}
    if name == "url":
        assert function_url.prelude(200, pairs)["headers"] == {header: SINGLETONS[header]}


@pytest.mark.parametrize("name", BUILDERS)
def test_transfer_encoding_is_the_sources_own_to_set(name: str) -> None:
    result = encode(BUILDERS[name](), headers=[HTML, (b"transfer-encoding", b"chunked")])
    assert at_the_client(result)[1] == [("content-type", "text/html")]


def test_prelude_of_a_function_url() -> None:
    headers = [HTML, *COOKIES, *VARY, (b"transfer-encoding", b"chunked")]
    assert function_url.prelude(200, headers) == {
        "statusCode": 200,
        "headers": {"content-type": "text/html", "vary": "accept, origin"},
        "cookies": ["a=1; Path=/", "b=2"],
    }
    assert function_url.prelude(204, []) == {"statusCode": 204, "headers": {}}


def test_prelude_of_a_rest_api() -> None:
    assert rest.prelude(200, [HTML, *COOKIES, (b"transfer-encoding", b"chunked")]) == {
        "statusCode": 200,
        "headers": {"content-type": "text/html"},
        "multiValueHeaders": {"set-cookie": ["a=1; Path=/", "b=2"]},
    }


def at_the_client(result: dict[str, Any]) -> tuple[int, list[tuple[str, str]], bytes]:
    """What AWS makes of any of the results: status, headers with lower-case names, body bytes."""
    status = int(result.get("statusCode", result.get("status", 0)))
    headers: dict[str, list[str]] = {}
    for name, value in result.get("headers", {}).items():
        values = [item["value"] for item in value] if isinstance(value, list) else [value]
        headers.setdefault(name.lower(), []).extend(values)
    headers.update(result.get("multiValueHeaders", {}))
    if "cookies" in result:
        headers["set-cookie"] = result["cookies"]
    pairs = sorted((name, value) for name, values in headers.items() for value in values)
    encoded = result.get("isBase64Encoded") or result.get("bodyEncoding") == "base64"
    text = result.get("body", "")
    return status, pairs, base64.b64decode(text) if encoded else text.encode()


RESPONSES: list[tuple[int, Headers, bytes]] = [
    (200, [HTML], b"<p>"),
    (200, [(b"content-type", b"image/png"), *COOKIES], bytes(range(256))),
    (302, [(b"location", b"/x?y=z"), (b"set-cookie", b"one=1")], b""),
    (500, [(b"content-type", b"text/plain; charset=utf-8")], "λ".encode()),
]


@pytest.mark.parametrize("response", RESPONSES, ids=lambda response: str(response[0]))
@pytest.mark.parametrize(
    "build", [*builders.HTTP_EVENTS.values(), builders.alb_single_event], ids=lambda b: b.__name__
)
def test_every_source_delivers_the_same_response(
    build: Any, response: tuple[int, Headers, bytes]
) -> None:
    status, headers, body = response
    result = json.loads(json.dumps(encode(build(), status, headers, body)))
    expected = sorted((name.decode(), value.decode()) for name, value in headers)
    assert at_the_client(result) == (status, expected, body)


@pytest.mark.parametrize("name", ["url", "http", "rest", "alb", "lattice"])
@pytest.mark.parametrize("body", [b"", b"plain", "λ".encode(), bytes(range(256))])
def test_a_result_fed_back_as_a_request_is_the_same_body(name: str, body: bytes) -> None:
    build: Any = builders.HTTP_EVENTS[name]
    result = encode(build(), body=body)
    request = builders.decode(build(body=result["body"], isBase64Encoded=result["isBase64Encoded"]))
    assert request.body == body
