"""A test kit: events as AWS makes them, and httpx transports that answer as Lambda would.

    with httpx.Client(transport=(lambda_ := LambdaTransport(app, source="http-api")),
                      base_url=lambda_.base_url) as client:
        assert client.get("/items/5").json() == {"id": 5}

`WebSocketServer` serves WebSockets as API Gateway does. `events` has a builder for every event
source, `LambdaContext` is a context for handlers. The transports need httpx (`pip install
lamina[testing]`), the server lamina[local]; the rest needs h11 at most, which comes with httpx.
Never part of the layer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lamina.testing import events
from lamina.testing.context import LambdaContext

if TYPE_CHECKING:
    from lamina.local.front_doors import FunctionUrl as FunctionUrl
    from lamina.local.front_doors import HttpApi as HttpApi
    from lamina.local.front_doors import Lattice as Lattice
    from lamina.local.front_doors import LoadBalancer as LoadBalancer
    from lamina.local.front_doors import RestApi as RestApi
    from lamina.local.websockets.api import WebSocketApi as WebSocketApi
    from lamina.testing.edge import Edge as Edge
    from lamina.testing.http_api_v1 import HttpApiV1 as HttpApiV1
    from lamina.testing.transports import AsyncLambdaTransport as AsyncLambdaTransport
    from lamina.testing.transports import LambdaTransport as LambdaTransport
    from lamina.testing.websockets import WebSocketServer as WebSocketServer

_TRANSPORTS = "lamina.testing.transports"
_DOORS = "lamina.local.front_doors"
_HOMES = {
    "AsyncLambdaTransport": _TRANSPORTS,
    "Edge": "lamina.testing.edge",
    "FunctionUrl": _DOORS,
    "HttpApi": _DOORS,
    "HttpApiV1": "lamina.testing.http_api_v1",
    "LambdaTransport": _TRANSPORTS,
    "Lattice": _DOORS,
    "LoadBalancer": _DOORS,
    "RestApi": _DOORS,
    "WebSocketApi": "lamina.local.websockets.api",
    "WebSocketServer": "lamina.testing.websockets",
}

__all__ = [
    "AsyncLambdaTransport",
    "Edge",
    "FunctionUrl",
    "HttpApi",
    "HttpApiV1",
    "LambdaContext",
    "LambdaTransport",
    "Lattice",
    "LoadBalancer",
    "RestApi",
    "WebSocketApi",
    "WebSocketServer",
    "events",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'lamina.testing' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
