"""The signer gives, byte for byte, what botocore's gives."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

import botocore.auth
import pytest
from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotocoreCredentials

from lamella.aws.sigv4 import Credentials, sign

NOW = datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC)
KEYS = Credentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", None)
ROLE = KEYS._replace(token="IQoJb3JpZ2luX2VjE//////////wEaCXVz+==")

API = "https://id.execute-api.eu-west-1.amazonaws.com/prod"
BUCKET = "https://bucket.s3.eu-west-1.amazonaws.com"
TABLE = {"Content-Type": "application/x-amz-json-1.0", "X-Amz-Target": "DynamoDB_20120810.PutItem"}


class Case(NamedTuple):
    service: str
    method: str
    url: str
    headers: Mapping[str, str] = {}
    body: bytes = b""


def test_credentials_do_not_show_what_is_secret() -> None:
    assert f"{ROLE} {ROLE!r}" == " ".join(["Credentials(access_key='AKIDEXAMPLE')"] * 2)


PATHS = [
    "",
    "/",
    "//",
    "/a/",
    "/a//b",
    "/a/./b/../c",
    "/a/..",
    "/../a/.",
    "/a/../..//",
    "/@connections/dGVzdA=",
    "/@connections/dGVzdA%3D",
    "/@connections/a%2Fb%2Bc%3D",
    "/@connections/a+b",
    "/~tilde/-._*!'();:&=$,",
    "/caf%C3%A9",
    "/%e2%82%ac",
]
QUERIES = [
    "?a=1",
    "?b=2&a=1",
    "?a=2&a=1",
    "?a=b=c",
    "?flag",
    "?flag&a=",
    "?list-type=2&prefix=a%2Fb&continuation-token=%2B%3D",
    "?a=1&&b=2",
    "?a-b=1&a=2&a.b=3&A=4",
    "?x=caf%C3%A9&y=%20",
]
HEADERS: list[dict[str, str]] = [
    {"Content-Type": "text/plain"},
    {"content-type": "  text/plain;   charset=utf-8\t"},
    {"X-Odd": "a\t b  \t c", "x-empty": "", "X-Space": "   "},
    {"If-None-Match": "*", "X-Amz-Meta-Name": "caf\u00e9"},
    {"User-Agent": "x", "Connection": "keep-alive", "X-Amzn-Trace-Id": "Root=1", "TE": "trailers"},
    {"traceparent": "00-0-0-00", "Expect": "100-continue", "Zed": "1", "Accept": "*/*"},
]
CASES = [
    *(Case("execute-api", "POST", API + path, {}, b"hello") for path in PATHS),
    *(Case("execute-api", "GET", API + "/x" + query) for query in QUERIES),
    *(Case("execute-api", "POST", API + "/x", headers, b"{}") for headers in HEADERS),
    *(Case("s3", "PUT", BUCKET + path, {}, b"\x00\xff") for path in PATHS if path),
    *(Case("s3", "GET", BUCKET + "/key" + query) for query in QUERIES),
    *(Case("s3", "PUT", BUCKET + "/key", headers, b"{}") for headers in HEADERS),
    Case("dynamodb", "POST", "https://dynamodb.eu-west-1.amazonaws.com/", TABLE, b'{"T":"t"}'),
    Case("dynamodb", "POST", "http://127.0.0.1:8000", TABLE, "{'\u20ac'}".encode()),
    Case("execute-api", "DELETE", "https://Example.COM:443/prod/%40connections/x"),
    Case("execute-api", "delete", "http://example.com:80/prod/@connections/x"),
    Case("execute-api", "GET", "https://example.com:8443/prod/@connections/x?"),
    Case("execute-api", "GET", "http://[::1]:3001/prod/@connections/x"),
]
"""URLs are percent-encoded: botocore would sign others, too, and then send something else."""


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda: NOW)


def by_botocore(credentials: Credentials, case: Case) -> dict[str, str]:
    request = AWSRequest(case.method, case.url, dict(case.headers), case.body)
    signer = S3SigV4Auth if case.service == "s3" else SigV4Auth
    signer(BotocoreCredentials(*credentials), case.service, "eu-west-1").add_auth(request)
    return {name.lower(): value for name, value in request.headers.items()}


def by_lamella(credentials: Credentials, case: Case) -> dict[str, str]:
    service, method, url, headers, body = case
    now = NOW.timestamp()
    signed = sign(credentials, service, "eu-west-1", method, url, headers, body, now)
    return {name.lower(): value for name, value in signed.items()}


@pytest.mark.parametrize("credentials", [KEYS, ROLE], ids=["keys", "role"])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_request_is_signed_as_botocore_signs_it(case: Case, credentials: Credentials) -> None:
    assert by_lamella(credentials, case) == by_botocore(credentials, case)


@pytest.mark.parametrize("change", ["method", "path", "query", "header", "body", "region", "time"])
def test_every_part_of_a_request_is_in_its_signature(change: str) -> None:
    parts: dict[str, Any] = {
        "service": "execute-api",
        "region": "eu-west-1",
        "method": "POST",
        "url": f"{API}/x?a=1",
        "headers": {"X-A": "1"},
        "body": b"1",
        "now": NOW.timestamp(),
    }
    changes: dict[str, dict[str, Any]] = {
        "method": {"method": "PUT"},
        "path": {"url": f"{API}/y?a=1"},
        "query": {"url": f"{API}/x?a=2"},
        "header": {"headers": {"X-A": "2"}},
        "body": {"body": b"2"},
        "region": {"region": "eu-west-2"},
        "time": {"now": NOW.timestamp() + 1},
    }
    signatures = {
        sign(ROLE, **values)["Authorization"].rpartition("=")[2]
        for values in (parts, parts | changes[change])
    }
    assert len(signatures) == 2


@pytest.mark.parametrize("path", ["/caf\u00e9", "/a b", "/a\r\nX: y"])
def test_a_url_that_is_not_encoded_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match="is not an encoded"):
        by_lamella(KEYS, Case("execute-api", "GET", API + path))
