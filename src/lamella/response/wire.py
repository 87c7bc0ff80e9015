"""The bytes of answers: results, their size and limits, reports of errors, and a stream's prelude,
chunks and trailers. Pure functions.

Source: "Response streaming in custom runtimes",
https://docs.aws.amazon.com/lambda/latest/dg/runtimes-custom.html#runtimes-custom-response-streaming
and RFC 9112, section 7.1 (chunked transfer coding).
"""

from __future__ import annotations

import json
import sys
from binascii import b2a_base64
from typing import Any, NamedTuple

from lamella.errors import InvocationError, LamellaError, ResponseTooLarge, message_of
from lamella.types import JSONText, Result

PRELUDE_TYPE = "application/vnd.awslambda.http-integration-response"
"""Content type of the POST whose body begins with a prelude."""

DELIMITER = b"\0" * 8
"""What separates the prelude from the body."""

encode_json = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode
"""JSON text without spaces; anything but JSON's own types raises TypeError, NaN ValueError."""

_encode_ascii = json.JSONEncoder(allow_nan=False, separators=(",", ":")).encode

PAYLOAD_LIMIT = 6 * 1024 * 1024 + 100
"""Bytes of the largest buffered answer that Lambda takes: 6 MB, and 100 bytes of slack.

Source: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html; the exact number
is the one that Lambda's own refusal names.
"""


_CONTROLS = bytes(range(32))

LONG_BODY = 1000
"""Characters from which on a body is worth a look before it is written as JSON."""


class Limit(NamedTuple):
    """A largest size in `size` bytes of JSON, whose it is, and a way out that others have not."""

    taker: str
    size: int
    way_out: str = ""


LAMBDA_LIMIT = Limit(
    "Lambda",
    PAYLOAD_LIMIT,
    "stream it (ASGI_INVOKE_MODE=response_stream behind a Function URL or a REST API), ",
)


def encode_result(result: Result, limit: Limit = LAMBDA_LIMIT) -> bytes:
    """A buffered result as JSON bytes. Raises `ResponseTooLarge`, `InvocationError`."""
    try:
        try:
            payload = result.text if isinstance(result, JSONText) else _encode(result)
        except UnicodeEncodeError:
            # Half a surrogate pair has no UTF-8, but JSON can spell it: all letters as escapes.
            payload = _encode_ascii(result).encode()
    except (TypeError, ValueError) as error:
        raise InvocationError(f"The result cannot be written as JSON: {error}") from error
    if len(payload) > limit.size:
        raise ResponseTooLarge(
            f"The response is at least {len(payload)} bytes as JSON, and {limit.taker} takes "
            f"{limit.size}: {limit.way_out}compress it (ASGI_COMPRESSION=auto), "
            "or answer with a link to it."
        )
    return payload


def _encode(result: Result) -> bytes:
    """JSON with a long body as its last member: base64 needs no escapes, and in ASCII they are
    found faster. Only the DEL character is longer there. Other HTTP results are written by orjson
    where the application has imported that."""
    body = result.get("body") if isinstance(result, dict) else None
    if not isinstance(body, str):
        return encode_json(result).encode()
    is_long = len(body) > LONG_BODY and body.isascii() and "\x7f" not in body
    is_base64 = is_long and _is_base64(result)
    orjson = sys.modules.get("orjson")
    if orjson is not None and not is_base64:
        try:
            written: bytes = orjson.dumps(result)
        except TypeError:  # half of a surrogate pair, which `json` can spell
            pass
        else:
            return written
    if not is_long:
        return encode_json(result).encode()
    rest = {key: result[key] for key in result if key != "body"} | {"body": ""}
    head = encode_json(rest).encode()[:-3]  # without ""}
    if is_base64:
        return b'%b"%b"}' % (head, body.encode())
    return b"%b%b}" % (head, _encode_ascii(body).encode())


def _is_base64(result: dict[str, Any]) -> bool:
    """Whether an HTTP result's body is base64; Lambda@Edge has a word for it."""
    return result.get("isBase64Encoded") is True or result.get("bodyEncoding") == "base64"


def check_size(result: Result, limit: Limit = LAMBDA_LIMIT) -> None:
    """Raise what `encode_result` does, but write the JSON only where the result may be too large.

    JSON writes a character in six bytes at most (\\u0000), and headers are small: most results
    need no second look.
    """
    body = result.get("body") if isinstance(result, dict) else None
    if isinstance(body, str):
        if len(body) * 12 <= limit.size:
            return
        size = len(encode_json({**result, "body": ""}).encode()) + len(body)
        if not _is_base64(result):
            data = body.encode()
            short = data.translate(None, b'"\\\b\f\n\r\t')  # these take a byte more, as in \n
            size += 2 * len(data) - len(short) - len(body)
            size += 5 * (len(short) - len(short.translate(None, _CONTROLS)))
        if size <= limit.size:
            return
    encode_result(result, limit)


def decode_result(result: Result) -> Result:
    """A result as Python objects, for awslambdaric to write as JSON again.

    Its encoder, simplejson, takes a body in base64 as ready JSON. It writes a Decimal digit by
    digit, so a number is one where a float or an int would not be the same number. What is lost is
    the spelling: 1.50 leaves as 1.5, and of a key that is there twice, the last value.
    """
    if isinstance(result, dict) and _is_base64(result):
        return Base64Result(result)
    if not isinstance(result, JSONText):
        return result

    def number(digits: str) -> Any:
        found = float(digits)
        if repr(found) == digits:
            return found
        from decimal import Decimal

        exact = Decimal(digits)
        return found if exact == Decimal(repr(found)) else exact

    def integer(digits: str) -> Any:
        # Python reads no integer of more than 4,300 digits.
        return int(digits) if len(digits) < 4300 else number(digits)

    try:
        return json.loads(result.text, parse_float=number, parse_int=integer)
    except ArithmeticError:  # an exponent of 19 digits, which not even Decimal has
        return result.text.decode()


class Base64Result(dict[str, Any]):
    """An HTTP result whose body simplejson does not search for what needs an escape: base64 has
    none. That search was a quarter of the CPU of a binary answer of 100 KB [measured]."""

    def __init__(self, result: dict[str, Any]) -> None:
        super().__init__(result)
        self._base64 = result.get("body")

    def _asdict(self) -> dict[str, Any]:
        """What simplejson writes in this dictionary's place; tools may have changed the body."""
        body = self.get("body")
        if body is not self._base64:
            return dict(self)
        return {**self, "body": sys.modules["simplejson"].RawJSON(f'"{body}"')}


def encode_prelude(metadata: dict[str, Any]) -> bytes:
    """The JSON metadata (`statusCode`, `headers`, `cookies`) and the delimiter."""
    return encode_json(metadata).encode() + DELIMITER


def chunk(data: bytes) -> bytes:
    """One chunk. Empty data gives no bytes, because an empty chunk would end the body."""
    return b"%x\r\n%b\r\n" % (len(data), data) if data else b""


LAST_CHUNK = b"0\r\n\r\n"


def last_chunk(error: BaseException | None = None) -> bytes:
    """The end of a chunked body; an error goes into Lambda's two trailers."""
    if error is None:
        return LAST_CHUNK
    report = error_report(error)
    body = b2a_base64(encode_report(report), newline=False).decode()
    return (
        "0\r\n"
        f"Lambda-Runtime-Function-Error-Type: {report['errorType']}\r\n"
        f"Lambda-Runtime-Function-Error-Body: {body}\r\n\r\n"
    ).encode("latin-1")


LONGEST_NAME = 200
"""Letters of an error's type: they go into header lines and trailers, which servers limit."""


def error_report(error: BaseException, request_id: str = "") -> dict[str, Any]:
    """An error as the Runtime API wants it: `errorMessage`, `errorType`, `stackTrace`.

    It never raises, whatever the error's own attributes do. The stack trace stays out of reports
    that can reach a client: it goes to the log.
    """
    name = type(error).__name__[:LONGEST_NAME]
    return {
        "errorMessage": message_of(error) if isinstance(error, LamellaError) else name,
        "errorType": _error_type(error, name),
        "requestId": request_id,
        "stackTrace": [],
    }


def encode_report(report: dict[str, Any]) -> bytes:
    """An error's report as JSON bytes. Every letter outside ASCII is escaped: half a surrogate
    pair has no UTF-8."""
    return _encode_ascii(report).encode()


def _error_type(error: BaseException, name: str) -> str:
    """The type under which Lambda records an error; it goes into a header line.

    Lambda takes `Runtime.` or `Function.` and letters. `error_type` may be an attribute of the
    application's own errors, with another meaning and anything for a value.
    """
    try:
        given = str.__str__(error.error_type)  # type: ignore[attr-defined]  # that is the question
    except BaseException:
        given = ""
    family, _, letters = given.partition(".")
    if family in ("Runtime", "Function") and letters.isascii() and letters.isalpha():
        return given[:LONGEST_NAME]
    letters = "".join(c for c in name if c.isalpha() and c.isascii())
    return f"Function.{letters[:1].upper() + letters[1:] or 'Error'}"
