"""Runs inside the function's interpreter, as a script: import the application, start it, tell.

The process is set up as the layer's is on Lambda, with two differences. Packages of the
interpreter's own site-packages are hidden, since a laptop's environment holds what a function
does not carry; only those that Lambda's runtime has, too (boto3 and others), are let through.
And every module of the function has the date that it has on Lambda.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.machinery
import importlib.util
import inspect
import json
import os
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lamella.service import Service
    from lamella.types import ASGIApp

RUNTIME_PACKAGES = frozenset({
    "awslambdaric", "boto3", "botocore", "dateutil", "jmespath", "s3transfer", "simplejson",
    "six", "snapshot_restore_py", "urllib3",
})  # fmt: skip
"""What lies in /var/runtime of the managed runtimes, as their public images show."""

FRAMEWORKS = {
    "fastapi": "FastAPI", "starlette": "Starlette", "django": "Django", "quart": "Quart",
    "litestar": "Litestar", "sanic": "Sanic", "falcon": "Falcon", "blacksheep": "BlackSheep",
    "fastmcp": "FastMCP", "mcp": "MCP", "connexion": "Connexion", "socketio": "Socket.IO",
    "strawberry": "Strawberry", "ariadne": "Ariadne", "nicegui": "NiceGUI", "esmerald": "Esmerald",
    "flask": "Flask", "bottle": "Bottle", "pyramid": "Pyramid", "dash": "Dash",
}  # fmt: skip

BEGIN, END = "lamella-import-begins", "lamella-import-ends"
"""Lines on stderr around the application's import, between those of -X importtime."""


ZIPPED_DATE = 315_532_800
"""1 January 1980, in seconds: the date that SAM gives every file of a function's zip."""


class RuntimePackages:
    """A finder of last resort: what Lambda's runtime has, from the interpreter's packages."""

    def __init__(self, folders: Sequence[str]) -> None:
        self.missing: set[str] = set()
        self._folders = folders

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """The module's spec, where it is one of `RUNTIME_PACKAGES`."""
        if path is not None or name not in RUNTIME_PACKAGES:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, self._folders)
        if spec is None:
            self.missing.add(name)
        return spec


def main(layer: str, result: str, packages: str, lifespan: str, origin: str) -> None:
    """Write to the file `result`, as JSON, what became of the application.

    `layer` stands for /opt; `packages` holds the interpreter's own, with os.pathsep between;
    `lifespan` is "lifespan" or "no-lifespan"; `origin`, where not "", that of a CORS preflight.
    """
    sys.path[0] = f"{layer}/python"
    from lamella.runtime import search_path

    search_path.install(layer)
    _date_as_zipped(os.environ["LAMBDA_TASK_ROOT"])
    finder = RuntimePackages(packages.split(os.pathsep))
    sys.meta_path.append(finder)
    found: dict[str, Any] = {}
    try:
        _look(found, lifespan == "lifespan", origin)
    finally:
        found["missing_runtime_packages"] = sorted(finder.missing)
        Path(result).write_text(json.dumps(found))


def _date_as_zipped(root: str) -> None:
    """Let the import system see the dates of the zip, which make timestamp bytecode stale."""
    loader = importlib.machinery.SourceFileLoader
    on_disk = loader.path_stats

    def path_stats(self: importlib.machinery.SourceFileLoader, path: str) -> Mapping[str, Any]:
        """Of https://docs.python.org/3/library/importlib.html#importlib.abc.SourceLoader."""
        stats = on_disk(self, path)
        return {**stats, "mtime": ZIPPED_DATE} if path.startswith(root) else stats

    setattr(loader, "path_stats", path_stats)  # noqa: B010  mypy knows no assigned method


def _look(found: dict[str, Any], with_lifespan: bool, origin: str) -> None:
    """What an init does, one step after the other; `found` has what each of them told."""
    from lamella import settings as settings_table
    from lamella.errors import InitError, SettingError
    from lamella.importer import find_app, import_app
    from lamella.records import traceback_of
    from lamella.service import Service

    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)  # as on Lambda, since some code asks for it when imported
    try:
        try:
            settings = settings_table.from_environ(os.environ)
        except SettingError:  # a finding of its own; here the defaults stand for all others
            settings = settings_table.from_environ({"ASGI_APP": os.environ.get("ASGI_APP", "")})
        name = find_app(settings.app, os.environ)
        found["reference"] = name.reference
        settings = settings.speaking(name.interface)
        _mark(BEGIN)
        started = time.perf_counter()
        try:
            app = import_app(name)
        finally:
            found["import_ms"] = (time.perf_counter() - started) * 1000
            _mark(END)
        found["app"] = _described(app, settings.interface)
        if settings.websocket_store:
            found["websocket_store"] = _store(settings.websocket_store)
        if settings.loop == "uvloop" and importlib.util.find_spec("uvloop") is None:
            raise SettingError(
                "ASGI_LOOP='uvloop' needs uvloop, which the function does not carry: "
                "add it to its requirements, or use auto."
            )
        service = Service(app, settings)
        loop.run_until_complete(_serve(service, found, with_lifespan, origin))
    except InitError as error:
        frames = traceback_of(error.__cause__) if error.__cause__ else []
        found["error"] = {"type": error.error_type, "message": str(error), "frames": frames}
    finally:
        loop.close()


def _mark(text: str) -> None:
    sys.stderr.write(f"\n{text}\n")
    sys.stderr.flush()


def _store(url: str) -> dict[str, str]:
    """The kind of the connection store, or why it cannot be opened; nothing connects to it."""
    from lamella.errors import SettingError
    from lamella.websocket.stores import open_store
    from lamella.websocket.stores.address import parse

    try:
        open_store(url)
    except SettingError as error:
        return {"error": str(error)}
    return {"kind": parse(url).kind}


async def _serve(service: Service, found: dict[str, Any], with_lifespan: bool, origin: str) -> None:
    """Startup, then shutdown, as in the life of an environment; between them the preflight."""
    from lamella.settings import STARTUP_TIME

    if with_lifespan:
        started = time.perf_counter()
        await service.lifespan.startup(service.settings.lifespan_timeout or STARTUP_TIME)
        found["lifespan"] = {
            "mode": service.settings.lifespan,
            "supported": service.lifespan.running,
            "startup_ms": (time.perf_counter() - started) * 1000,
        }
    if origin:
        # An application that fails here has no CORS: it fails on no request that clients make.
        with contextlib.suppress(Exception, asyncio.TimeoutError):
            found["cors"] = await asyncio.wait_for(_answers_preflight(service, origin), 5)
    if with_lifespan:
        await service.lifespan.shutdown(service.settings.lifespan_timeout)


async def _answers_preflight(service: Service, origin: str) -> bool:
    """Whether the application allows the origin (https://fetch.spec.whatwg.org/#http-cors-protocol)."""
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [
        (b"host", b"localhost"),
        (b"origin", origin.encode()),
        (b"access-control-request-method", b"GET"),
    ]
    await service.app(
        {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.5"},
            "http_version": "1.1",
            "method": "OPTIONS",
            "scheme": "https",
            "path": "/",
            "raw_path": b"/",
            "query_string": b"",
            "root_path": "",
            "headers": headers,
            "client": ("127.0.0.1", 0),
            "server": ("localhost", 443),
            "state": service.lifespan.scope_state.copy(),
        },
        receive,
        send,
    )
    names = {name.lower() for message in sent for name, _ in message.get("headers", ())}
    return b"access-control-allow-origin" in names


def _described(app: ASGIApp, interface: str) -> dict[str, Any]:
    """The application's class, its framework with the version, and what it speaks."""
    from importlib import metadata

    from lamella.interfaces import recognise

    kind = app if inspect.isclass(app) or inspect.isfunction(app) else type(app)
    ancestors = kind.__mro__ if inspect.isclass(kind) else ()
    packages = [cls.__module__.partition(".")[0] for cls in ancestors]
    found = next((name for name in packages if name in FRAMEWORKS), "")
    version = getattr(sys.modules.get(found), "__version__", None)
    with contextlib.suppress(metadata.PackageNotFoundError, ValueError):  # of an empty name
        version = metadata.version(found)
    return {
        "kind": f"{kind.__module__}.{kind.__qualname__}",
        "file": getattr(sys.modules.get(kind.__module__), "__file__", None),
        "framework": FRAMEWORKS.get(found),
        "version": str(version) if version else None,
        "interface": recognise(app) if interface == "auto" else interface,
    }


if __name__ == "__main__":
    main(*sys.argv[1:6])
