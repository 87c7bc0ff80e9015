"""The ways to run a function, each with its command and its environment variables."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

FLOOR = "floor"
ASYNCIO = "import asyncio"
MANGUM = "Mangum"
BOOTSTRAP = "Lamella bootstrap"
HANDLER = "Lamella handler"

ADAPTERS = (MANGUM, BOOTSTRAP, HANDLER)
"""The ways that run an application."""


class Site(NamedTuple):
    """Where everything is: what Lambda has at /var/lang, /opt and /var/task."""

    python: str
    version: tuple[int, int, int]
    opt: Path
    task: Path

    @property
    def minor(self) -> str:
        """The minor version as Lambda spells it: "3.13"."""
        return f"{self.version[0]}.{self.version[1]}"


def command(way: str, site: Site) -> list[str]:
    """What Lambda would start. Raises KeyError for an unknown way."""
    ric = [site.python, "-m", "awslambdaric"]
    return {
        FLOOR: [site.python, f"{site.task}/floor.py"],
        ASYNCIO: [site.python, f"{site.task}/import_asyncio.py"],
        MANGUM: [*ric, "mangum_way.handler"],
        BOOTSTRAP: [f"{site.opt}/bootstrap", site.python, "/var/runtime/bootstrap.py"],
        HANDLER: [*ric, "lamella.handler"],
    }[way]


def variables(way: str, site: Site, app: str, api_address: str) -> dict[str, str]:
    """The process's variables: Lambda's, and the one setting. Nothing of this shell's.

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
        "_HANDLER": command(way, site)[-1] if way in (MANGUM, HANDLER) else "unused.handler",
        "ASGI_APP": app,
    }
    if way == BOOTSTRAP:
        found["AWS_LAMBDA_EXEC_WRAPPER"] = f"{site.opt}/bootstrap"
    if way == HANDLER:
        # The managed runtime's own bootstrap.py puts the layers on sys.path.
        found["PYTHONPATH"] = f"{site.opt}/python"
    return found
