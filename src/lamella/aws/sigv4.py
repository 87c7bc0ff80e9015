"""AWS Signature Version 4, as headers of a request. A pure function of its arguments.

Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import NamedTuple

from lamella import percent
from lamella.aws.http import split

ALGORITHM = "AWS4-HMAC-SHA256"

HOP_BY_HOP = {
    *("connection", "keep-alive", "proxy-authenticate", "proxy-authorization"),
    *("te", "trailer", "transfer-encoding", "upgrade"),
}
TRACING = {"baggage", "traceparent", "tracestate", "x-amzn-trace-id"}
UNSIGNED = HOP_BY_HOP | TRACING | {"expect", "user-agent"}
"""Headers that what is between us and AWS may change."""


class Credentials(NamedTuple):
    """What a request is signed with; `token` is None for an IAM user's own keys."""

    access_key: str
    secret_key: str
    token: str | None

    def __repr__(self) -> str:
        """Without what is secret: it may come into a log or a traceback."""
        return f"Credentials(access_key={self.access_key!r})"


def sign(
    credentials: Credentials,
    service: str,
    region: str,
    method: str,
    url: str,
    headers: Mapping[str, str],
    body: bytes,
    now: float,
) -> dict[str, str]:
    """`headers` and those that sign the request; `now` is in seconds since the epoch.

    `url` is percent-encoded as it will be sent, its query too; the Host header is the one that
    follows from it. Raises `ValueError` if it is no such URL.
    """
    # Nearly 2 ms; this module itself is imported to send anything.
    from hashlib import sha256
    from hmac import digest

    parts = split(url)
    moment = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now))
    body_hash = sha256(body).hexdigest()
    sent = {**headers, "X-Amz-Date": moment}
    if credentials.token:
        sent["X-Amz-Security-Token"] = credentials.token
    if service == "s3":
        sent["X-Amz-Content-SHA256"] = body_hash

    # Names in lower case and in their order, values with single spaces.
    values = {name.lower(): " ".join(value.split()) for name, value in sent.items()}
    values["host"] = parts.authority
    signed = sorted(values.keys() - UNSIGNED)
    names = ";".join(signed)
    # In the order of names, then values; a name alone has an equals sign after it.
    pairs = sorted(pair.partition("=")[::2] for pair in parts.query.split("&") if parts.query)
    canonical = "\n".join(
        (
            method.upper(),
            parts.path if service == "s3" else canonical_path(parts.path),
            "&".join(f"{name}={value}" for name, value in pairs),
            *(f"{name}:{values[name]}" for name in signed),
            "",
            names,
            body_hash,
        )
    )
    scope = f"{moment[:8]}/{region}/{service}/aws4_request"
    text = f"{ALGORITHM}\n{moment}\n{scope}\n{sha256(canonical.encode()).hexdigest()}"
    key = f"AWS4{credentials.secret_key}".encode()
    for part in scope.split("/"):
        key = digest(key, part.encode(), "sha256")
    signature = digest(key, text.encode(), "sha256").hex()
    sent["Authorization"] = (
        f"{ALGORITHM} Credential={credentials.access_key}/{scope}, "
        f"SignedHeaders={names}, Signature={signature}"
    )
    return sent


def canonical_path(path: str) -> str:
    """A path without dot segments and empty ones, encoded once more as for all services but S3."""
    segments = percent.segments(path)
    end = "/" if path.endswith("/") and segments else ""
    whole = "/" + "/".join(segments) + end
    return percent.encode(whole.encode(), percent.UNRESERVED + b"/").decode()
