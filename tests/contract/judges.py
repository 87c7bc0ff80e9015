"""What the contract runs against on this machine: a web server as the reference, and `lamella run`.

They serve the application of `function/`.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx

from tests.contract.checks import (
    ENCODED,
    PATIENCE,
    REMAPPED,
    UNLIMITED,
    WHOLE,
    Target,
    contract_of,
)
from tests.contract.invoking import invoker
from tests.local.command import Cli
from tests.ports import free_port

FUNCTION = Path(__file__).parent / "function"


class Judge(NamedTuple):
    """`serve` serves function/ with the layer that is unpacked at a path; `asked` names the checks
    that it can be asked for, before it stands, and `door` is the front door of `lamella run`.
    """

    serve: Callable[[Path], AbstractContextManager[Target]]
    asked: tuple[str, ...]
    door: str = ""


@contextmanager
def web_server(
    folder: Path, python: str | Path, *arguments: str, environment: Mapping[str, str] = os.environ
) -> Iterator[int]:
    """The port of `python -m ARGUMENTS --port PORT` once it is listened to; pytest has its log."""
    port = free_port()
    command = [python, "-m", *arguments, "--port", str(port)]
    process = subprocess.Popen(command, cwd=folder, env=environment)
    try:
        end = time.monotonic() + PATIENCE
        while not _is_listening(port):
            assert process.poll() is None, "the server has ended"
            assert time.monotonic() < end, "the server does not listen"
            time.sleep(0.05)
        yield port
    finally:
        process.terminate()
        try:
            process.wait(PATIENCE)
        finally:
            process.kill()


def _is_listening(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), PATIENCE).close()
    except ConnectionRefusedError:
        return False
    return True


@contextmanager
def lamella(opt: Path, *options: str, folder: Path) -> Iterator[str]:
    """`lamella run` on main:app of that folder, and where its root is."""
    cli = Cli("run", "main:app", "--port", "0", "--layer", str(opt), *options, cwd=folder)
    try:
        yield cli.url().rstrip("/")
    finally:
        cli.close()


@contextmanager
def uvicorn(opt: Path) -> Iterator[Target]:
    """A plain web server: what HTTP is."""
    with web_server(FUNCTION, sys.executable, "uvicorn", "main:app") as port:
        where = f"127.0.0.1:{port}"
        yield Target(f"http://{where}", max_request=UNLIMITED, websocket=f"ws://{where}")


def lamella_run(door: str, *options: str, **promises: Any) -> Judge:
    """`lamella run` with a front door of its own."""

    @contextmanager
    def serve(opt: Path) -> Iterator[Target]:
        arguments = ("--front-door", door, *options)
        with lamella(opt, *arguments, folder=FUNCTION) as url:
            api = str(httpx.URL(url).join("/"))
            with invoker("local", api) as send:
                yield Target(url, invoke=send, **promises)

    everything = Target("any", invoke=lambda event: (event, False))
    return Judge(serve, tuple(contract_of(everything)), door)


@contextmanager
def websocket_api(opt: Path) -> Iterator[Target]:
    """`lamella run` with a WebSocket API, which has no other way in."""
    options = ("--front-door", "websocket", "--env", "ASGI_WEBSOCKET_PATH=/ws")
    with lamella(opt, *options, folder=FUNCTION) as url:
        yield Target("", websocket=url)


BUFFERED: dict[str, Any] = {"streams": False, "max_answer": WHOLE}
REST: dict[str, Any] = {"root_path": "/prod", "max_request": ENCODED, "challenge": REMAPPED}
MEGABYTE: dict[str, Any] = {"streams": False, "max_request": 1_000_000, "max_answer": 1_000_000}

LOCAL: dict[str, Judge] = {
    "uvicorn": Judge(uvicorn, tuple(contract_of(Target("any", websocket="any")))),
    "Function URL, streamed": lamella_run("url", challenge=REMAPPED),
    "Function URL": lamella_run("url", "--no-stream", **BUFFERED, challenge=REMAPPED),
    "HTTP API": lamella_run("http", **BUFFERED),
    "HTTP API, format 1.0": lamella_run("http-v1", **BUFFERED),
    "REST API, streamed": lamella_run("rest", "--stream", **REST),
    "REST API": lamella_run("rest", **BUFFERED, **REST),
    "load balancer": lamella_run("alb", **MEGABYTE, repeats=False),
    "load balancer, multi-value": lamella_run("alb-multi-value", **MEGABYTE),
    "VPC Lattice": lamella_run("lattice", **BUFFERED),
    "VPC Lattice, version 1": lamella_run("lattice-v1", **BUFFERED),
    "WebSocket API": Judge(
        websocket_api, tuple(contract_of(Target("", websocket="any"))), "websocket"
    ),
}
"""Each judge by its name: every front door of `lamella run` has one."""
