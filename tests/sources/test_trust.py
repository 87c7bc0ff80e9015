"""Headers the user decided to trust: the public host and scheme, the real authorization."""

from __future__ import annotations

import pytest

from lamella.sources.preparation import authorization, forwarded
from lamella.types import Request
from tests.sources.builders import header


def request_with(**headers: str) -> Request:
    pairs = [(b"host", b"abc.lambda-url.us-west-2.on.aws"), (b"accept", b"*/*")]
    pairs += [(name.replace("_", "-").encode(), text.encode()) for name, text in headers.items()]
    return Request("GET", "/", b"/", b"", pairs, b"", server=("abc.on.aws", 443))


@pytest.mark.parametrize(
    ("value", "server"),
    [
        ("www.example.com", ("www.example.com", 443)),
        ("www.example.com:8443", ("www.example.com", 8443)),
        ("[2001:db8::1]:8443", ("2001:db8::1", 8443)),
        ("evil.example, www.example.com", ("www.example.com", 443)),
        ("localhost", ("localhost", 443)),
        ("my_host.example.", ("my_host.example.", 443)),
    ],
)
def test_a_host_header_is_taken_over(value: str, server: tuple[str, int]) -> None:
    request = forwarded(request_with(x_forwarded_host=value), "X-Forwarded-Host")
    assert header(request, b"host") == [value.rpartition(", ")[2].encode()]
    assert request.server == server
    assert request.scheme == "https"
    assert header(request, b"accept") == [b"*/*"]


def test_the_port_follows_the_scheme_of_the_request() -> None:
    request = request_with(x_original_host="h.example")._replace(scheme="http")
    assert forwarded(request, "x-original-host").server == ("h.example", 80)


@pytest.mark.parametrize(
    ("value", "host", "scheme", "port"),
    [
        ("for=192.0.2.1;host=www.example.com;proto=http", b"www.example.com", "http", 80),
        ('Host="www.example.com:8443" ; Proto=HTTPS', b"www.example.com:8443", "https", 8443),
        ("host=evil.example;proto=https, host=b.example;proto=http", b"b.example", "http", 80),
        ('for="[2001:db8::1]";host="[2001:db8::2]:81"', b"[2001:db8::2]:81", "https", 81),
    ],
)
def test_the_forwarded_header_of_rfc_7239(value: str, host: bytes, scheme: str, port: int) -> None:
    request = forwarded(request_with(forwarded=value), "forwarded")
    assert header(request, b"host") == [host]
    assert request.scheme == scheme
    assert request.server == (host.decode().removesuffix(f":{port}").strip("[]"), port)


def test_forwarded_without_a_host_still_gives_the_scheme() -> None:
    request = forwarded(request_with(forwarded="for=192.0.2.1;proto=http"), "forwarded")
    assert request.scheme == "http"
    assert header(request, b"host") == [b"abc.lambda-url.us-west-2.on.aws"]


NOT_HOSTS = ["", "a b", "user@host", "host/path", "host\r\nx: y", "h?q", "good.example,", ":8080"]
NOT_HOSTS += ["[]:::..", "[]", "[::1", "::1", "a..b", ".", "-", "h:", "h:0", "h:99999", "h:8 0"]
NOT_HOSTS += ["h:٣", "é.example", "x" * 300]


@pytest.mark.parametrize("value", NOT_HOSTS)
def test_what_is_not_a_host_changes_nothing(value: str) -> None:
    request = request_with(x_forwarded_host=value)
    assert forwarded(request, "x-forwarded-host") == request


def test_a_forwarded_element_with_a_bad_host_is_not_trusted_for_the_scheme_either() -> None:
    request = request_with(forwarded='host="a b";proto=http')
    assert forwarded(request, "forwarded") == request


def test_what_the_client_wrote_into_a_header_of_its_own_does_not_count() -> None:
    """The nearest proxy appends: to the value, or as another header behind it."""
    request = request_with()
    sent = [(b"x-forwarded-host", b"evil.example"), (b"x-forwarded-host", b"www.example.com")]
    request = request._replace(headers=request.headers + sent)
    assert header(forwarded(request, "x-forwarded-host"), b"host") == [b"www.example.com"]


def test_a_missing_header_changes_nothing() -> None:
    assert forwarded(request_with(), "x-forwarded-host") == request_with()
    assert authorization(request_with(), "x-authorization") == request_with()


def test_authorization_replaces_the_signature() -> None:
    request = request_with(authorization="AWS4-HMAC-SHA256 ...", x_authorization="Bearer t, u")
    changed = authorization(request, "X-Authorization")
    assert header(changed, b"authorization") == [b"Bearer t, u"]
    assert header(changed, b"x-authorization") == [b"Bearer t, u"]
