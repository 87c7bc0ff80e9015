"""The ways to run a function, each with its processes and its environment variables."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import NamedTuple

FLOOR = "floor"
ASYNCIO = "import asyncio"
MANGUM = "Mangum"
WEB_ADAPTER = "Web Adapter"
BOOTSTRAP = "Lamella bootstrap"
SERVE = "Lamella one line"
UVLOOP = "Lamella uvloop"
HANDLER = "Lamella handler"

ADAPTERS = (MANGUM, WEB_ADAPTER, BOOTSTRAP, SERVE, HANDLER)
"""The ways that run an application, on asyncio's event loop."""

RIC_WAYS = {MANGUM: "mangum_way.handler", SERVE: "", HANDLER: "lamella.handler"}
"""The ways under awslambdaric, and their handlers; "" has the application's name in it."""


class Site(NamedTuple):
    """Where everything is: what Lambda has at /var/lang, /opt and /var/task."""

    python: str
    version: tuple[int, int, int]
    opt: Path
    task: Path
    web_adapter: Path | None = None
    """AWS Lambda Web Adapter's binary, where there is one to measure beside."""
    uvloop: Path | None = None
    """A folder that holds uvloop for the interpreter, where there is one."""

    @property
    def adapters(self) -> tuple[str, ...]:
        """The ways that run an application here."""
        return tuple(way for way in ADAPTERS if way != WEB_ADAPTER or self.web_adapter)

    @property
    def loops(self) -> tuple[str, ...]:
        """The ways that show another event loop."""
        return (UVLOOP,) if self.uvloop else ()

    @property
    def minor(self) -> str:
        """The minor version as Lambda spells it: "3.13"."""
        return f"{self.version[0]}.{self.version[1]}"


def commands(way: str, site: Site, app: str) -> list[list[str]]:
    """The processes that Lambda would start. Raises KeyError for an unknown way.

    Web Adapter is an external extension, which Lambda starts before the runtime: here the
    runtime's place is a web server's.
    """
    ric = [site.python, "-m", "awslambdaric"]
    if way == WEB_ADAPTER:
        server = [site.python, "-m", "uvicorn", "--log-level", "warning", "--no-access-log"]
        return [[str(site.web_adapter)], [*server, "--loop", "asyncio", "--port", PORT, app]]
    return [
        {
            FLOOR: [site.python, f"{site.task}/floor.py"],
            ASYNCIO: [site.python, f"{site.task}/import_asyncio.py"],
            BOOTSTRAP: [f"{site.opt}/bootstrap", site.python, "/var/runtime/bootstrap.py"],
            UVLOOP: [f"{site.opt}/bootstrap", site.python, "/var/runtime/bootstrap.py"],
        }.get(way)
        or [*ric, handler(way, app)]
    ]


def handler(way: str, app: str) -> str:
    """The function's handler; the bootstrap and Web Adapter use none."""
    return RIC_WAYS.get(way, "lamella.handler") or f"lamella.serve.{app}"


PORT = "{port}"
"""Stands for the web server's port in `commands` and `variables`."""


def free_port() -> str:
    """A port of loopback that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return str(server.getsockname()[1])


def variables(way: str, site: Site, app: str, api_address: str) -> dict[str, str]:
    """The processes' variables: Lambda's, and the settings. Nothing of this shell's.

    AWS_EXECUTION_ENV matters: by it awslambdaric asks for /next in a thread, from 3.12 on.
    Names and values: https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html.
    """
    found = {
        "AWS_DEFAULT_REGION": "eu-central-1",
        "AWS_EXECUTION_ENV": f"AWS_Lambda_python{site.minor}",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1769",
        "AWS_LAMBDA_FUNCTION_NAME": "benchmark",
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/benchmark",
        "AWS_LAMBDA_LOG_STREAM_NAME": "2026/11/22/[$LATEST]0123456789abcdef0123456789abcdef",
        "AWS_LAMBDA_RUNTIME_API": api_address,
        "AWS_REGION": "eu-central-1",
        "AWS_XRAY_CONTEXT_MISSING": "LOG_ERROR",
        "LAMBDA_RUNTIME_DIR": "/var/runtime",
        "LAMBDA_TASK_ROOT": str(site.task),
        "LANG": "en_US.UTF-8",
        "PATH": f"{Path(site.python).parent}:/usr/local/bin:/usr/bin:/bin:/opt/bin",
        "TZ": ":UTC",
        "_HANDLER": handler(way, app),
        # Not whichever the environment may carry: each way says its own.
        "ASGI_LOOP": "uvloop" if way == UVLOOP else "asyncio",
    }
    if way != SERVE:
        found["ASGI_APP"] = app
    if way in (BOOTSTRAP, UVLOOP):
        found["AWS_LAMBDA_EXEC_WRAPPER"] = f"{site.opt}/bootstrap"
    if way == UVLOOP:
        found["PYTHONPATH"] = str(site.uvloop)
    if way == WEB_ADAPTER:
        found |= {"AWS_LWA_PORT": PORT, "AWS_LWA_READINESS_CHECK_PATH": "/"}
    if way in (SERVE, HANDLER):
        # The managed runtime's own bootstrap.py puts the layers on sys.path.
        found["PYTHONPATH"] = f"{site.opt}/python"
    return found
