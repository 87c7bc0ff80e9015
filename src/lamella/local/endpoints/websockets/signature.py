"""Whether a request to @connections is signed as AWS wants it: Signature Version 4.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html. The
judge is botocore, AWS's own signer, and not the layer's: two independent readings check each other.
"""

from __future__ import annotations

import calendar
import hashlib
import hmac
import re
import time
from collections.abc import Mapping

from lamella.front_doors.door import HttpRequest

SERVICE = "execute-api"
CLOCK_SKEW = 300
"""Seconds that the date of a signature may be off."""

AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=([^/,]+)/(\d{8})/([^/,]+)/([^/,]+)/aws4_request,"
    r"\s*SignedHeaders=([^,]+),\s*Signature=([0-9a-f]{64})"
)


class Unsigned(Exception):
    """The request is refused; `error_type` is AWS's name of the reason."""

    def __init__(self, error_type: str, message: str) -> None:
        super().__init__(message)
        self.error_type = error_type


def check_signature(
    request: HttpRequest, credentials: Mapping[str, str], region: str, now: float
) -> None:
    """Check who signed `request`, for what, when, and that it is what was signed.

    `credentials` are secrets by access key id, `now` is in seconds since the epoch. Raises
    `Unsigned` unless all of it is right.
    """
    found = AUTHORIZATION.fullmatch(request.header("authorization") or "")
    if found is None:
        raise Unsigned("MissingAuthenticationTokenException", "Missing Authentication Token")
    key_id, day, signed_region, service, names, signature = found.groups()
    if (signed_region, service) != (region, SERVICE):
        raise Unsigned(
            "InvalidSignatureException",
            f"Credential should be scoped to {region}/{SERVICE}, not to {signed_region}/{service}.",
        )
    if key_id not in credentials:
        raise Unsigned(
            "UnrecognizedClientException",
            f"The security token included in the request is invalid: {key_id!r} is not the "
            "function's AWS_ACCESS_KEY_ID.",
        )
    date = request.header("x-amz-date") or ""
    try:
        age = now - calendar.timegm(time.strptime(date, "%Y%m%dT%H%M%SZ"))
    except ValueError:
        age = float("inf")
    if not date.startswith(day) or abs(age) > CLOCK_SKEW:
        raise Unsigned("InvalidSignatureException", f"Signature expired: x-amz-date is {date!r}.")
    expected, canonical = _signed_by_botocore(request, names, key_id, credentials[key_id], region)
    if not hmac.compare_digest(expected, signature):
        raise Unsigned(
            "InvalidSignatureException",
            "The request signature we calculated does not match the signature you provided. "
            f"The canonical request was\n{canonical}",
        )


def _signed_by_botocore(
    request: HttpRequest, names: str, key_id: str, secret: str, region: str
) -> tuple[str, str]:
    """The signature that botocore gives the request, and the canonical request that it signs.

    The headers called `names` ("host;x-amz-date") are signed. A hash of the body among them is
    not believed: the body's own stands in its place.
    """
    # Imported with the first request: these take a quarter of a second.
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    url = f"http://localhost{request.raw_path}?{request.query}"
    asked = AWSRequest(request.method, url, data=request.body)
    for name, value in request.headers:
        if name == "x-amz-content-sha256":
            value = hashlib.sha256(request.body).hexdigest()
        if name in names.split(";"):
            asked.headers[name] = value  # one more: a header that is sent twice stays twice
    asked.context["timestamp"] = request.header("x-amz-date")
    judge = SigV4Auth(Credentials(key_id, secret), SERVICE, region)
    canonical = judge.canonical_request(asked)
    return judge.signature(judge.string_to_sign(asked, canonical), asked), canonical
