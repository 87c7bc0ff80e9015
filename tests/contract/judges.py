"""What the contract runs against on this machine: a web server as the reference, and `lamella run`.

`LOCAL` serves the application of `function/`, and `SERVE_EXAMPLE` an example of the matrix.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import boto3
import httpx

from tests.contract.checks import PATIENCE, REMAPPED, WHOLE, Target
from tests.contract.invoking import invoke
from tests.e2e.packages import installed
from tests.local.command import Cli
from tests.matrix.function import Function
from tests.ports import free_port

FUNCTION = Path(__file__).parent / "function"

Judge = Callable[[Path], AbstractContextManager[Target]]
"""Serves function/ with the layer that is unpacked there."""

ExampleJudge = Callable[[Function], AbstractContextManager[str]]
"""Serves an example, and says where its root is."""


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
        yield Target(f"http://127.0.0.1:{port}", websocket=f"ws://127.0.0.1:{port}")


def lamella_run(door: str, *options: str, **promises: Any) -> Judge:
    """`lamella run` with a front door of its own."""

    @contextmanager
    def run(opt: Path) -> Iterator[Target]:
        variables = ("--env", "ASGI_WEBSOCKET_PATH=/ws") if door == "websocket" else ()
        arguments = ("--front-door", door, *variables, *options)
        with lamella(opt, *arguments, folder=FUNCTION) as url:
            if door == "websocket":
                yield Target("", websocket=url)
            else:
                with invoker(url) as send:
                    yield replace(Target(url, invoke=send), **promises)

    return run


@contextmanager
def invoker(url: str) -> Iterator[Callable[[dict[str, Any]], tuple[Any, bool]]]:
    """Sends events to Lambda's Invoke API at this address, with boto3."""
    client = boto3.client(
        "lambda",
        "us-east-1",
        endpoint_url=str(httpx.URL(url).join("/")),
        aws_access_key_id="any",
        aws_secret_access_key="any",
    )

    with closing(client):
        yield partial(invoke, client, "local")


LOCAL: dict[str, Judge] = {
    "uvicorn": uvicorn,
    "Function URL, streamed": lamella_run("url", challenge=REMAPPED),
    "Function URL": lamella_run(
        "url", "--no-stream", streams=False, max_answer=WHOLE, challenge=REMAPPED
    ),
    "HTTP API": lamella_run("http", streams=False, max_answer=WHOLE),
    "REST API, streamed": lamella_run("rest", "--stream", root_path="/prod", challenge=REMAPPED),
    "REST API": lamella_run(
        "rest", streams=False, root_path="/prod", max_answer=WHOLE, challenge=REMAPPED
    ),
    "load balancer": lamella_run("alb", streams=False, max_answer=900_000, repeats=False),
    "VPC Lattice": lamella_run("lattice", streams=False, max_answer=WHOLE),
    "WebSocket API": lamella_run("websocket"),
}
"""Each judge by its name."""


@contextmanager
def own_server(function: Function) -> Iterator[str]:
    """The example on uvicorn, or on Flask's own server: what HTTP is."""
    command, environment = ["uvicorn", "main:app"], {"PATH": "/usr/bin:/bin"}
    if function.framework.name == "flask":
        command = ["flask", "--app", "main", "run"]
    else:
        packages = installed(function.python, "uvicorn", f"uvicorn=={version('uvicorn')}")
        environment["PYTHONPATH"] = str(packages)
    where = function.root, function.python.path
    with web_server(*where, *command, environment=environment) as port:
        yield f"http://127.0.0.1:{port}"


@contextmanager
def rest_api(function: Function) -> Iterator[str]:
    """The example in `lamella run` behind a REST API: streamed, and below a prefix."""
    mode = f"ASGI_BASE_PATH_MODE={function.framework.mode}"
    options = ("--front-door", "rest", "--stream", "--concurrency", "1", "--no-reload")
    python = ("--python", str(function.python.path))
    arguments = (*options, *python, "--env", mode)
    with lamella(function.opt, *arguments, folder=function.root) as url:
        yield url


SERVE_EXAMPLE: dict[str, ExampleJudge] = {
    "a web server": own_server,
    "REST API, streamed": rest_api,
}
"""Each judge of an example by its name; both stream."""
