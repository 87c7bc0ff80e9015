"""API Gateway's WebSocket APIs: handshakes, messages and ends out of events, verdicts into results.

Events are those of a proxy integration, as captured on AWS; pages:
https://docs.aws.amazon.com/apigateway/latest/developerguide/websocket-api-data-mapping.html and
.../apigateway-websocket-api-route-keys-connect-disconnect.html. A $connect event is an HTTP request
without method and path; the other events hold no more of it than who the client is.
"""

from __future__ import annotations

from typing import Any

from lamella.sources import body, fields, headers, origin, paths, payload_v1, query
from lamella.types import Event, Headers, Message, Request, Scope

CONNECT, MESSAGE, DISCONNECT = "CONNECT", "MESSAGE", "DISCONNECT"

NO_STATUS = 1005  # "no status code was actually present" (RFC 6455, section 7.1.5)


def decode(event: Event, path: str = "/") -> Request:
    """The handshake of a $connect event, as a request. Raises `BadEvent`.

    `path` says where its path is, which the event does not: "/ws" is a path, "query:NAME" and
    "header:NAME" name the parameter or the header that has it. Where that is missing it is "/".
    """
    context = fields.mapping(event, "requestContext")
    pairs = headers.from_both(event)
    scheme, server = origin.origin(pairs)
    where, _, name = path.partition(":")
    if where == "query":
        found = next((value for key, value in payload_v1.parameters(event) if key == name), "")
        decoded, raw_path = paths.from_decoded(found)
    elif where == "header":
        key = name.encode()
        sent = next((value for header, value in pairs if header == key), b"")
        decoded, raw_path = paths.from_encoded(sent.decode())
    else:
        decoded, raw_path = paths.from_decoded(path)
    source_ip = fields.text(fields.mapping(context, "identity"), "sourceIp")
    return Request(
        method="GET",
        path=decoded,
        raw_path=raw_path,
        query_string=query.from_decoded(payload_v1.parameters(event)),
        headers=pairs,
        body=b"",
        scheme=scheme,
        server=server,
        client=(source_ip, 0) if source_ip else None,
    )


def document(request: Request, event: Event) -> dict[str, Any]:
    """What is kept of a handshake: a JSON object, from which `scope` makes the same scope again."""
    context = fields.mapping(event, "requestContext")
    return {
        "path": request.path,
        "raw_path": request.raw_path.decode("latin-1"),
        "root_path": request.root_path,
        "query_string": request.query_string.decode("latin-1"),
        "headers": [[n.decode("latin-1"), v.decode("latin-1")] for n, v in request.headers],
        "scheme": "ws" if request.scheme == "http" else "wss",
        "client": request.client,
        "server": request.server,
        "authorizer": fields.mapping(context, "authorizer"),
        "session": {},
    }


def scope(kept: dict[str, Any]) -> Scope:
    """The ASGI scope of a kept handshake, without what the environment adds."""
    pairs = [(n.encode("latin-1"), v.encode("latin-1")) for n, v in kept["headers"]]
    offered = b",".join(value for name, value in pairs if name == b"sec-websocket-protocol")
    subprotocols = [word.strip() for word in offered.decode("latin-1").split(",")]
    return {
        "type": "websocket",
        "asgi": {"version": "3.0", "spec_version": "2.5"},
        "http_version": "1.1",
        "scheme": kept["scheme"],
        "path": kept["path"],
        "raw_path": kept["raw_path"].encode("latin-1"),
        "query_string": kept["query_string"].encode("latin-1"),
        "root_path": kept["root_path"],
        "headers": pairs,
        "client": tuple(kept["client"]) if kept["client"] else None,
        "server": tuple(kept["server"]) if kept["server"] else None,
        "subprotocols": [word for word in subprotocols if word],
    }


def connection_id(event: Event) -> str:
    """The id of the event's connection. Raises `BadEvent`."""
    context = fields.mapping(event, "requestContext")
    found = fields.text(context, "connectionId")
    if not found.isprintable() or not found:
        raise fields.malformed("connectionId", "an id", found)
    return found


def message(event: Event) -> Message:
    """The websocket.receive of a message event. Raises `BadEvent`.

    API Gateway takes text only; where a route is set up to convert binary messages
    (CONVERT_TO_BINARY), they come as base64 and are flagged so.
    """
    data = body.decode(event.get("body"), event.get("isBase64Encoded"))
    if event.get("isBase64Encoded"):
        return {"type": "websocket.receive", "bytes": data, "text": None}
    return {"type": "websocket.receive", "bytes": None, "text": data.decode()}


def disconnect(event: Event) -> Message:
    """The websocket.disconnect of a $disconnect event."""
    context = fields.mapping(event, "requestContext")
    code = context.get("disconnectStatusCode")
    reason = context.get("disconnectReason")
    return {
        "type": "websocket.disconnect",
        "code": code if isinstance(code, int) else NO_STATUS,
        "reason": reason if isinstance(reason, str) else "",
    }


def accepted(subprotocol: str | None, pairs: Headers) -> dict[str, Any]:
    """The result that lets a client in, with the subprotocol chosen from those it offered."""
    named = [*pairs]
    if subprotocol is not None:
        named.append((b"Sec-WebSocket-Protocol", subprotocol.encode("latin-1")))
    return payload_v1.prelude(200, named)


encode = payload_v1.encode
