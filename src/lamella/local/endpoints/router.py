"""Which function a request is for, where a template has several: hosts, then routes of an API.

Routes as API Gateway chooses them,
https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-routes.html: a literal
part goes before `{name}`, and that before `{name+}`; `$default` takes the rest. A method goes
before ANY.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from starlette.datastructures import Headers
from starlette.types import Receive, Scope, Send

from lamella.front_doors.delivery import whole
from lamella.front_doors.door import FrontDoor, Trouble
from lamella.local.endpoints.event_line import EventLine, Report
from lamella.local.endpoints.gateway import request_of, respond
from lamella.local.endpoints.server import AnyGateway
from lamella.local.endpoints.websockets.api import Door

FUNCTION = re.compile(
    r"/(?:2015-03-31|2021-11-15)/functions/(?:[^/]*function:)?([\w-]+)(?::[^/:]+)?/"
)
"""A path of the Invoke API, with the function's name."""


class Route(NamedTuple):
    """A method, or ANY, and a path as API Gateway writes it, or $default."""

    method: str
    path: str


EVERYTHING = Route("ANY", "$default")


@dataclass(frozen=True)
class Way:
    """What leads to one function: the host that it has ("" is any), its door, and its routes."""

    host: str
    door: Door
    routes: Sequence[Route]
    function: str
    gateway: AnyGateway
    has_cors: bool = False


class Router:
    """`app` serves each request by the way that it takes; there is at least one."""

    def __init__(self, ways: Sequence[Way], report: Report) -> None:
        self._ways = ways
        self._report = report

    async def app(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        path = scope["raw_path"].decode("latin-1")
        if invoked := FUNCTION.match(unquote(path)):
            named = [way for way in self._ways if way.function == invoked[1]]
            await (named or self._ways)[0].gateway.app(scope, receive, send)
            return
        headers, method = Headers(scope=scope), scope["method"]
        host = headers.get("host", "").partition(":")[0].lower()
        # With CORS a preflight takes the route of the request that it asks for.
        asked = headers.get("access-control-request-method", method)
        ways = [way for way in self._ways if way.host == host]
        ways = ways or [way for way in self._ways if not way.host]
        ranked = [
            (found, way)
            for way in ways
            for route in way.routes
            if (found := rank(route, asked if way.has_cors else method, below(way.door, path)))
        ]
        if ranked:
            _, way = max(ranked, key=lambda each: each[0])
            await way.gateway.app(scope, receive, send)
            return
        door = ways[0].door
        line = EventLine(method, path, because=f"no route of {door.label} fits")
        if isinstance(door, FrontDoor):
            response = whole(door.trouble(Trouble.NO_ROUTE), request_of(scope, b""), [])
            await respond(response, line.counted(send))
        line.end(None, self._report)


def below(door: Door, path: str) -> str:
    """`path` without the stage or base path that clients of `door` put before it.

    A path outside of these stays as it is: the door refuses it.
    """
    root = urlsplit(door.base_url("http://host")).path.rstrip("/")
    return path[len(root) :] if f"{path}/".startswith(f"{root}/") else path


def rank(route: Route, method: str, path: str) -> tuple[list[int], bool] | None:
    """How well `route` fits, the more the better; None where it does not."""
    if route.method not in ("ANY", method):
        return None
    has_method = route.method == method
    if route.path == "$default":
        return [], has_method
    wanted, given = route.path.strip("/").split("/"), path.strip("/").split("/")
    fits: list[int] = []
    for at, part in enumerate(wanted):
        if part.endswith("+}"):
            return ([*fits, 0], has_method) if any(given[at:]) else None
        if at >= len(given) or not (given[at] if part.startswith("{") else part == given[at]):
            return None
        fits.append(1 if part.startswith("{") else 2)
    return (fits, has_method) if len(wanted) == len(given) else None
