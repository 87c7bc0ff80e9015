"""The wire encoders, byte for byte."""

from __future__ import annotations

import base64
import json
import re
from typing import Any

import pytest

from lamella.errors import InvocationError, ResponseTooLarge
from lamella.response import wire


def test_prelude_ends_in_exactly_eight_nul_bytes() -> None:
    data = wire.encode_prelude({"statusCode": 200, "cookies": ["a=b; Path=/"]})
    assert data == b'{"statusCode":200,"cookies":["a=b; Path=/"]}' + b"\0" * 8


def test_chunks() -> None:
    assert wire.chunk(b"x" * 26) == b"1a\r\n" + b"x" * 26 + b"\r\n"
    assert wire.chunk(b"") == b"", "an empty chunk would end the body"
    assert wire.last_chunk() == b"0\r\n\r\n"


def test_an_error_goes_into_the_two_trailers() -> None:
    data = wire.last_chunk(ValueError("the database password is 123")).decode()
    assert data.startswith("0\r\n")
    assert data.endswith("\r\n\r\n")
    trailers = dict(line.split(": ") for line in data.strip().split("\r\n")[1:])
    assert trailers["Lambda-Runtime-Function-Error-Type"] == "Function.ValueError"
    report = json.loads(base64.b64decode(trailers["Lambda-Runtime-Function-Error-Body"]))
    assert report["errorType"] == "Function.ValueError"
    assert "password" not in json.dumps(report), "what can reach a client tells no secrets"


@pytest.mark.parametrize("name", ["boto_core2Error", "Ünglück", "_"])
def test_error_types_are_such_as_lambda_records(name: str) -> None:
    error = type(name, (Exception,), {})()
    report = wire.error_report(error)
    assert re.fullmatch(r"(Runtime|Function)\.[A-Z][a-zA-Z]+", report["errorType"])


def test_D32_a_result_over_the_limit_is_refused_with_its_size() -> None:
    fits = "x" * (wire.PAYLOAD_LIMIT - 2)
    assert len(wire.encode_result(fits)) == 6_291_556
    with pytest.raises(ResponseTooLarge, match=r"is at least 6291557 bytes .*response_stream"):
        wire.encode_result(fits + "x")


LETTERS = ["x", '"', "\\", "\n", "\0", "\x7f", "é", "漢", "😀", 'x"\n\0\x1fé']


def http_result(body: str, is_base64: bool = False) -> dict[str, Any]:
    return {
        "statusCode": 200,
        "headers": {"x-name": "Ünglück"},
        "body": body,
        "isBase64Encoded": is_base64,
    }


@pytest.mark.parametrize("length", [0, 1, 5000])
@pytest.mark.parametrize("letters", LETTERS)
def test_a_body_of_any_length_is_json_of_the_same_size(letters: str, length: int) -> None:
    result = http_result(letters * length)
    payload = wire.encode_result(result)
    assert json.loads(payload) == result
    assert len(payload) == len(wire.encode_json(result).encode())


@pytest.mark.parametrize("result", [http_result("QUJD" * 5000, True), {"body": "x" * 5000}])
def test_base64_and_a_result_with_nothing_but_a_body(result: dict[str, Any]) -> None:
    assert json.loads(wire.encode_result(result)) == result


def test_half_a_surrogate_pair_is_escaped_wherever_it_is() -> None:
    result = http_result("\ud800" * 5000)
    assert json.loads(wire.encode_result(result)) == result
    result = {**http_result("x" * 5000), "headers": {"x-name": "\ud800"}}
    assert json.loads(wire.encode_result(result)) == result


@pytest.mark.parametrize("is_base64", [False, True])
@pytest.mark.parametrize("letters", LETTERS)
def test_D32_a_size_is_checked_to_the_byte(letters: str, is_base64: bool) -> None:
    """Without writing the JSON, and with the verdict and the message of writing it."""
    if is_base64:
        letters = "QUJD"
    room = 100_000 - len(wire.encode_result(http_result("", is_base64)))
    width = len(wire.encode_result(letters)) - 2
    body = letters * (room // width) + "x" * (room % width)
    limit = wire.Limit("the test", 100_000)
    wire.check_size(http_result(body, is_base64), limit)
    assert len(wire.encode_result(http_result(body, is_base64), limit)) == 100_000
    with pytest.raises(ResponseTooLarge, match=r"least 100001 bytes .* the test takes 100000"):
        wire.check_size(http_result(body + "x", is_base64), limit)


def test_what_is_no_json_fails_the_invocation() -> None:
    with pytest.raises(InvocationError, match="cannot be written as JSON"):
        wire.encode_result({"body": b"bytes"})


class Odd(Exception):
    """An application's error, whose `error_type` means something else."""

    def __init__(self, error_type: object) -> None:
        super().__init__()
        self.error_type = error_type


@pytest.mark.parametrize("given", ["Runtime.Gone", "Function.NotFound"])
def test_a_type_that_looks_like_lambda_s_is_taken(given: str) -> None:
    assert wire.error_report(Odd(given))["errorType"] == given


@pytest.mark.parametrize(
    "given", [None, 7, "lost", "Function.", "Function.€", "Runtime.A\r\nX-B: c", "Other.Kind"]
)
def test_any_other_type_is_the_name_of_its_class(given: object) -> None:
    assert wire.error_report(Odd(given))["errorType"] == "Function.Odd"
    trailers = wire.last_chunk(Odd(given)).split(b"\r\n")
    assert trailers[1] == b"Lambda-Runtime-Function-Error-Type: Function.Odd"
    assert len(trailers) == 5


@pytest.mark.parametrize("kind", [type("Odd", (Odd,), {}), type("N" * 70_000, (Odd,), {})])
def test_no_name_makes_a_trailer_that_servers_refuse(kind: type[Odd]) -> None:
    assert len(wire.last_chunk(kind("Function." + "x" * 1_000_000))) < 1_000


def test_a_report_of_half_a_surrogate_pair_can_be_written() -> None:
    report = wire.error_report(InvocationError("\ud800"))
    assert json.loads(wire.encode_report(report))["errorMessage"] == r"\ud800"
