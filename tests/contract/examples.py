"""Where an example of the matrix is served on this machine: a web server, and `lamella run` with
the template `doors.yaml`, in which every HTTP front door leads to it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

from lamella.templates import functions, read
from tests.contract.judges import web_server
from tests.e2e.packages import installed
from tests.local.command import Cli
from tests.matrix.function import Function

DOORS = Path(__file__).parent / "doors.yaml"


class Place(NamedTuple):
    """A front door of an example: `url` is its root, and `origin` what has an address.

    A front door of `lamella run` is told by a name below localhost, and not every system's
    resolver knows these (RFC 6761, 6.3, lets it).
    """

    name: str
    url: str
    streamed: bool
    origin: str = ""


@contextmanager
def own_server(function: Function) -> Iterator[Place]:
    """The example on uvicorn, or on Flask's own server: what HTTP is."""
    command, environment = ["uvicorn", "main:app"], {"PATH": "/usr/bin:/bin"}
    if function.framework.name == "flask":
        command = ["flask", "--app", "main", "run"]
    else:
        packages = installed(function.python, "uvicorn", f"uvicorn=={version('uvicorn')}")
        environment["PYTHONPATH"] = str(packages)
    where = function.root, function.python.path
    with web_server(*where, *command, environment=environment) as port:
        yield Place("a web server", f"http://127.0.0.1:{port}", streamed=True)


def doors() -> dict[str, str]:
    """The front doors of the template: the name of each in it, and for `lamella run`."""
    found = {}
    for function in functions(read(DOORS)).values():
        found[function.name] = "url"
        found |= {route.api.name: route.api.door for route in function.routes}
    return found


@contextmanager
def lamella_run(function: Function) -> Iterator[list[Place]]:
    """The example behind each front door of the template."""
    mode = f"ASGI_BASE_PATH_MODE={function.framework.mode}"
    options = ("--layer", str(function.opt), "--python", str(function.python.path), "--env", mode)
    where = ("--template", str(DOORS), "--task-root", str(function.root), "--port", "0")
    cli = Cli("run", *where, *options, "--concurrency", "1", "--no-reload", cwd=function.root)
    try:
        yield [_place(cli) for _ in doors()]
    finally:
        cli.close()


def _place(cli: Cli) -> Place:
    """The next front door that `lamella run` tells of."""
    name, mode = cli.line(r"^(\w+) behind .*, (streamed|buffered)$").groups()
    host, port, root = cli.line(r"^http://(\S+):(\d+)(\S*)   \(Ctrl-C stops\)").groups()
    # An event of VPC Lattice does not tell the scheme, and the application takes the safe one.
    scheme = "https" if doors()[name].startswith("lattice") else "http"
    url = f"{scheme}://{host}:{port}{root}"
    return Place(name, url, mode == "streamed", f"http://127.0.0.1:{port}")
