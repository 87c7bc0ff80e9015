"""What would be wrong with WebSockets, and is seen on Lambda with the first client only."""

from __future__ import annotations

from collections.abc import Iterator

from lamella.templates import apis, functions
from lamella.tools.check.findings import Finding, ok, problem, warning
from lamella.tools.check.probing import Probe
from lamella.tools.check.target import Target

STORE = "ASGI_WEBSOCKET_STORE"

NOT_SHARED = ("memory", "sqlite")

WITHOUT = {
    "$connect": "no handshake is kept, so every message closes its connection",
    "$default": "API Gateway refuses every message that no other route takes",
    "$disconnect": "the application is never told that a client has left",
}
"""What a WebSocket API does that lacks the route."""


def store(probe: Probe) -> Iterator[Finding]:
    """Can the connection store be opened with what the function carries?"""
    told = probe.found.get("websocket_store")
    if told is None:
        return
    if "error" in told:
        yield problem("websockets", told["error"])
    elif told["kind"] in NOT_SHARED:
        yield warning(
            "websockets",
            f"{STORE} names a store of the kind {told['kind']}: every environment on Lambda has "
            "its own, but several environments serve one connection. Use dynamodb://TABLE, or "
            "another store that environments share.",
            **told,
        )
    else:
        message = f"The connection store ({told['kind']}) has what it needs in the function."
        yield ok("websockets", message, **told)


def routes(target: Target) -> Iterator[Finding]:
    """Does the template have what a WebSocket API needs?"""
    if target.template is None:
        return
    template = target.template
    names = [api.name for api in apis(template) if api.door == "websocket"]
    if not names:
        return
    of_sam = (template.resources[name].properties.get("Routes", ()) for name in names)
    keys = {key for each in of_sam for key in each}
    for _, each in template.of("AWS::ApiGatewayV2::Route"):
        if any(template.mentions(each.get("ApiId"), name) for name in names):
            keys.add(each.get("RouteKey"))
    known = functions(template).values()
    if not any(STORE in (*each.variables, *each.unknown) for each in known):
        message = f"The template has a WebSocket API, and no function in it has {STORE}: set it."
        yield warning("websockets", message)
    if target.function and STORE not in (*target.function.variables, *target.function.unknown):
        return  # its events go to another function
    for route, effect in WITHOUT.items():
        if route not in keys:
            message = f"The template's WebSocket API has no route {route}: {effect}."
            yield warning("websockets", message, route=route)
