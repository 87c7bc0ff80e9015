"""Whether a request to @connections is signed as AWS wants it: Signature Version 4.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html. This
is on purpose no user of the layer's own signer: two independent readings check each other.
"""

from __future__ import annotations

import calendar
import hashlib
import hmac
import re
import time
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import quote

from lamella.front_doors.door import HttpRequest

ALGORITHM = "AWS4-HMAC-SHA256"
SERVICE = "execute-api"
CLOCK_SKEW = 300
"""Seconds that the date of a signature may be off."""

AUTHORIZATION = re.compile(
    ALGORITHM + r" Credential=([^/,]+)/(\d{8})/([^/,]+)/([^/,]+)/aws4_request,"
    r"\s*SignedHeaders=([^,]+),\s*Signature=([0-9a-f]{64})"
)


class Unsigned(Exception):
    """The request is refused; `error_type` is AWS's name of the reason."""

    def __init__(self, error_type: str, message: str) -> None:
        super().__init__(message)
        self.error_type = error_type


class _Signed(NamedTuple):
    """The parts of an Authorization header."""

    key_id: str
    day: str
    region: str
    service: str
    headers: str
    signature: str


def check_signature(
    request: HttpRequest, credentials: Mapping[str, str], region: str, now: float
) -> None:
    """Raises Unsigned unless the request is signed with one of `credentials` (secrets by id)."""
    signed = _signed(request)
    if (signed.region, signed.service) != (region, SERVICE):
        raise Unsigned(
            "InvalidSignatureException",
            f"Credential should be scoped to {region}/{SERVICE}, "
            f"not to {signed.region}/{signed.service}.",
        )
    if signed.key_id not in credentials:
        raise Unsigned(
            "UnrecognizedClientException",
            f"The security token included in the request is invalid: {signed.key_id!r} is not "
            "the function's AWS_ACCESS_KEY_ID.",
        )
    date = request.header("x-amz-date") or ""
    if not date.startswith(signed.day) or abs(_epoch(date) - now) > CLOCK_SKEW:
        raise Unsigned("InvalidSignatureException", f"Signature expired: x-amz-date is {date!r}.")
    if not hmac.compare_digest(_expected(request, signed, date, credentials), signed.signature):
        raise Unsigned(
            "InvalidSignatureException",
            "The request signature we calculated does not match the signature you provided. "
            f"The canonical request was\n{_canonical(request, signed.headers)}",
        )


def _signed(request: HttpRequest) -> _Signed:
    found = AUTHORIZATION.fullmatch(request.header("authorization") or "")
    if found is None:
        raise Unsigned("MissingAuthenticationTokenException", "Missing Authentication Token")
    return _Signed(*found.groups())


def _expected(
    request: HttpRequest, signed: _Signed, date: str, credentials: Mapping[str, str]
) -> str:
    key = b"AWS4" + credentials[signed.key_id].encode()
    for part in (signed.day, signed.region, signed.service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    scope = f"{signed.day}/{signed.region}/{signed.service}/aws4_request"
    digest = hashlib.sha256(_canonical(request, signed.headers).encode("latin-1")).hexdigest()
    return hmac.digest(key, f"{ALGORITHM}\n{date}\n{scope}\n{digest}".encode(), "sha256").hex()


def _canonical(request: HttpRequest, names: str) -> str:
    lines = [
        f"{name}:{','.join(' '.join(v.split()) for n, v in request.headers if n == name)}"
        for name in names.split(";")
    ]
    return "\n".join(
        [
            request.method,
            quote(request.raw_path, safe="/-_.~"),  # encoded a second time, as all but S3 do
            "&".join(sorted(request.query.split("&"))),
            *lines,
            "",
            names,
            hashlib.sha256(request.body).hexdigest(),
        ]
    )


def _epoch(date: str) -> float:
    try:
        return calendar.timegm(time.strptime(date, "%Y%m%dT%H%M%SZ"))
    except ValueError:
        return 0.0
