"""Events as each source makes them, by keyword; every one a new dictionary, yours to change.

    events.http_api(method="POST", path="/items", json={"name": "x"})
    events.rest_api(path="/items", stage="live", headers={"accept": "text/html"})
    events.sqs(bodies=["one", "two"])

The local Lambda's front doors make the HTTP ones, so paths, queries, header maps and base64 are
as AWS encodes them for that source. `lamella.local.events.samples` makes the others.
"""

from __future__ import annotations

import json as json_module
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from lamella.front_doors import (
    Edge,
    FrontDoor,
    FunctionUrl,
    HttpApi,
    HttpApiV1,
    HttpRequest,
    Lattice,
    LoadBalancer,
    RestApi,
)
from lamella.local.endpoints.websockets import events as websocket
from lamella.local.events.samples import bedrock_agent as bedrock_agent
from lamella.local.events.samples import cloudwatch_logs as cloudwatch_logs
from lamella.local.events.samples import cognito as cognito
from lamella.local.events.samples import documentdb as documentdb
from lamella.local.events.samples import dynamodb as dynamodb
from lamella.local.events.samples import event_bridge as event_bridge
from lamella.local.events.samples import iot as iot
from lamella.local.events.samples import kafka as kafka
from lamella.local.events.samples import kinesis as kinesis
from lamella.local.events.samples import mq as mq
from lamella.local.events.samples import other as other
from lamella.local.events.samples import s3 as s3
from lamella.local.events.samples import scheduler as scheduler
from lamella.local.events.samples import sns as sns
from lamella.local.events.samples import sqs as sqs
from lamella.local.events.samples import step_functions as step_functions
from lamella.types import Event

if TYPE_CHECKING:
    from typing import TypedDict, Unpack

    Pairs = Mapping[str, str] | Iterable[tuple[str, str]]

    class RequestArguments(TypedDict, total=False):
        """What the client sent.

        `path` is percent-encoded, as on the wire, and may end in a query; `query` is the encoded
        text, or names and values to encode. `headers` may repeat a name if given as pairs.
        `body` is bytes, or text for UTF-8; `json` any value, sent as application/json.
        """

        method: str
        path: str
        query: str | Pairs
        headers: Pairs
        body: bytes | str
        json: Any
        client_ip: str
        scheme: str


CONNECTION_ID = "R1kmxc2VNjMCFIA="


def function_url(**request: Unpack[RequestArguments]) -> Event:
    """A Lambda Function URL's event (payload format 2.0)."""
    return _event(FunctionUrl(), **request)


def http_api(*, stage: str = "$default", **request: Unpack[RequestArguments]) -> Event:
    """An HTTP API's event, payload format 2.0; `path` is the one below the stage."""
    return _event(HttpApi(stage=stage), **request)


def http_api_v1(*, stage: str = "$default", **request: Unpack[RequestArguments]) -> Event:
    """An HTTP API's event, payload format 1.0; `path` is the one below the stage."""
    return _event(HttpApiV1(stage=stage), **request)


def rest_api(
    *,
    stage: str = "prod",
    base: str = "",
    binary_media_types: tuple[str, ...] = ("*/*",),
    **request: Unpack[RequestArguments],
) -> Event:
    """A REST API's event (Lambda proxy integration on `{proxy+}`).

    `path` is the one below the stage, or below `base`, a custom domain's mapping such as "/v1".
    """
    door = RestApi(stage=stage, base=base, binary_media_types=binary_media_types)
    return _event(door, **request)


def alb(*, multi_value: bool = False, **request: Unpack[RequestArguments]) -> Event:
    """A load balancer's event; `multi_value` as the target group's attribute."""
    return _event(LoadBalancer(multi_value=multi_value), **request)


def lattice(**request: Unpack[RequestArguments]) -> Event:
    """A VPC Lattice event, version 2."""
    return _event(Lattice(), **request)


def lattice_v1(**request: Unpack[RequestArguments]) -> Event:
    """A VPC Lattice event, version 1."""
    return _event(Lattice(version=1), **request)


def edge_request(
    *, event_type: str = "viewer-request", **request: Unpack[RequestArguments]
) -> Event:
    """A CloudFront event for Lambda@Edge: "viewer-request" or "origin-request"."""
    return _event(Edge(event_type=event_type), **request)


def websocket_connect(
    *,
    connection_id: str = CONNECTION_ID,
    stage: str = "prod",
    authorizer: Mapping[str, Any] | None = None,
    **request: Unpack[RequestArguments],
) -> Event:
    """A WebSocket API's $connect. API Gateway tells no path: `path` may hold the query only."""
    event = websocket.connect_event(_handshake(connection_id, stage, **request))
    if authorizer is not None:
        event["requestContext"]["authorizer"] = dict(authorizer)
    return event


def websocket_message(
    text: str,
    *,
    connection_id: str = CONNECTION_ID,
    stage: str = "prod",
    route_key: str = "$default",
) -> Event:
    """A message of a WebSocket's client; `route_key` is that of the route that it came by."""
    return websocket.message_event(_handshake(connection_id, stage), route_key, text)


def websocket_disconnect(
    *,
    connection_id: str = CONNECTION_ID,
    stage: str = "prod",
    code: int = 1001,
    reason: str = "Going away",
) -> Event:
    """A WebSocket API's $disconnect."""
    return websocket.disconnect_event(_handshake(connection_id, stage), code, reason)


def _handshake(
    connection_id: str, stage: str, **request: Unpack[RequestArguments]
) -> websocket.Handshake:
    return websocket.Handshake(connection_id, stage, http_request(HttpApi(), **request))


def http_request(
    door: FrontDoor,
    *,
    method: str = "GET",
    path: str = "/",
    query: str | Pairs = "",
    headers: Pairs = (),
    body: bytes | str = b"",
    json: Any = None,
    client_ip: str = "203.0.113.7",
    scheme: str = "https",
) -> HttpRequest:
    """A client's request to `door`, with the arguments that all builders take."""
    raw_path, _, in_path = path.partition("?")
    pairs = [(name.lower(), value) for name, value in _items(headers)]
    names = {name for name, _ in pairs}
    if "host" not in names:
        pairs.insert(0, ("host", door.host))
    if json is not None:
        body = json_module.dumps(json)
        if "content-type" not in names:
            pairs.append(("content-type", "application/json"))
    encoded = query if isinstance(query, str) else urlencode(_items(query))
    return HttpRequest(
        method=method,
        raw_path=door.base_url("") + raw_path,
        query="&".join(part for part in (in_path, encoded) if part),
        headers=pairs,
        body=body.encode() if isinstance(body, str) else body,
        scheme=scheme,
        client_ip=client_ip,
        port=443 if scheme == "https" else 80,
    )


def _items(pairs: Pairs) -> list[tuple[str, str]]:
    return list(pairs.items() if isinstance(pairs, Mapping) else pairs)


def _event(door: FrontDoor, **request: Unpack[RequestArguments]) -> Event:
    return door.event(http_request(door, **request))
