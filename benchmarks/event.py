"""The events: what a Function URL hands to its function for a browser's request, about 2 KB.

Shape: https://docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Mapping

_DOMAIN = "abcdefghijklmnopqrstuvwxyz012345.lambda-url.eu-central-1.on.aws"
_AGENT = (
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/142.0.0.0 Safari/537.36"
)
_COOKIES = ["session=4f1d2c3b5a69788796a5b4c3d2e1f001", "theme=dark", "consent=necessary"]
_HEADERS = {
    "accept": "application/json, text/plain;q=0.9, */*;q=0.8",
    "accept-encoding": "gzip, deflate, br, zstd",
    "accept-language": "en-GB,en;q=0.9,de;q=0.8",
    "cache-control": "no-cache",
    "cookie": "; ".join(_COOKIES),
    "host": _DOMAIN,
    "referer": f"https://{_DOMAIN}/items",
    "sec-ch-ua-platform": '"Linux"',
    "sec-fetch-dest": "empty",
    "sec-fetch-mode": "cors",
    "sec-fetch-site": "same-origin",
    "user-agent": _AGENT,
    "x-amzn-tls-cipher-suite": "TLS_AES_128_GCM_SHA256",
    "x-amzn-tls-version": "TLSv1.3",
    "x-amzn-trace-id": "Root=1-6a5145aa-290a323a5de9a2e0636377d4",
    "x-forwarded-for": "203.0.113.7",
    "x-forwarded-port": "443",
    "x-forwarded-proto": "https",
}


def get(path: str, query: str = "", headers: Mapping[str, str] = {}) -> bytes:
    """The event of a GET request, as JSON; `headers` besides a browser's."""
    return _event("GET", path, query, None, headers)


def post(path: str, body: bytes) -> bytes:
    """The event of a POST request with a binary body, which comes as base64."""
    return _event("POST", path, "", body, {})


def _event(
    method: str, path: str, query: str, body: bytes | None, headers: Mapping[str, str]
) -> bytes:
    event = {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": query,
        "cookies": _COOKIES,
        "headers": {**_HEADERS, **headers},
        "requestContext": {
            "accountId": "anonymous",
            "apiId": _DOMAIN.partition(".")[0],
            "domainName": _DOMAIN,
            "domainPrefix": _DOMAIN.partition(".")[0],
            "http": {
                "method": method,
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": "203.0.113.7",
                "userAgent": _AGENT,
            },
            "requestId": "d16a6b55-dea9-4b23-8499-eb85c3d2d904",
            "routeKey": "$default",
            "stage": "$default",
            "time": "10/Jul/2026:19:19:06 +0000",
            "timeEpoch": 1783711146671,
        },
        "isBase64Encoded": body is not None,
    }
    if query:
        pairs = (pair.partition("=") for pair in query.split("&"))
        event["queryStringParameters"] = {name: value for name, _, value in pairs}
    if body is not None:
        event["headers"]["content-type"] = "application/octet-stream"  # type: ignore[index]
        event["headers"]["content-length"] = str(len(body))  # type: ignore[index]
        event["body"] = b64encode(body).decode()
    return json.dumps(event).encode()
