"""The contract in the words of the Model Context Protocol: JSON-RPC on one path.

https://modelcontextprotocol.io/specification/2025-06-18/basic/transports
"""

from __future__ import annotations

import json
from typing import Any

from tests.matrix.client import Client, Reply
from tests.matrix.contract import Contract, check_not_found, check_work, in_parts

HEADERS = {
    "accept": "application/json, text/event-stream",
    "mcp-protocol-version": "2025-06-18",
}


async def post(client: Client, method: str, **params: Any) -> Reply:
    """One request of JSON-RPC, with a progress token."""
    message = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": method,
        "params": {"_meta": {"progressToken": "t"}, **params},
    }
    return await client.request("POST", "/mcp", json=message, headers=HEADERS)


def messages(reply: Reply) -> list[Any]:
    """What the server sent, as JSON or as server-sent events."""
    assert reply.status == 200, reply
    if reply.header("content-type").startswith("application/json"):
        return [reply.json()]
    lines = reply.body.decode().splitlines()
    return [json.loads(line.removeprefix("data:")) for line in lines if line.startswith("data: {")]


async def call(client: Client, tool: str, **arguments: Any) -> Any:
    """Call a tool; its result."""
    return messages(await post(client, "tools/call", name=tool, arguments=arguments))[-1]["result"]


async def check_json(client: Client) -> None:
    """The handshake, the list of tools, and a call."""
    client_info = {"name": "matrix", "version": "1"}
    hello = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": client_info}
    (answer,) = messages(await post(client, "initialize", **hello))
    assert answer["result"]["serverInfo"]["name"] == "example"
    (listed,) = messages(await post(client, "tools/list"))
    assert "hello" in [tool["name"] for tool in listed["result"]["tools"]]
    assert (await call(client, "hello"))["structuredContent"] == {"hello": "wörld"}


async def check_parameters(client: Client) -> None:
    """An argument with a letter that is not ASCII."""
    assert (await call(client, "echo", value="a b+é"))["structuredContent"] == {"value": "a b+é"}


async def check_validation(client: Client) -> None:
    """An argument of the wrong type, and one of the right."""
    assert (await call(client, "validate", count=3))["structuredContent"] == {"count": 3}
    (answer,) = messages(
        await post(client, "tools/call", name="validate", arguments={"count": "many"})
    )
    assert "error" in answer or answer["result"]["isError"]


async def check_error(client: Client) -> None:
    """A tool's exception is the tool's result; the environment lives on."""
    pid = client.pid
    assert (await call(client, "error"))["isError"] is True
    await check_parameters(client)
    assert client.pid == pid


async def check_sse(client: Client) -> None:
    """Three notifications of progress as server-sent events, then the result."""

    async def ticks() -> Reply:
        return await post(client, "tools/call", name="ticks", arguments={})

    reply = await in_parts(client, ticks)
    assert reply.header("content-type").startswith("text/event-stream")
    methods = [message.get("method") for message in messages(reply)]
    assert methods == ["notifications/progress"] * 3 + [None]


async def check_background(client: Client) -> None:
    """A task that a tool starts."""

    async def done() -> int:
        count: int = (await call(client, "jobs"))["structuredContent"]["done"]
        return count

    async def start() -> Reply:
        reply = await post(client, "tools/call", name="start_job", arguments={})
        assert messages(reply)
        return reply

    await check_work(client, done, start)


async def check_lifespan(client: Client) -> None:
    """The session manager, which lives in lifespan and starts once, serves every request."""
    for _ in range(5):
        await check_parameters(client)


MCP: Contract = {
    "JSON": check_json,
    "parameters": check_parameters,
    "404": check_not_found,
    "validation": check_validation,
    "error": check_error,
    "SSE": check_sse,
    "background": check_background,
    "lifespan": check_lifespan,
    "base path": check_parameters,
    "stage": check_parameters,
}
