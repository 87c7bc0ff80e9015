"""Requests: each fault that other adapters had, by its number in the list of lessons."""

from __future__ import annotations

from typing import Any

import pytest

from lamella.errors import BadEvent
from lamella.types import Event
from tests.sources import builders
from tests.sources.builders import decode, header


@pytest.mark.parametrize(
    ("event", "path", "raw_path"),
    [
        pytest.param(
            builders.http_event(rawPath="/a%2Fb"),
            "/a%2Fb",
            b"/a%252Fb",
            id="E4-D23-http-api-path-is-already-decoded",
        ),
        pytest.param(
            builders.http_v1_event(path="/a%2Fb"),
            "/a%2Fb",
            b"/a%252Fb",
            id="E4-D23-http-api-1.0-path-is-already-decoded",
        ),
        pytest.param(
            builders.url_event(rawPath="/a%252Fb"),
            "/a%2Fb",
            b"/a%252Fb",
            id="E4-D23-function-url-path-is-encoded",
        ),
        pytest.param(
            builders.alb_event(path="/a%252Fb"),
            "/a%2Fb",
            b"/a%252Fb",
            id="E4-D23-alb-path-is-encoded",
        ),
        pytest.param(
            builders.rest_event(path="/a%252Fb", requestContext={"resourcePath": "/{proxy+}"}),
            "/a%2Fb",
            b"/a%252Fb",
            id="E4-D23-rest-path-is-encoded",
        ),
        pytest.param(
            builders.url_event(rawPath="/a%2Fb"),
            "/a/b",
            b"/a%2Fb",
            id="E5-raw-path-keeps-an-escaped-slash",
        ),
        pytest.param(
            builders.edge_event(uri="/a%20b"), "/a b", b"/a%20b", id="E6-edge-path-is-decoded"
        ),
        pytest.param(
            builders.url_event(rawPath="/%FF"),
            "/\ufffd",
            b"/%FF",
            id="E15-what-is-not-utf8-stays-in-raw-path",
        ),
        pytest.param(
            builders.url_event(rawPath="/é%C3%A9"),
            "/éé",
            b"/%C3%A9%C3%A9",
            id="E15-non-ascii-is-quoted",
        ),
        pytest.param(
            builders.http_event(rawPath="/é?"),
            "/é?",
            b"/%C3%A9%3F",
            id="E15-a-decoded-path-is-quoted",
        ),
    ],
)
def test_paths(event: Event, path: str, raw_path: bytes) -> None:
    request = decode(event)
    assert (request.path, request.raw_path) == (path, raw_path)


@pytest.mark.parametrize("build", builders.HTTP_EVENTS.values(), ids=builders.HTTP_EVENTS)
def test_E5_raw_path_is_bytes_everywhere(build: Any) -> None:
    request = decode(build())
    assert isinstance(request.raw_path, bytes)
    assert b"?" not in request.raw_path


SOURCES = {**builders.HTTP_EVENTS, "alb-single": builders.alb_single_event}


def sent_with(name: str, key: str, value: str) -> Event:
    """The event of a request with this header, in every map that the source has for headers."""
    event = SOURCES[name]()
    holder = event["Records"][0]["cf"]["request"] if name == "edge" else event
    for field in ("headers", "multiValueHeaders"):
        if holder.get(field):
            other = next(iter(holder[field].values()))
            shaped = [{"value": value}] if name == "edge" else [value]
            holder[field][key] = value if isinstance(other, str) else shaped
    return event


def with_headers(**headers: str) -> Event:
    """A Function URL's event with some headers replaced ("_" stands for "-")."""
    event = builders.url_event()
    event["headers"].update({name.replace("_", "-"): value for name, value in headers.items()})
    return event


@pytest.mark.parametrize(
    ("event", "server"),
    [
        pytest.param(
            with_headers(host="[2001:db8::1]:8443"),
            ("2001:db8::1", 8443),
            id="E7-D14-ipv6-with-port",
        ),
        pytest.param(with_headers(host="[::1]"), ("::1", 443), id="E7-D14-ipv6-without-port"),
        pytest.param(
            with_headers(host="h", x_forwarded_port="8443,80"),
            ("h", 8443),
            id="E7-D14-first-forwarded-port",
        ),
        pytest.param(
            with_headers(host="h", x_forwarded_port="x"), ("h", 443), id="E7-D14-forwarded-port-nan"
        ),
        pytest.param(with_headers(host="h:"), ("h", 443), id="E7-D14-empty-port"),
        pytest.param(with_headers(host="h:abc"), ("h", 443), id="E7-D14-port-not-a-number"),
        pytest.param(with_headers(host="h:99999"), ("h", 443), id="E7-D14-port-too-large"),
        pytest.param(with_headers(host="h:٣"), ("h", 443), id="E7-D14-port-in-other-digits"),
        pytest.param(
            with_headers(host="h", x_forwarded_port=""), ("h", 443), id="E8-default-port-https"
        ),
        pytest.param(
            with_headers(host="h", x_forwarded_port="", x_forwarded_proto="http"),
            ("h", 80),
            id="E8-default-port-http",
        ),
        pytest.param(builders.without(builders.url_event(), "headers", "host"), None, id="no-host"),
        pytest.param(with_headers(host=":8080"), None, id="a-port-without-a-host"),
        pytest.param(with_headers(host="[]:8080"), None, id="brackets-without-a-host"),
        pytest.param(with_headers(host="[:::]"), None, id="brackets-around-no-address"),
        pytest.param(with_headers(host="user:secret@a.example"), None, id="user-and-password"),
        pytest.param(with_headers(host="[1.2.3.4]"), None, id="brackets-around-ipv4"),
        pytest.param(with_headers(host="[::1]x"), None, id="more-after-brackets"),
        pytest.param(with_headers(host="[::1"), None, id="a-bracket-left-open"),
        pytest.param(with_headers(host="a b"), None, id="a-space"),
        pytest.param(with_headers(host="a:b:c"), None, id="two-colons"),
        pytest.param(with_headers(host="user@h"), None, id="a-user"),
        pytest.param(with_headers(host="h/../x?y#z"), None, id="a-path"),
        pytest.param(with_headers(host="bücher.example"), None, id="not-ascii"),
        pytest.param(
            with_headers(host="my_h-1.%41!example."), ("my_h-1.%41!example.", 443), id="ok"
        ),
    ],
)
def test_server(event: Event, server: tuple[str, int] | None) -> None:
    assert decode(event).server == server


def alb_from(forwarded_for: str | None) -> Event:
    event = builders.alb_event()
    event["multiValueHeaders"]["x-forwarded-for"] = [forwarded_for] if forwarded_for else None
    return event


@pytest.mark.parametrize(
    ("event", "client"),
    [
        pytest.param(
            alb_from("9.9.9.9, 10.0.0.1"), ("10.0.0.1", 0), id="E9-alb-appends-the-last-entry"
        ),
        pytest.param(alb_from("10.0.0.1:4711"), ("10.0.0.1", 4711), id="E9-alb-with-client-port"),
        pytest.param(alb_from("2001:db8::1"), ("2001:db8::1", 0), id="E9-alb-ipv6"),
        pytest.param(alb_from("[2001:db8::1]:4711"), ("2001:db8::1", 4711), id="E9-alb-ipv6-port"),
        pytest.param(alb_from(None), None, id="E9-alb-health-check-has-no-client"),
        pytest.param(alb_from("1.2.3.4,"), ("1.2.3.4", 0), id="E9-alb-empty-entry"),
        pytest.param(alb_from("1.2.3.4, , "), ("1.2.3.4", 0), id="E9-alb-empty-entries"),
        pytest.param(alb_from(" , "), None, id="E9-alb-nothing-but-empty-entries"),
        pytest.param(alb_from("1.2.3.4, unknown"), None, id="E9-alb-not-an-address"),
        pytest.param(alb_from("1.2.3.4, 1.2.3"), None, id="E9-alb-half-an-address"),
        pytest.param(alb_from("10.0.0.1:99999"), ("10.0.0.1", 0), id="E9-alb-port-too-large"),
        pytest.param(
            builders.without(builders.rest_event(), "requestContext", "identity"),
            None,
            id="E9-rest-without-identity",
        ),
        pytest.param(
            builders.without(builders.http_event(), "requestContext", "http", "sourceIp"),
            None,
            id="E9-http-without-source-ip",
        ),
        pytest.param(builders.edge_event(clientIp=None), None, id="E9-edge-without-client-ip"),
    ],
)
def test_client(event: Event, client: tuple[str, int] | None) -> None:
    assert decode(event).client == client


def test_E9_alb_takes_the_last_of_several_forwarded_for_headers() -> None:
    event = builders.alb_event()
    event["multiValueHeaders"]["x-forwarded-for"] = ["9.9.9.9", "8.8.8.8, 10.0.0.1"]
    assert decode(event).client == ("10.0.0.1", 0)


def test_E10_cookies_of_several_headers_are_joined_as_cookies() -> None:
    event = builders.rest_event(multiValueHeaders={"A": ["1"], "Cookie": ["a=1", "b=2"], "B": []})
    request = decode(event)
    assert request.headers[:2] == [(b"a", b"1"), (b"cookie", b"a=1; b=2")]


def test_E10_other_duplicates_are_kept_in_order() -> None:
    request = decode(builders.rest_event(multiValueHeaders={"X-A": ["2", "1"]}, headers=None))
    assert request.headers == [(b"x-a", b"2"), (b"x-a", b"1")]


def test_E10_a_header_in_one_map_only_is_not_lost() -> None:
    event = builders.rest_event(headers={"X-A": "last", "X-B": "b"})
    event["multiValueHeaders"] = {"x-a": ["first", "last"]}
    assert decode(event).headers == [(b"x-a", b"first"), (b"x-a", b"last"), (b"x-b", b"b")]


def test_E11_edge_keeps_every_value_of_a_header() -> None:
    request = decode(builders.edge_event(headers={"x-a": [{"value": "1"}, {"value": "2"}]}))
    assert request.headers == [(b"x-a", b"1"), (b"x-a", b"2")]


@pytest.mark.parametrize(
    ("value", "raw"),
    [
        pytest.param("Córdoba", "Córdoba".encode(), id="E12-latin-1-has-the-letter"),
        pytest.param("Srīperumbūdūr", "Srīperumbūdūr".encode(), id="E12-latin-1-has-it-not"),
        pytest.param("\x80\xff", b"\xc2\x80\xc3\xbf", id="E12-its-ends"),
    ],
)
@pytest.mark.parametrize("name", SOURCES)
def test_header_bytes_are_those_that_the_client_sent(name: str, value: str, raw: bytes) -> None:
    assert header(decode(sent_with(name, "x-n", value)), b"x-n") == [raw]


@pytest.mark.parametrize("value", ["a\r\nx-b: 1", "a\n", "\ra", "a\0b"])
@pytest.mark.parametrize("name", SOURCES)
def test_a_value_that_no_http_request_can_hold_is_a_bad_event(name: str, value: str) -> None:
    with pytest.raises(BadEvent, match=r"'headers\.x-n' must be text without CR, LF and NUL"):
        decode(sent_with(name, "x-n", value))


@pytest.mark.parametrize("key", ["", "x y", "x:y", "x\ny", "x\0", "é", "x\x7f", "(x)", "x\ud800"])
@pytest.mark.parametrize("name", SOURCES)
def test_a_header_name_that_is_no_token_is_a_bad_event(name: str, key: str) -> None:
    with pytest.raises(BadEvent, match="whose keys are header names"):
        decode(sent_with(name, key, "1"))


@pytest.mark.parametrize("name", SOURCES)
def test_a_header_name_is_any_token(name: str) -> None:
    token = "X!#$%&'*+-.^_`|~9"
    assert header(decode(sent_with(name, token, "1")), token.lower().encode()) == [b"1"]


@pytest.mark.parametrize("method", ["G ET", "GET\r\n", "GÉT", "GET:", "\0"])
@pytest.mark.parametrize("name", SOURCES)
def test_a_method_that_is_no_token_is_a_bad_event(name: str, method: str) -> None:
    event = SOURCES[name]()
    if name == "edge":
        event["Records"][0]["cf"]["request"]["method"] = method
    elif name in ("url", "http"):
        event["requestContext"]["http"]["method"] = method
    else:
        event["method" if "lattice" in name else "httpMethod"] = method
    with pytest.raises(BadEvent, match="must be an HTTP method"):
        decode(event)


V2_FIELDS = "headers cookies rawQueryString rawPath body isBase64Encoded"
V1_FIELDS = (
    "headers multiValueHeaders queryStringParameters multiValueQueryStringParameters path body"
    " isBase64Encoded"
)
NULLABLE = {
    "url": V2_FIELDS,
    "http": V2_FIELDS,
    "rest": V1_FIELDS + " resource pathParameters",
    "http-v1": V1_FIELDS + " resource pathParameters",
    "alb": V1_FIELDS,
    "lattice": "headers queryStringParameters path body isBase64Encoded",
    "lattice-v1": "headers query_string_parameters body is_base64_encoded",
}


@pytest.mark.parametrize(
    ("name", "key"), [(name, key) for name, keys in NULLABLE.items() for key in keys.split()]
)
def test_E13_D22_every_field_may_be_null_or_absent(name: str, key: str) -> None:
    null = builders.HTTP_EVENTS[name](**{key: None})
    absent = builders.without(null, key)
    assert decode(null) == decode(absent)


def test_E13_nothing_but_the_method() -> None:
    event = {"version": "2.0", "requestContext": {"http": {"method": "get"}}}
    request = decode(event)
    assert request.method == "GET"
    assert (request.path, request.raw_path, request.query_string) == ("/", b"/", b"")
    assert (request.headers, request.body) == ([], b"")
    assert (request.server, request.client, request.scheme) == (None, None, "https")


def test_E13_the_console_test_of_a_rest_api_has_no_headers() -> None:
    event = builders.rest_event(headers=None, multiValueHeaders=None, resource="/myPath")
    event.update(path="/myPath", pathParameters=None)
    event["requestContext"].update(path="/myPath", stage="test-invoke-stage")
    request = decode(event)
    assert (request.path, request.root_path, request.headers) == ("/myPath", "", [])


def test_E14_rest_parameters_are_encoded_once() -> None:
    event = builders.rest_event(multiValueQueryStringParameters={"a": ["x%2Fy", "b c&d=e+é"]})
    assert decode(event).query_string == b"a=x%252Fy&a=b%20c%26d%3De%2B%C3%A9"


def test_E14_rest_falls_back_to_single_values() -> None:
    event = builders.rest_event(multiValueQueryStringParameters=None)
    assert b"repeat=two" in decode(event).query_string
    assert b"repeat=one" not in decode(event).query_string


@pytest.mark.parametrize("name", ["rest", "http-v1"])
def test_E14_a_raw_query_string_is_better_than_the_maps(name: str) -> None:
    raw = "b=%2F&a=x%2Fy+z&a&b="
    assert decode(builders.HTTP_EVENTS[name](rawQueryString=raw)).query_string == raw.encode()
    null = builders.HTTP_EVENTS[name](rawQueryString=None)
    assert decode(null).query_string == decode(builders.HTTP_EVENTS[name]()).query_string


def test_D20_alb_parameters_are_not_encoded_again() -> None:
    event = builders.alb_event(multiValueQueryStringParameters={"a%5B%5D": ["%2B+", "50%25"]})
    assert decode(event).query_string == b"a%5B%5D=%2B+&a%5B%5D=50%25"


def test_E15_query_strings_are_ascii_bytes() -> None:
    assert decode(builders.url_event(rawQueryString="q=é%C3%A9")).query_string == (
        b"q=%C3%A9%C3%A9"
    )
    event = builders.alb_event(multiValueQueryStringParameters={"q": ["é%2F+"]})
    assert decode(event).query_string == b"q=%C3%A9%2F+"


@pytest.mark.parametrize(
    ("proto", "scheme"),
    [
        pytest.param("https,http", "https", id="E16-first-of-a-list"),
        pytest.param("http", "http", id="http"),
        pytest.param("HTTPS", "https", id="case"),
        pytest.param("javascript", "https", id="not-a-scheme-of-http"),
        pytest.param("", "https", id="empty"),
    ],
)
def test_scheme(proto: str, scheme: str) -> None:
    assert decode(with_headers(x_forwarded_proto=proto)).scheme == scheme


def test_E16_the_first_of_several_headers() -> None:
    event = builders.alb_event()
    event["multiValueHeaders"]["x-forwarded-proto"] = ["https", "http"]
    assert decode(event).scheme == "https"


def test_edge_reads_the_scheme_from_its_own_header() -> None:
    headers = {"cloudfront-forwarded-proto": [{"value": "http"}], "host": [{"value": "h"}]}
    request = decode(builders.edge_event(headers=headers))
    assert (request.scheme, request.server) == ("http", ("h", 80))


@pytest.mark.parametrize("body", ["@@@@", "abc", "YQ=", "Y===", "====", "YQ==YQ==", "Yé==", "Y Q="])
@pytest.mark.parametrize("name", ["url", "rest", "alb", "lattice"])
def test_E17_bad_base64_is_a_bad_event(name: str, body: str) -> None:
    with pytest.raises(BadEvent, match="base64") as caught:
        decode(builders.HTTP_EVENTS[name](body=body, isBase64Encoded=True))
    assert caught.value.status == 400


@pytest.mark.parametrize(
    ("body", "flag", "raw"),
    [
        ("AP/+", True, b"\x00\xff\xfe"),
        ("YQ==", True, b"a"),
        ("YQ==", False, b"YQ=="),
        ("λ", False, "λ".encode()),
        ("", True, b""),
        (None, True, b""),
    ],
)
def test_bodies_are_decoded_by_the_flag(body: str | None, flag: bool, raw: bytes) -> None:
    assert decode(builders.url_event(body=body, isBase64Encoded=flag)).body == raw


@pytest.mark.parametrize(
    ("protocol", "version"),
    [("HTTP/1.1", "1.1"), ("HTTP/1.0", "1.0"), ("HTTP/2.0", "2"), ("HTTP/2", "2"), (None, "1.1")],
)
def test_E18_http_version_is_the_events(protocol: str | None, version: str) -> None:
    event = builders.http_event()
    event["requestContext"]["http"]["protocol"] = protocol
    assert decode(event).http_version == version
    event = builders.rest_event()
    event["requestContext"]["protocol"] = protocol
    assert decode(event).http_version == version


def test_E19_D16_lattice_v2_is_not_an_http_api() -> None:
    assert decode(builders.lattice_event()).method == "POST"


def test_lattice_v2_parameters_are_taken_as_sent() -> None:
    event = builders.lattice_event(queryStringParameters={"a": ["%2B+", "50%25"], "b c": ["&"]})
    assert decode(event).query_string == b"a=%2B+&a=50%25&b%20c=%26"


def test_lattice_v2_takes_strings_for_lists_and_a_query_in_the_path() -> None:
    event = builders.lattice_event(path="/a%20b?x=1&x=2", headers={"host": "h", "x": ["1", "2"]})
    request = decode(event)
    assert (request.path, request.raw_path, request.query_string) == (
        "/a b",
        b"/a%20b",
        b"x=1&x=2",
    )
    assert request.headers == [(b"host", b"h"), (b"x", b"1"), (b"x", b"2")]


def test_E20_a_body_that_cloudfront_cut_off_is_refused() -> None:
    body = {"data": "YQ==", "encoding": "base64", "inputTruncated": True}
    with pytest.raises(BadEvent, match="inputTruncated") as caught:
        decode(builders.edge_event(body=body))
    assert caught.value.status == 413


def test_edge_bodies_may_be_text() -> None:
    body = {"data": "YQ==", "encoding": "text", "inputTruncated": False}
    assert decode(builders.edge_event(body=body)).body == b"YQ=="


def test_D21_http_api_cookies_are_one_header() -> None:
    event = builders.http_event(cookies=["a=1", "b=2", "a=3"])
    assert header(decode(event), b"cookie") == [b"a=1; b=2; a=3"]


@pytest.mark.parametrize("key", ["cookie", "Cookie"])
@pytest.mark.parametrize("build", [builders.url_event, builders.http_event])
def test_D21_the_list_of_cookies_is_what_the_client_sent(build: Any, key: str) -> None:
    """Of two cookie headers, a Function URL's `headers` has one, joined by a comma."""
    event = build(cookies=["a=1", "b=2"])
    event["headers"].pop("cookie", None)
    event["headers"][key] = "a=1,b=2"
    assert header(decode(event), b"cookie") == [b"a=1; b=2"]


@pytest.mark.parametrize("cookies", [None, []])
def test_D21_without_the_list_the_header_stays(cookies: Any) -> None:
    event = builders.url_event(cookies=cookies)
    event["headers"]["cookie"] = "a=1;b=2"
    assert header(decode(event), b"cookie") == [b"a=1;b=2"]


def test_alb_without_multi_value_headers() -> None:
    request = decode(builders.alb_single_event())
    assert header(request, b"x-voker-probe") == [b"second"]
    assert request.query_string.endswith(b"&repeat=two")


def test_alb_health_check_has_no_host() -> None:
    event = builders.alb_single_event(headers={"user-agent": "ELB-HealthChecker/2.0"})
    request = decode(event)
    assert (request.server, request.client, request.scheme) == (None, None, "https")


def test_a_message_says_which_field_is_wrong_and_what_it_is() -> None:
    with pytest.raises(BadEvent, match=r"'rawPath' must be a string, but is \[1\]"):
        decode(builders.url_event(rawPath=[1]))
    with pytest.raises(BadEvent, match=r"'method' must be an HTTP method, but is None"):
        decode(builders.without(builders.url_event(), "requestContext", "http", "method"))


def test_a_long_wrong_value_is_cut_in_the_message() -> None:
    with pytest.raises(BadEvent) as caught:
        decode(builders.url_event(rawPath=["x" * 5000]))
    assert len(str(caught.value)) < 300
