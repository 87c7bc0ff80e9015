"""What a client gets at each address of the stack: its targets for the contract."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from tests.aws.transports import AwakeTransport, HashingTransport, InvokeTransport
from tests.contract.checks import ENCODED, REMAPPED, WHOLE, Target
from tests.contract.invoking import invoke

BUFFERED: dict[str, Any] = {"streams": False, "max_answer": WHOLE}
URL: dict[str, Any] = {"challenge": REMAPPED}
REST: dict[str, Any] = URL | {"root_path": "/prod", "max_request": ENCODED}

DOORS: dict[str, tuple[str, dict[str, Any]]] = {
    "Function URL": ("UrlBuffered", BUFFERED | URL),
    "Function URL, streamed": ("UrlStreamed", URL | {"transport": AwakeTransport}),
    "REST API": ("RestBuffered", BUFFERED | REST),
    "REST API, streamed": ("RestStreamed", REST),
    "HTTP API": ("Http", BUFFERED | {"challenge": ""}),
    "load balancer": ("Alb", BUFFERED | {"max_request": 1_000_000, "max_answer": 1_000_000}),
    "VPC Lattice": ("Lattice", BUFFERED | {"max_request": ENCODED}),
    "WebSocket API": ("WebSocket", {}),
    "CloudFront": ("CloudFront", {"transport": HashingTransport, "challenge": ""}),
    "SnapStart": ("SnapStart", URL),
    "one line": ("OneLine", URL),
    "handler": ("ByHandler", BUFFERED | URL | {"background": False}),
} | {
    f"Python 3.{minor}, {processor}": (f"Python3{minor}{name}", URL)
    for minor in (11, 12, 13, 14, 15)
    for name, processor in (("Arm", "arm64"), ("X86", "x86_64"))
    if (minor, name) != (13, "Arm")  # all others have it
}
"""By the target's name: its function in template.yaml, and what its clients may rely on."""

ALIASES = {"SnapStart": "live"}
"""Of functions that are not called by their own name."""

CLIENT = "LatticeClient"
"""The function inside VPC Lattice's network: function/main.py."""


def targets(
    outputs: Mapping[str, str], functions: Mapping[str, str], client: Callable[[str], Any]
) -> dict[str, Target]:
    """Each door that the stack has, as the contract's target."""
    found = {}
    for name, (function, promises) in DOORS.items():
        address = outputs.get(f"{function}Address", "").rstrip("/")
        if address.startswith(("ws:", "wss:")):
            found[name] = Target("", websocket=address)
        elif address:
            alias = f":{ALIASES[function]}" if function in ALIASES else ""
            send = partial(invoke, client("lambda"), functions[function] + alias)
            found[name] = Target(address, invoke=send, **promises)
        if name in found and function == "Lattice":  # its address is known only there
            transport = partial(InvokeTransport, client("lambda"), functions[CLIENT])
            found[name] = replace(found[name], transport=transport)
    return found
