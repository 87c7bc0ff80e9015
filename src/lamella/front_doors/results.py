"""Pieces of results that several sources share: the parts of a proxy response, checked."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Any

from lamella.front_doors.door import HttpResponse, Malformed, Pairs

MAX_HEADER_VALUES = 10_240
"""Bytes of all header values of a response, at API Gateway
(https://docs.aws.amazon.com/apigateway/latest/developerguide/limits.html)."""

RECOMPUTED = frozenset({"content-length", "transfer-encoding", "connection", "keep-alive"})
"""Response headers that a source does not take from a buffered result."""


def parsed(payload: bytes) -> Any:
    """The result as a value. Raises Malformed for what is not JSON."""
    try:
        return json.loads(payload)
    except ValueError as error:
        raise Malformed(f"the result is not JSON: {error}") from error


def as_object(value: Any) -> dict[str, Any]:
    """`value` if it is a JSON object. Raises Malformed."""
    if not isinstance(value, dict):
        raise Malformed(f"the result is a JSON {type(value).__name__}, not an object")
    return value


def status_code(result: Mapping[str, Any]) -> int:
    """`statusCode`, a number or its text; 1xx is no answer. Raises Malformed."""
    given = result.get("statusCode")
    try:
        status = int(str(given))
    except ValueError:
        status = 0
    if not 200 <= status <= 599:
        raise Malformed(f"statusCode is {given!r}, not a number from 200 to 599")
    return status


def single_headers(result: Mapping[str, Any], key: str = "headers") -> Pairs:
    """A map of single values as pairs, names lower case. Raises Malformed."""
    headers = result.get(key) or {}
    if not isinstance(headers, dict):
        raise Malformed(f"{key} is a JSON {type(headers).__name__}, not an object")
    return [(name.lower(), scalar(name, value)) for name, value in headers.items()]


def multi_headers(result: Mapping[str, Any]) -> Pairs:
    """`multiValueHeaders` as pairs, names lower case. Raises Malformed."""
    headers = result.get("multiValueHeaders") or {}
    if not isinstance(headers, dict):
        raise Malformed("multiValueHeaders is not an object")
    pairs: Pairs = []
    for name, values in headers.items():
        if not isinstance(values, list):
            raise Malformed(f"multiValueHeaders[{name!r}] is {values!r}, not a list")
        pairs += [(name.lower(), scalar(name, value)) for value in values]
    return pairs


def merged_headers(result: Mapping[str, Any]) -> Pairs:
    """Both header maps; a name in both counts as `multiValueHeaders` has it."""
    multi = multi_headers(result)
    names = {name for name, _ in multi}
    return [pair for pair in single_headers(result) if pair[0] not in names] + multi


def scalar(name: str, value: Any) -> str:
    """A header value as text; numbers and booleans as in JSON. Raises Malformed."""
    if isinstance(value, str):
        return value
    if isinstance(value, (bool, int, float)):
        return json.dumps(value)
    raise Malformed(f"header {name!r} is {value!r}, not a text")


def cookies(result: Mapping[str, Any]) -> Pairs:
    """Each of `cookies` as a set-cookie header. Raises Malformed."""
    given = result.get("cookies") or []
    if not isinstance(given, list) or not all(isinstance(cookie, str) for cookie in given):
        raise Malformed(f"cookies is {given!r}, not a list of texts")
    return [("set-cookie", cookie) for cookie in given]


def body_text(result: Mapping[str, Any]) -> str:
    """`body`, "" where there is none. Raises Malformed."""
    body = result.get("body")
    if body is None:
        return ""
    if not isinstance(body, str):
        raise Malformed(f"body is a JSON {type(body).__name__}, not a text")
    return body


def body_bytes(result: Mapping[str, Any]) -> bytes:
    """`body`, decoded where `isBase64Encoded` says so. Raises Malformed."""
    body = body_text(result)
    if not result.get("isBase64Encoded"):
        return body.encode("utf-8")
    try:
        return base64.b64decode(body, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Malformed(f"isBase64Encoded is true, but body is not base64: {error}") from error


def sendable(headers: Pairs) -> Pairs:
    """`headers` without those that the source computes itself."""
    return [pair for pair in headers if pair[0] not in RECOMPUTED]


def limited(response: HttpResponse) -> HttpResponse:
    """A response whose headers API Gateway takes. Raises Malformed."""
    size = sum(len(value.encode("utf-8", "surrogatepass")) for _, value in response.headers)
    if size > MAX_HEADER_VALUES:
        raise Malformed(
            f"the header values have {size} bytes, and API Gateway takes {MAX_HEADER_VALUES}"
        )
    return response


def with_default_type(headers: Pairs, content_type: str) -> Pairs:
    """`headers`, with a content-type added if they have none."""
    if any(name == "content-type" for name, _ in headers):
        return headers
    return [("content-type", content_type), *headers]
