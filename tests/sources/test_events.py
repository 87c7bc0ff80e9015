"""Pass-through: events that are not HTTP as a POST, the application's JSON as the result."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from awslambdaric.lambda_runtime_marshaller import to_json  # type: ignore[import-untyped]  # it has no types

from lamella.errors import BadEvent, InvocationError, ResponseTooLarge
from lamella.response.wire import decode_result, encode_result
from lamella.sources import events
from lamella.types import Response
from tests.sources.builders import header


@pytest.mark.parametrize(
    "event", [{"Records": [{"body": "λ\ud800"}]}, None, 1.5, "text", [1, {"a": None}], True]
)
def test_the_event_is_the_body_of_a_post(event: Any) -> None:
    request = events.decode(event)
    assert (request.method, request.path, request.raw_path) == ("POST", "/events", b"/events")
    assert json.loads(request.body) == event
    assert header(request, b"content-type") == [b"application/json"]
    assert header(request, b"host") == [b"localhost"]
    assert header(request, b"content-length") == [b"%d" % len(request.body)]
    assert request.client is None


def test_the_path_can_be_set() -> None:
    request = events.decode({}, path="queue events")
    assert (request.path, request.raw_path) == ("/queue events", b"/queue%20events")


NUMBERS = b'{"amount": 2.2999999999999998, "x": 1e400, "x": -1E+400, "n": 12345678901234567890.50}'


def test_the_event_is_handed_on_as_lambda_sent_it() -> None:
    assert events.decode(json.loads(NUMBERS), raw=NUMBERS).body == NUMBERS


def test_without_lambda_s_text_numbers_are_what_python_made_of_them() -> None:
    """awslambdaric hands on objects only. 1e999 is JSON, and infinity to Python again."""
    event = {"Infinity": [float("inf"), -float("inf")], 'a\\"': 'NaN"\\', "n": 10**30, "f": 0.1}
    data = events.decode(event).body
    assert data.startswith(b'{"Infinity":[1e999,-1e999],"a')
    assert json.loads(data) == event


@pytest.mark.parametrize("text", ["NaN", '{"a": [Infinity]}', "-Infinity"])
def test_what_is_no_json_is_never_handed_on(text: str) -> None:
    with pytest.raises(BadEvent, match="The event is not JSON: JSON has no "):
        events.decode(json.loads(text), raw=text.encode())
    with pytest.raises(BadEvent, match="JSON has no NaN"):
        events.decode(["Infinity", float("nan")])


def test_the_words_may_be_in_text() -> None:
    raw = b'["NaN", "Infinity"]'
    assert events.decode(json.loads(raw), raw=raw).body == raw


def test_what_json_cannot_hold_is_a_bad_event() -> None:
    with pytest.raises(BadEvent, match="datetime"):
        events.decode({"now": datetime.now(UTC)})
    circular: list[Any] = []
    circular.append(circular)
    with pytest.raises(BadEvent, match="not JSON"):
        events.decode(circular)


def answer(body: bytes, status: int = 200, content_type: bytes = b"application/json") -> Any:
    """What a handler returns to awslambdaric."""
    return decode_result(encoded(body, status, content_type))


def encoded(body: bytes, status: int = 200, content_type: bytes = b"application/json") -> Any:
    return events.encode(
        Response(status, [(b"content-type", content_type)], body), "/events/sqs", ()
    )


@pytest.mark.parametrize(
    ("body", "result"),
    [
        (b'{"batchItemFailures":[]}', {"batchItemFailures": []}),
        (b"[1, null]", [1, None]),
        (b"null", None),
        (b"", None),
        (b'"text"', "text"),
        (b"not json", "not json"),
        (b"<p>\xc3\xa9</p>", "<p>é</p>"),
        (b"\xff\x00", "/wA="),
        (b"NaN", "NaN"),
        (b"[-Infinity]", "[-Infinity]"),
        (b"[-1e999, 1e300]", [Decimal("-1e999"), 1e300]),
        (b"[2.2999999999999998, 1.50]", [Decimal("2.2999999999999998"), 1.5]),
        (b"1" * 5000, Decimal("1" * 5000)),
        (b"[1e9999999999999999999]", "[1e9999999999999999999]"),
        (b"[1.5, 1e3]", [1.5, 1000.0]),
        (b"[" * 100_000, "[" * 100_000),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_D11_the_answer_is_the_result(body: bytes, result: Any) -> None:
    assert answer(body) == result


@pytest.mark.parametrize("kind", [b"application/octet-stream", b"image/png", b"text/plain", b""])
def test_json_is_the_result_whatever_its_type_says(kind: bytes) -> None:
    assert answer(b'{"batchItemFailures":[]}', content_type=kind) == {"batchItemFailures": []}


def test_what_is_not_json_is_text_by_its_type() -> None:
    assert answer(b"plain", content_type=b"image/x") == "cGxhaW4="
    assert answer(b"1\x00", content_type=b"text/plain") == "1\x00", "no UTF-16"


@pytest.mark.parametrize(
    ("body", "posted"),
    [
        (b'{"a":"\\ud800"}', b'{"a":"\\ud800"}'),
        ('{"a":"λ"}'.encode(), '{"a":"λ"}'.encode()),
        (NUMBERS, NUMBERS),
        (b"1" * 5000, b"1" * 5000),
        (b"[NaN]", b'"[NaN]"'),
        (b"[-Infinity]", b'"[-Infinity]"'),
        (b"\xff\x00", b'"/wA="'),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_an_answer_can_always_be_posted(body: bytes, posted: bytes) -> None:
    """JSON leaves as the application wrote it, everything else as a JSON string."""
    assert encode_result(encoded(body)) == posted


def test_awslambdaric_writes_the_same_numbers() -> None:
    value = json.loads(to_json(answer(NUMBERS)), parse_float=Decimal)
    assert value == json.loads(NUMBERS, parse_float=Decimal)


def test_an_answer_that_is_json_has_lambda_s_limit() -> None:
    with pytest.raises(ResponseTooLarge, match="is at least 7000002 bytes as JSON"):
        encode_result(encoded(b'"' + b"x" * 7_000_000 + b'"'))


def test_a_result_that_is_no_json_says_so() -> None:
    with pytest.raises(InvocationError, match="cannot be written as JSON: Out of range float"):
        encode_result({"share": float("nan")})


@pytest.mark.parametrize("status", [400, 404, 500, 503])
def test_an_error_status_fails_the_invocation(status: int) -> None:
    with pytest.raises(
        InvocationError, match=f"{status} to POST /events/sqs.*'no such queue'.*PATH"
    ):
        answer(b"no such queue", status)


def test_a_long_answer_is_cut_in_the_error() -> None:
    with pytest.raises(InvocationError) as caught:
        answer(b"x" * 100_000, 500)
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize("status", [200, 202, 204, 307])
def test_other_statuses_accept_the_event(status: int) -> None:
    assert answer(b"", status) is None
