"""WebSockets in full: the built layer behind API Gateway's WebSocket API, on both ways in."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import InvalidStatus
from websockets.typing import Subprotocol

from lamella.local.config import FunctionConfig
from layer.pythons import Python
from tests.e2e.conftest import FUNCTION
from tests.e2e.environments import served
from tests.e2e.packages import awslambdaric
from tests.local.websocket_client import serving

pytestmark = pytest.mark.anyio

LIMIT = 30.0
"""Seconds that anything may take on a busy machine."""

VARIABLES = {"ASGI_APP": "socket_app:app", "ASGI_WEBSOCKET_PATH": "query:path"}


@pytest.fixture(params=["bootstrap", "handler"])
def way(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def config(way: str, opt: Path, python: Python) -> FunctionConfig:
    """The function with the layer as its wrapper, or under AWS's own awslambdaric."""
    if way == "bootstrap":
        return FunctionConfig(
            FUNCTION, opt / "bootstrap", python=python.path, environment=VARIABLES
        )
    ric = awslambdaric(python)
    variables = {
        **VARIABLES,
        "PYTHONPATH": f"{FUNCTION}:{opt}/python:{ric}",
        "LAMBDA_DISABLE_PREVIEW_WARN": "1",  # awslambdaric's warning of a new runtime
    }
    command = (python.path, "-m", "awslambdaric", "lamella.handler")
    return FunctionConfig(FUNCTION, command=command, python=python.path, environment=variables)


async def said(client: ClientConnection, text: str) -> dict[str, Any]:
    """Send a text, and return the answer to it."""
    await client.send(text)
    return json.loads(await heard(client))  # type: ignore[no-any-return]  # the application's


async def heard(client: ClientConnection) -> str:
    """The next message."""
    return str(await asyncio.wait_for(client.recv(), LIMIT))


async def test_a_conversation(config: FunctionConfig, way: str) -> None:
    offered = [Subprotocol("other"), Subprotocol("chat")]
    async with (
        serving(config, spread=2) as local,
        served(local.function, 6) as environments,  # $connect, four messages, $disconnect
        local.connect("?path=/ws", subprotocols=offered, open_timeout=LIMIT) as client,
    ):
        assert client.subprotocol == "chat"
        if way == "bootstrap":
            assert await heard(client) == "welcome 1"
            first = await said(client, "one")
        else:  # nothing runs after the answer: the greeting comes with the first message
            await client.send("one")
            assert await heard(client) == "welcome 1"
            first = json.loads(await heard(client))
        answers = [first, *[await said(client, text) for text in ("two", "thrée", "four")]]
        await client.close(4001, "enough")
    assert [answer["echo"] for answer in answers] == ["one", "two", "thrée", "four"]
    assert [answer["count"] for answer in answers] == [1, 2, 3, 4]
    assert len({answer["pid"] for answer in answers}) > 1
    assert len(environments) > 1
    left = [line for line in local.log if line.startswith("left ")]
    assert left == ["left 4001 enough after {'count': 4}"]
    assert not [line for line in local.log if "[ERROR]" in line or "[WARNING]" in line]


async def test_a_refusal(config: FunctionConfig) -> None:
    async with serving(config, spread=2) as local:
        with pytest.raises(InvalidStatus) as refused:
            async with local.connect("?path=/nowhere", open_timeout=LIMIT):
                pytest.fail("the client is in")
    assert refused.value.response.status_code == 403
