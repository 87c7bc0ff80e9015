"""Whom the local Lambda answers: programs of this machine, and pages that it serves itself.

A page of any site can have its browser ask 127.0.0.1. By DNS rebinding (the site's own name leads
to 127.0.0.1 a moment later) the page could read the answers too. The Host header holds that name
then, so a foreign name is refused. Any page can read a WebSocket, whatever its name; the Origin
header says which page has opened it, so a foreign page's WebSocket is refused. API Gateway refuses
none of these: it has nothing that only a laptop can reach.

Where there is a public name, the function sees that as its host, and not what is dialled here.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from urllib.parse import urlsplit

from starlette.types import Receive, Scope, Send

from lamella.front_doors.door import HttpResponse
from lamella.local.endpoints.gateway import respond
from lamella.local.endpoints.server import AnyGateway
from lamella.local.endpoints.websockets.integration import refuse
from lamella.local.execution.process import LineCallback

LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})


class Guard:
    """`app` is the gateway's, for requests to this machine's names and `public_hosts` only.

    A request to localhost gets the first of `public_hosts` as its host. `addresses`: any IP address
    may be the host too, as other machines dial it; no rebound name is one.
    """

    def __init__(
        self,
        gateway: AnyGateway,
        public_hosts: Iterable[str],
        log: LineCallback,
        addresses: bool = False,
    ) -> None:
        self._gateway = gateway
        self._public = [name.lower() for name in public_hosts]
        self._addresses = addresses
        self._log = log

    def _allows(self, name: str) -> bool:
        if name in LOCAL_NAMES or name in self._public or name.endswith(".localhost"):
            return True
        return self._addresses and _is_address(name)

    async def app(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request or WebSocket: served by the gateway, or answered with a 403."""
        websocket = scope["type"] == "websocket"
        checked = {b"host", b"origin"} if websocket else {b"host"}
        headers = []
        for raw_name, raw_value in scope["headers"]:
            header, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
            name = name_of(header, value)
            if raw_name in checked and not self._allows(name):
                break
            if raw_name == b"host" and self._public and not name.endswith(".localhost"):
                # The function sees the name that its users dial on AWS. (A name below localhost
                # is of one front door of several.)
                raw_value = raw_value if name in self._public else self._public[0].encode()
            headers.append((raw_name, raw_value))
        else:
            await self._gateway.app({**scope, "headers": headers}, receive, send)
            return
        words = (
            f"lamella run does not answer requests whose {header.title()} header is {value!r}: "
            f"start it with --public-host {name} if that is yours."
        )
        self._log(f"403: {words}")
        body = f"{words}\n".encode()
        length = ("content-length", str(len(body)))
        response = HttpResponse(403, [("content-type", "text/plain"), length], body)
        if websocket:
            await receive()  # websocket.connect
            await refuse(response, send)
        else:
            await respond(response, send)


def name_of(header: str, value: str) -> str:
    """The host's name in a Host or an Origin header, lower case; "Origin: null" has none."""
    try:
        name = urlsplit(f"//{value}" if header == "host" else value).hostname
    except ValueError:
        name = None
    return (name or value).rstrip(".").lower()


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
