"""What would be wrong with WebSockets, and is seen on Lambda with the first client only."""

from __future__ import annotations

from collections.abc import Iterator

from lamella.templates import apis, functions, route_keys
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
    template, function = target.template, target.function
    sockets = [each for each in apis(template) if each.door == "websocket"] if template else []
    if template is None or not sockets:
        return
    if not any(each.has(STORE) for each in functions(template).values()):
        message = f"The template has a WebSocket API, and no function in it has {STORE}: set it."
        yield warning("websockets", message)
    if function and not function.has(STORE):
        return  # its events go to another function
    keys = set[str]().union(*(route_keys(template, each) for each in sockets))
    for route, effect in WITHOUT.items():
        if route not in keys:
            message = f"The template's WebSocket API has no route {route}: {effect}."
            yield warning("websockets", message, route=route)
