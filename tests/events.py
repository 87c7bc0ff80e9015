"""A small event of each event source, made by keyword; more particular ones are in sources/."""

from __future__ import annotations

from typing import Any

from lamina.types import Event


def url_event(
    path: str = "/", *, method: str = "GET", query: str = "", body: str = "", **headers: str
) -> Event:
    """A Function URL's event (payload 2.0); header names are given with _ for -."""
    return _payload_v2("abc.lambda-url.eu-west-1.on.aws", path, method, query, body, headers)


def http_event(
    path: str = "/", *, method: str = "GET", query: str = "", body: str = "", **headers: str
) -> Event:
    """An HTTP API's event (payload 2.0)."""
    return _payload_v2(
        "abc.execute-api.eu-west-1.amazonaws.com", path, method, query, body, headers
    )


def _payload_v2(
    host: str, path: str, method: str, query: str, body: str, headers: dict[str, str]
) -> Event:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": query,
        "headers": {"host": host, "x-forwarded-proto": "https", **named},
        "requestContext": {
            "domainName": host,
            "stage": "$default",
            "requestId": "r-1",
            "http": {
                "method": method,
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": "203.0.113.7",
            },
        },
        "body": body,
        "isBase64Encoded": False,
    }


def rest_event(path: str = "/", *, method: str = "GET", stage: str = "prod", **more: Any) -> Event:
    """A REST API's event (proxy integration)."""
    return {
        "resource": "/{proxy+}",
        "path": path,
        "httpMethod": method,
        "headers": {"Host": "abc.execute-api.eu-west-1.amazonaws.com"},
        "multiValueHeaders": {"Host": ["abc.execute-api.eu-west-1.amazonaws.com"]},
        "queryStringParameters": None,
        "multiValueQueryStringParameters": None,
        "pathParameters": {"proxy": path.lstrip("/")},
        "requestContext": {
            "resourcePath": "/{proxy+}",
            "resourceId": "x1",
            "stage": stage,
            "path": f"/{stage}{path}",
            "protocol": "HTTP/1.1",
            "identity": {"sourceIp": "203.0.113.7"},
        },
        "body": None,
        "isBase64Encoded": False,
        **more,
    }


def alb_event(path: str = "/", *, method: str = "GET", body: str = "", **headers: str) -> Event:
    """A load balancer's event, with single-value headers."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return {
        "requestContext": {"elb": {"targetGroupArn": "arn:aws:elasticloadbalancing:::tg"}},
        "httpMethod": method,
        "path": path,
        "queryStringParameters": {},
        "headers": {"host": "lb.example", "x-forwarded-for": "203.0.113.7", **named},
        "body": body,
        "isBase64Encoded": False,
    }


SQS_EVENT: Event = {
    "Records": [{"messageId": "m-1", "eventSource": "aws:sqs", "body": "hello", "attributes": {}}]
}
