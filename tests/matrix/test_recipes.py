"""What the pages advise where an example alone does not do: it works, on both ways in."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from lamella.local.execution.environment import Environment
from tests.e2e.packages import USUAL
from tests.matrix import table
from tests.matrix.client import SOURCES, FunctionClient
from tests.matrix.files import check_linked_file
from tests.matrix.frameworks import FRAMEWORKS
from tests.matrix.function import WAYS, Function, Way
from tests.matrix.sockets import check_graphql, receive, socket_client

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.timeout(600),  # pip may have to download the packages
]


@pytest.mark.parametrize("way", [way for way in WAYS if way.sockets], ids=lambda way: str(way.name))
async def test_strawberry_s_subscriptions(way: Way, opt: Path, tmp_path: Path) -> None:
    (strawberry,) = [each for each in FRAMEWORKS if each.name == "strawberry"]
    function = Function(strawberry, USUAL, opt, tmp_path)
    page = (table.DOCS / strawberry.page).read_text()
    (code,) = re.findall(r"^```python\n(# subscriptions\.py\n.*?)^```", page, re.M | re.S)
    (function.root / "subscriptions.py").write_text(code)
    config = function.config(way, strawberry.mode)
    variables = {**config.environment, "ASGI_APP": "subscriptions:app"}
    config = replace(config, environment=variables)
    async with socket_client(config, tmp_path, early=not way.handler) as client:
        await check_graphql(client)


async def test_django_s_static_files_behind_a_stage(opt: Path, tmp_path: Path) -> None:
    """STATIC_URL is what clients see; Django keeps one, so it cannot follow each request."""
    (django,) = [each for each in FRAMEWORKS if each.name == "django"]
    function = Function(django, USUAL, opt, tmp_path)
    config = function.config(WAYS[0], django.mode)
    config = replace(config, environment={**config.environment, "STATIC_URL": "/prod/static/"})
    rest = SOURCES[0]
    assert rest.stage == "/prod"
    async with Environment(config, log=lambda line: None) as environment:
        await check_linked_file(FunctionClient(environment, rest, streaming=False, early=True))


# Frameworks that read ahead wait in a task of their own for what a thread brings.

FED = """
import asyncio
import threading
import time


def fed():
    queue, loop = asyncio.Queue(), asyncio.get_running_loop()

    def feed():
        for part in ("one", "two", ""):
            time.sleep(0.1)
            loop.call_soon_threadsafe(queue.put_nowait, part)

    threading.Thread(target=feed).start()
    return queue
"""

QUART = f"""{FED}
from quart import Quart, websocket

app = Quart("main")


@app.websocket("/ws")
async def talk():
    while True:
        await websocket.receive()
        queue = fed()
        while part := await queue.get():
            await websocket.send(part)
"""

FALCON = f"""{FED}
import falcon.asgi


class Talk:
    async def on_websocket(self, request, ws):
        await ws.accept()
        while True:
            await ws.receive_text()
            queue = fed()
            while part := await queue.get():
                await ws.send_text(part)


app = falcon.asgi.App()
app.add_route("/ws", Talk())
"""


@pytest.mark.parametrize(("name", "code"), [("quart", QUART), ("falcon", FALCON)])
async def test_a_handler_that_a_thread_feeds(
    name: str, code: str, opt: Path, tmp_path: Path
) -> None:
    (framework,) = [each for each in FRAMEWORKS if each.name == name]
    function = Function(framework, USUAL, opt, tmp_path)
    (function.root / "threads.py").write_text(code)
    config = function.config(WAYS[0], framework.mode)
    variables = {**config.environment, "ASGI_APP": "threads:app", "ASGI_BASE_PATH": ""}
    config = replace(config, environment=variables)
    async with (
        socket_client(config, tmp_path, early=True) as client,
        client.connect() as socket,
    ):
        for _ in range(2):
            await socket.send("go")
            assert [await receive(socket), await receive(socket)] == ["one", "two"]
    assert not client.said("still at work")
    assert not client.said("[ERROR]")
