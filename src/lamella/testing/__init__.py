"""A test kit: events as AWS makes them, and transports of httpx and httpx2 that answer as Lambda.

    with httpx.Client(transport=(lambda_ := LambdaTransport(app, source="http")),
                      base_url=lambda_.base_url) as client:
        assert client.get("/items/5").json() == {"id": 5}

`WebSocketServer` serves WebSockets as API Gateway does. `events` has a builder for every event
source, `LambdaContext` is a context for handlers. A transport's client needs httpx (`pip install
lamella[testing]`) or httpx2, the server lamella[local]; the rest needs h11 at most, which comes
with either. Never part of the layer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lamella.testing import events
from lamella.testing.context import LambdaContext

if TYPE_CHECKING:
    from lamella.front_doors import Edge as Edge
    from lamella.front_doors import FunctionUrl as FunctionUrl
    from lamella.front_doors import HttpApi as HttpApi
    from lamella.front_doors import HttpApiV1 as HttpApiV1
    from lamella.front_doors import Lattice as Lattice
    from lamella.front_doors import LoadBalancer as LoadBalancer
    from lamella.front_doors import RestApi as RestApi
    from lamella.local.endpoints.websockets.api import WebSocketApi as WebSocketApi
    from lamella.testing.transports import AsyncLambdaTransport as AsyncLambdaTransport
    from lamella.testing.transports import LambdaTransport as LambdaTransport
    from lamella.testing.websockets import WebSocketServer as WebSocketServer

_TRANSPORTS = "lamella.testing.transports"
_DOORS = "lamella.front_doors"
_HOMES = {
    "AsyncLambdaTransport": _TRANSPORTS,
    "Edge": _DOORS,
    "FunctionUrl": _DOORS,
    "HttpApi": _DOORS,
    "HttpApiV1": _DOORS,
    "LambdaTransport": _TRANSPORTS,
    "Lattice": _DOORS,
    "LoadBalancer": _DOORS,
    "RestApi": _DOORS,
    "WebSocketApi": "lamella.local.endpoints.websockets.api",
    "WebSocketServer": "lamella.testing.websockets",
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
        raise AttributeError(f"module 'lamella.testing' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
