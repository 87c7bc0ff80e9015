"""What the contract runs against on this machine: uvicorn as the reference, and `lamella run`."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import boto3
import httpx

from tests.contract.checks import REMAPPED, WHOLE, Target
from tests.contract.invoking import invoke
from tests.local.command import Cli
from tests.ports import free_port

FUNCTION = Path(__file__).parent / "function"

Judge = Callable[[Path], AbstractContextManager[Target]]


@contextmanager
def uvicorn(opt: Path) -> Iterator[Target]:
    """A plain web server: what HTTP is."""
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "main:app", "--port", str(port)]
    server = subprocess.Popen(
        [*command, "--log-level", "critical"], cwd=FUNCTION, stderr=subprocess.DEVNULL
    )
    target = Target(f"http://127.0.0.1:{port}", websocket=f"ws://127.0.0.1:{port}")
    try:
        for _ in range(600):
            try:
                httpx.get(f"{target.url}/text")
                break
            except httpx.HTTPError:
                time.sleep(0.1)
        yield target
    finally:
        server.terminate()
        server.wait(20)


def lamella_run(door: str, *options: str, **promises: Any) -> Judge:
    """`lamella run` with a front door of its own."""

    @contextmanager
    def run(opt: Path) -> Iterator[Target]:
        variables = ("--env", "ASGI_WEBSOCKET_PATH=/ws") if door == "websocket" else ()
        base = ("run", "main:app", "--port", "0", "--layer", str(opt), "--front-door", door)
        cli = Cli(*base, *variables, *options, cwd=FUNCTION)
        try:
            url = cli.url().rstrip("/")
            if door == "websocket":
                yield Target("", websocket=url)
            else:
                with invoker(url) as send:
                    yield replace(Target(url, invoke=send), **promises)
        finally:
            cli.process.terminate()
            cli.process.wait(20)
            assert cli.process.stdout is not None
            cli.process.stdout.close()

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
