"""Events as AWS makes them, small and inline, so that no test depends on a file.

Each builder gives the same adversarial request, in the words of one event source, as it was
captured on AWS: path /capture/space%20value, a query with duplicates, a literal and an encoded
plus, an escaped URL and an empty value, one header sent twice and two cookies. Keyword
arguments replace top-level fields; `without` takes nested fields away.
"""

from __future__ import annotations

import copy
from typing import Any

from lamella.sources import registry
from lamella.types import Event, Request, Response

BODY = '{"unicode":"lambda-λ"}'
QUERY = (
    "repeat=one&repeat=two&redirect=https%3A%2F%2Fexample.com%2Fa%2Fb"
    "&literalPlus=a+b&encodedPlus=a%2Bb&empty="
)
API = "abc123.execute-api.us-west-2.amazonaws.com"
URL = "abc123.lambda-url.us-west-2.on.aws"
ELB = "lb-1.us-west-2.elb.amazonaws.com"
LATTICE = "svc-1.vpc-lattice-svcs.us-west-2.on.aws"


def decode(event: Any) -> Request:
    """The request in an event, by the codec that the registry finds for it."""
    return registry.load(registry.find(event)).decode(event)


def encode(
    event: Any,
    status: int = 200,
    headers: list[tuple[bytes, bytes]] | None = None,
    body: bytes = b"",
    text_types: tuple[str, ...] = (),
) -> Any:
    """The result of a response to `event`, by the codec that the registry finds for it."""
    codec = registry.load(registry.find(event))
    return codec.encode(Response(status, headers or [], body), event, text_types)


def header(request: Request, name: bytes) -> list[bytes]:
    """Every value of one header."""
    return [value for key, value in request.headers if key == name]


def without(event: Event, *keys: str) -> Event:
    """A copy without the field that the keys lead to."""
    copied = copy.deepcopy(event)
    holder = copied
    for key in keys[:-1]:
        holder = holder[key]
    del holder[keys[-1]]
    return copied


def _v2_headers(host: str) -> dict[str, str]:
    return {
        "accept": "*/*",
        "content-length": "23",
        "content-type": "application/json",
        "host": host,
        "x-forwarded-for": "203.0.113.7",
        "x-forwarded-port": "443",
        "x-forwarded-proto": "https",
        "x-voker-probe": "first,second",
    }


def _v2(host: str, raw_path: str, stage: str, **fields: Any) -> Event:
    event: Event = {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": raw_path,
        "rawQueryString": QUERY,
        "cookies": ["session=abc123", "theme=dark"],
        "headers": _v2_headers(host),
        "requestContext": {
            "apiId": "abc123",
            "domainName": host,
            "http": {
                "method": "POST",
                "path": "/capture/space value",
                "protocol": "HTTP/1.1",
                "sourceIp": "203.0.113.7",
            },
            "stage": stage,
        },
        "body": BODY,
        "isBase64Encoded": False,
    }
    return {**event, **fields}


def http_event(stage: str = "$default", **fields: Any) -> Event:
    """HTTP API, payload 2.0: rawPath decoded, cookies taken out of the headers."""
    return _v2(API, fields.pop("rawPath", "/capture/space value"), stage, **fields)


def url_event(**fields: Any) -> Event:
    """Function URL: rawPath encoded, cookies in the list and in the headers."""
    event = _v2(URL, "/capture/space%20value", "$default")
    event["headers"]["cookie"] = "session=abc123; theme=dark"
    return {**event, **fields}


def _v1_headers() -> dict[str, list[str]]:
    return {
        "Host": [API],
        "X-Forwarded-For": ["203.0.113.7"],
        "X-Forwarded-Port": ["443"],
        "X-Forwarded-Proto": ["https"],
        "accept": ["*/*"],
        "content-type": ["application/json"],
        "cookie": ["session=abc123; theme=dark"],
        "x-voker-probe": ["first", "second"],
    }


def rest_event(**fields: Any) -> Event:
    """REST API on its default domain, stage live: the path encoded and without the stage."""
    multi = _v1_headers()
    event: Event = {
        "resource": "/{proxy+}",
        "path": "/capture/space%20value",
        "httpMethod": "POST",
        "headers": {name: values[-1] for name, values in multi.items()},
        "multiValueHeaders": multi,
        "queryStringParameters": {
            "empty": "",
            "encodedPlus": "a+b",
            "literalPlus": "a b",
            "redirect": "https://example.com/a/b",
            "repeat": "two",
        },
        "multiValueQueryStringParameters": {
            "empty": [""],
            "encodedPlus": ["a+b"],
            "literalPlus": ["a b"],
            "redirect": ["https://example.com/a/b"],
            "repeat": ["one", "two"],
        },
        "pathParameters": {"proxy": "capture/space%20value"},
        "stageVariables": None,
        "requestContext": {
            "apiId": "abc123",
            "domainName": API,
            "identity": {"sourceIp": "203.0.113.7"},
            "path": "/live/capture/space%20value",
            "protocol": "HTTP/1.1",
            "resourceId": "al6gqb",
            "resourcePath": "/{proxy+}",
            "stage": "live",
        },
        "body": BODY,
        "isBase64Encoded": False,
    }
    return {**event, **fields}


def custom_domain_event(path: str, **fields: Any) -> Event:
    """REST API on a custom domain: both paths the same, with the mapping's base path in them."""
    event = rest_event(path=path)
    event["requestContext"]["path"] = path
    return {**event, **fields}


def http_v1_event(stage: str = "$default", **fields: Any) -> Event:
    """HTTP API, payload 1.0: like a REST API, but with a version, and the path decoded."""
    event = rest_event(version="1.0", resource="$default", path="/capture/space value")
    event["pathParameters"] = None
    event["requestContext"].update(
        path="/capture/space value", stage=stage, resourceId="$default", resourcePath="$default"
    )
    return {**event, **fields}


def alb_event(**fields: Any) -> Event:
    """ALB with multi-value headers enabled: path and parameters encoded."""
    event: Event = {
        "requestContext": {"elb": {"targetGroupArn": "arn:aws:elasticloadbalancing:tg/1"}},
        "httpMethod": "POST",
        "path": "/capture/space%20value",
        "queryStringParameters": None,
        "multiValueQueryStringParameters": {
            "empty": [""],
            "encodedPlus": ["a%2Bb"],
            "literalPlus": ["a+b"],
            "redirect": ["https%3A%2F%2Fexample.com%2Fa%2Fb"],
            "repeat": ["one", "two"],
        },
        "headers": None,
        "multiValueHeaders": {
            "accept": ["*/*"],
            "content-type": ["application/json"],
            "cookie": ["session=abc123; theme=dark"],
            "host": [ELB],
            "x-forwarded-for": ["203.0.113.7"],
            "x-forwarded-port": ["80"],
            "x-forwarded-proto": ["http"],
            "x-voker-probe": ["first", "second"],
        },
        "body": BODY,
        "isBase64Encoded": False,
    }
    return {**event, **fields}


def alb_single_event(**fields: Any) -> Event:
    """ALB as it comes by default: one value for each header and parameter, the last."""
    event = alb_event()
    for single, multi in (
        ("headers", event.pop("multiValueHeaders")),
        ("queryStringParameters", event.pop("multiValueQueryStringParameters")),
    ):
        event[single] = {name: values[-1] for name, values in multi.items()}
    return {**event, **fields}


def lattice_event(**fields: Any) -> Event:
    """VPC Lattice, event version 2."""
    event: Event = {
        "version": "2.0",
        "path": "/capture/space%20value",
        "method": "POST",
        "headers": {
            "host": [LATTICE],
            "x-forwarded-for": ["203.0.113.7"],
            "x-voker-probe": ["first", "second"],
        },
        "queryStringParameters": {"repeat": ["one", "two"], "plus": ["a%2Bb"]},
        "body": BODY,
        "isBase64Encoded": False,
        "requestContext": {
            "serviceArn": "arn:aws:vpc-lattice:us-west-2:123456789012:service/svc-1",
            "timeEpoch": "1696331543569073",
        },
    }
    return {**event, **fields}


def lattice_v1_event(**fields: Any) -> Event:
    """VPC Lattice, event version 1: the query is part of raw_path."""
    event: Event = {
        "raw_path": "/capture/space%20value?" + QUERY,
        "method": "POST",
        "headers": {
            "host": LATTICE,
            "x-forwarded-for": "203.0.113.7",
            "x-voker-probe": "first, second",
        },
        "query_string_parameters": {"repeat": "two"},
        "body": BODY,
        "is_base64_encoded": False,
    }
    return {**event, **fields}


def edge_event(**fields: Any) -> Event:
    """Lambda@Edge on viewer-request; keyword arguments replace fields of the request."""
    request = {
        "clientIp": "203.0.113.7",
        "method": "POST",
        "uri": "/capture/space%20value",
        "querystring": QUERY,
        "headers": {
            "host": [{"key": "Host", "value": "d111111abcdef8.cloudfront.net"}],
            "x-voker-probe": [
                {"key": "X-Voker-Probe", "value": "first"},
                {"key": "X-Voker-Probe", "value": "second"},
            ],
        },
        "body": {
            "action": "read-only",
            "data": "eyJ1bmljb2RlIjoibGFtYmRhLc67In0=",
            "encoding": "base64",
            "inputTruncated": False,
        },
    }
    config = {"distributionId": "EXAMPLE", "eventType": "viewer-request"}
    return {"Records": [{"cf": {"config": config, "request": {**request, **fields}}}]}


HTTP_EVENTS = {
    "url": url_event,
    "http": http_event,
    "http-v1": http_v1_event,
    "rest": rest_event,
    "alb": alb_event,
    "lattice": lattice_event,
    "lattice-v1": lattice_v1_event,
    "edge": edge_event,
}
"""The builder of each source that speaks HTTP, by the source's name."""
