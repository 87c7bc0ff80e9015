"""REST APIs (API Gateway v1) with a `{proxy+}` resource and Lambda proxy integration.

https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-lambda-proxy-integrations.html;
streaming: .../response-transfer-mode-lambda.html; headers: .../api-gateway-known-issues.html.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from lamella.front_doors.door import (
    ACCOUNT_ID,
    API_ID,
    REGION,
    FrontDoor,
    HeadLimit,
    HttpRequest,
    HttpResponse,
    Malformed,
    Pairs,
    Refused,
    Trouble,
    json_response,
)
from lamella.front_doors.heads import OF_REST_API
from lamella.front_doors.prelude import END as PRELUDE_END
from lamella.front_doors.requests import (
    below,
    clock,
    decoded_query,
    domain_of,
    listed,
    media_type,
    packed_body,
    with_forwarded,
)
from lamella.front_doors.results import (
    as_object,
    body_bytes,
    body_text,
    limited,
    merged_headers,
    parsed,
    sendable,
    status_code,
    with_default_type,
)

DOMAIN = f"{API_ID}.execute-api.{REGION}.amazonaws.com"

REQUEST_DROPPED = {
    *("connection", "content-length", "content-md5", "expect", "max-forwards"),
    *("proxy-authenticate", "server", "te", "trailer", "upgrade", "www-authenticate"),
}
RESPONSE_REMAPPED = {
    *("authorization", "connection", "content-md5", "date", "max-forwards", "server"),
    *("user-agent", "www-authenticate"),
}
RESPONSE_DROPPED = {"expect", "host", "proxy-authenticate", "te", "trailer", "upgrade", "via"}
RESULT_KEYS = frozenset({"statusCode", "headers", "multiValueHeaders", "body", "isBase64Encoded"})
PRELUDE_KEYS = frozenset({"statusCode", "headers", "multiValueHeaders", "cookies"})

TROUBLES = {
    Trouble.BAD_PRELUDE: (500, "Internal server error"),
    Trouble.TIMEOUT: (504, "Endpoint request timed out"),
    Trouble.TOO_LARGE: (413, "Request Too Long"),
    Trouble.HEADERS_TOO_LARGE: (431, "Request Header Fields Too Large"),
    Trouble.URL_TOO_LONG: (414, "Request URI Too Long"),
    Trouble.THROTTLED: (429, "Too Many Requests"),
    Trouble.NO_ROUTE: (403, "Forbidden"),
}
"""Everything else is a 502 "Internal server error". The 431 is one user's, and
UNVERIFIED (docs/verified.md#a-request-over-the-limit-of-a-rest-api); the 414 is
UNVERIFIED (docs/verified.md#a-url-over-the-limit-of-a-rest-api)."""


@dataclass
class RestApi(FrontDoor):
    """A REST API; `streaming` is the integration's responseTransferMode STREAM.

    Clients reach the API's own domain below `/{stage}`; with `base`, the base path of a custom
    domain that is mapped to the stage, below that instead. `binary_media_types` are the API's.
    `time_limit` None is AWS's own: 29 seconds, or 15 minutes for streamed answers. `silence` None
    is AWS's, too: 5 minutes, which are those of a regional API; an edge-optimized one has 30 s.
    """

    stage: str = "prod"
    base: str = ""
    streaming: bool = False
    binary_media_types: tuple[str, ...] = ("*/*",)
    time_limit: float | None = None
    silence: float | None = None
    name: ClassVar[str] = "rest"
    label: ClassVar[str] = "API Gateway REST API"
    host: ClassVar[str] = DOMAIN
    head_limits: ClassVar[tuple[HeadLimit, ...]] = OF_REST_API

    def __post_init__(self) -> None:
        if self.time_limit is None:
            self.time_limit = 900.0 if self.streaming else 29.0
        if self.silence is None:
            self.silence = 300.0

    def event(self, request: HttpRequest) -> dict[str, Any]:
        """`path` as sent, without the stage; query maps percent-decoded."""
        path = below(self.base or f"/{self.stage}", request.raw_path)
        if path is None:
            raise Refused(Trouble.NO_ROUTE)
        inside = self.base + path
        headers = listed(_event_headers(request))
        query = listed(decoded_query(request.query))
        tail = path.lstrip("/")
        body: str | None = None
        encoded = bool(request.body) and self._is_binary(media_type(request))
        if encoded:
            body, _ = packed_body(request.body, as_text=False)
        elif request.body:
            body = request.body.decode("utf-8", "replace")  # lossy on AWS as well
        return {
            "resource": "/{proxy+}" if tail else "/",
            "path": inside,
            "httpMethod": request.method,
            "headers": {name: values[-1] for name, values in headers.items()},
            "multiValueHeaders": headers,
            "queryStringParameters": {k: v[-1] for k, v in query.items()} or None,
            "multiValueQueryStringParameters": query or None,
            "pathParameters": {"proxy": tail} if tail else None,
            "stageVariables": None,
            "requestContext": self._context(request, inside, bool(tail)),
            "body": body,
            "isBase64Encoded": encoded,
        }

    def response(self, payload: bytes, request: HttpRequest, /) -> HttpResponse:
        """The response of a result. Raises Malformed, for unknown keys too."""
        if PRELUDE_END in payload:
            # A buffered integration that gets a streamed answer: the body is lost on AWS.
            prelude = as_object(parsed(payload.partition(PRELUDE_END)[0]))
            return self.stream_head(prelude)
        result = as_object(parsed(payload))
        _only(RESULT_KEYS, result)
        status = status_code(result)
        headers = _remapped(sendable(merged_headers(result)))
        # API Gateway looks at the first media type of Accept only.
        accepted = (request.header("accept") or "").partition(",")[0].partition(";")[0]
        if result.get("isBase64Encoded") and self._is_binary(accepted.strip().lower()):
            body = body_bytes(result)
        else:
            body = body_text(result).encode("utf-8")
        return limited(_with_type(HttpResponse(status, headers, body)))

    def stream_head(self, prelude: Mapping[str, Any], /) -> HttpResponse:
        """Status and headers of a prelude. Raises Malformed."""
        _only(PRELUDE_KEYS, prelude)
        status = status_code({"statusCode": prelude.get("statusCode", 200)})
        pairs = merged_headers(prelude) + [
            ("set-cookie", str(cookie)) for cookie in prelude.get("cookies") or []
        ]
        pairs = [pair for pair in pairs if pair[0] != "transfer-encoding"]
        return limited(_with_type(HttpResponse(status, _remapped(pairs), b"")))

    def trouble(self, trouble: Trouble) -> HttpResponse:
        """The API's own answers, as {"message": ...}."""
        status, message = TROUBLES.get(trouble, (502, "Internal server error"))
        return json_response(status, {"message": message})

    def added_headers(self, request: HttpRequest, /) -> Pairs:
        """The request's ids."""
        return [
            ("x-amzn-requestid", request.request_id),
            ("x-amz-apigw-id", _extended_id(request)),
        ]

    def base_url(self, origin: str) -> str:
        """The origin with the stage, or with the base path."""
        return origin + (self.base or f"/{self.stage}")

    def _is_binary(self, kind: str) -> bool:
        family = kind.partition("/")[0] + "/*"
        return any(allowed in ("*/*", kind, family) for allowed in self.binary_media_types)

    def _context(self, request: HttpRequest, inside: str, proxied: bool) -> dict[str, Any]:
        unknown = (
            *("accessKey", "accountId", "apiKey", "apiKeyId", "caller", "clientCert"),
            *("cognitoAuthenticationProvider", "cognitoAuthenticationType", "cognitoIdentityId"),
            *("cognitoIdentityPoolId", "principalOrgId", "user", "userArn"),
        )
        known = {"sourceIp": request.client_ip, "userAgent": request.header("user-agent")}
        domain = domain_of(request, DOMAIN)
        return {
            "accountId": ACCOUNT_ID,
            "apiId": API_ID,
            "authorizer": None,
            "domainName": domain,
            "domainPrefix": domain.partition(".")[0],
            "extendedRequestId": _extended_id(request),
            "httpMethod": request.method,
            "identity": {**dict.fromkeys(unknown), **known},
            "operationName": None,
            "path": inside if self.base else f"/{self.stage}{inside}",
            "protocol": "HTTP/1.1",
            "requestId": request.request_id,
            "requestTime": clock(request),
            "requestTimeEpoch": int(request.at * 1000),
            "resourceId": "local0",
            "resourcePath": "/{proxy+}" if proxied else "/",
            "stage": self.stage,
        }


def _event_headers(request: HttpRequest) -> Pairs:
    """Names as an HTTP/2 client sends them (lower case), but for those that AWS rewrites."""

    def cased(name: str) -> str:
        if name in ("host", "user-agent") or name.startswith(("x-forwarded-", "x-amzn-trace")):
            return "-".join(word.capitalize() for word in name.split("-"))
        return name

    kept = (pair for pair in with_forwarded(request) if pair[0] not in REQUEST_DROPPED)
    return [(cased(name), value) for name, value in kept]


def _only(allowed: frozenset[str], result: Mapping[str, Any]) -> None:
    if unknown := sorted(set(result) - allowed):
        raise Malformed(f"a REST API refuses the keys {unknown}; allowed are {sorted(allowed)}")


def _remapped(headers: Pairs) -> Pairs:
    return [
        (f"x-amzn-remapped-{name}" if name in RESPONSE_REMAPPED else name, value)
        for name, value in headers
        if name not in RESPONSE_DROPPED
    ]


def _with_type(response: HttpResponse) -> HttpResponse:
    return response._replace(headers=with_default_type(response.headers, "application/json"))


def _extended_id(request: HttpRequest) -> str:
    return request.request_id.replace("-", "")[:15] + "="
