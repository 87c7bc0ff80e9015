"""CORS as a Function URL or an API does it itself: the preflight, and headers of responses.

https://docs.aws.amazon.com/lambda/latest/dg/urls-configuration.html,
https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-cors.html: the function never
sees a preflight. A Function URL adds its headers to those of the function, so that an application
which sends them too sends them twice. An HTTP API ignores the function's. A REST API with SAM's
`Cors` answers the preflight, and leaves the rest to the function.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from starlette.types import Message, Receive, Scope, Send

from lamella.front_doors.door import HttpResponse, Pairs
from lamella.local.endpoints.event_line import EventLine, Report
from lamella.local.endpoints.gateway import respond
from lamella.local.endpoints.server import AnyGateway

Adds = Literal["added", "instead", "none"]

PREFIX = b"access-control-"


@dataclass(frozen=True)
class Cors:
    """What is allowed. `adds` says where the headers of responses go: "added" to the function's,
    "instead" of them, or "none" at all. `status` is the preflight's."""

    origins: tuple[str, ...]
    methods: tuple[str, ...] = ()
    headers: tuple[str, ...] = ()
    exposed: tuple[str, ...] = ()
    max_age: str = ""
    credentials: bool = False
    adds: Adds = "added"
    status: int = 200

    def allowed(self, origin: str) -> str | None:
        """What the response says for a page of `origin`; None where nothing is allowed to it."""
        if "*" in self.origins and not self.credentials:
            return "*"
        for each in self.origins:
            if each in ("*", origin) or (each.endswith("*") and origin.startswith(each[:-1])):
                return origin
        return None

    def response_headers(self, origin: str) -> Pairs:
        """For a response to a page of `origin`."""
        allowed = self.allowed(origin)
        if allowed is None:
            return []
        exposed, allow = ", ".join(self.exposed), "access-control-allow-"
        return [
            (f"{allow}origin", allowed),
            *([(f"{allow}credentials", "true")] if self.credentials else []),
            *([("access-control-expose-headers", exposed)] if exposed else []),
            *([("vary", "Origin")] if allowed != "*" else []),
        ]

    def preflight_headers(self, origin: str) -> Pairs:
        """For the answer to a preflight of a page of `origin`."""
        answered = self.response_headers(origin)
        given = {
            "access-control-allow-methods": ",".join(self.methods),
            "access-control-allow-headers": ",".join(self.headers),
            "access-control-max-age": self.max_age,
        }
        return [*answered, *((n, v) for n, v in given.items() if v)] if answered else []


class CorsGateway:
    """`app` is the gateway's, with `cors`; `report` gets each preflight."""

    def __init__(self, gateway: AnyGateway, cors: Cors, report: Report) -> None:
        self._gateway = gateway
        self._cors = cors
        self._report = report

    async def app(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        headers = dict(scope["headers"])
        origin = headers.get(b"origin", b"").decode("latin-1")
        if not origin or scope["type"] != "http":
            await self._gateway.app(scope, receive, send)
            return
        if scope["method"] == "OPTIONS" and b"access-control-request-method" in headers:
            line = EventLine("OPTIONS", scope["raw_path"].decode("latin-1"))
            answer = [*self._cors.preflight_headers(origin), ("content-length", "0")]
            await respond(HttpResponse(self._cors.status, answer, b""), line.counted(send))
            line.notes = ("CORS",)
            line.end(None, self._report)
            return
        added = [(n.encode(), v.encode()) for n, v in self._cors.response_headers(origin)]

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                own = message["headers"]
                if self._cors.adds == "instead":
                    own = [pair for pair in own if not pair[0].lower().startswith(PREFIX)]
                message = {**message, "headers": [*own, *added]}
            await send(message)

        await self._gateway.app(scope, receive, send if self._cors.adds == "none" else sending)


def cors_of(door: str, given: Any) -> Cors | None:
    """The CORS that a template gives to a door of this name; None where it gives none.

    `given` is a Function URL's Cors, an HTTP API's CorsConfiguration, or the Cors of SAM's REST
    API, whose values are in quotes of their own.
    """
    if not given:
        return None
    named: Mapping[str, Any] = given if isinstance(given, dict) else {}
    known = {key.lower(): value for key, value in named.items()}  # OpenAPI's begin in lower case

    def values(*names: str) -> tuple[str, ...]:
        value = next((known[name] for name in names if name in known), ())
        texts = value if isinstance(value, list) else str(value or "").strip("'").split(",")
        return tuple(str(each).strip() for each in texts if each)

    origins = values("alloworigins", "alloworigin")
    if not named:  # `true`, or the origin alone
        origins = ("*",) if given is True else (str(given).strip("'"),)
    return Cors(
        origins,
        methods=values("allowmethods"),
        headers=values("allowheaders"),
        exposed=values("exposeheaders"),
        max_age=str(known.get("maxage", "")).strip("'"),
        credentials=str(known.get("allowcredentials", "")).strip("'").lower() == "true",
        adds="added" if door == "url" else "none" if door == "rest" else "instead",
        status=204 if door.startswith("http") else 200,
    )
