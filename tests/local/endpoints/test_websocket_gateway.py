"""Clients of a local WebSocket API: handshakes, messages, limits, ends."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import re
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed, InvalidStatus

from lamella.local.endpoints.websockets.api import WebSocketApi
from lamella.local.execution.environment import Environment, EnvironmentState
from tests.local.conftest import Configure
from tests.local.websocket_client import Served, closed, serving
from tests.waiting import PATIENCE, until

pytestmark = pytest.mark.anyio


def answers(**result: Any) -> dict[str, Any]:
    return {"do": "result", "result": result}


def is_idle(environment: Environment) -> bool:
    return environment.state is EnvironmentState.IDLE


async def refused(local: Served, wish: Any, path: str = "") -> tuple[int, bytes]:
    """The answer to a handshake that must not succeed."""
    with pytest.raises(InvalidStatus) as failed:
        async with local.connect(path, wish=wish):
            pytest.fail("the client is in")
    response = failed.value.response
    return response.status_code, bytes(response.body)


# Handshakes


async def test_a_client_connects_at_the_stage_and_at_the_root(configure: Configure) -> None:
    async with serving(configure(), WebSocketApi("dev")) as local:
        assert local.url.endswith("/dev")
        for url in (local.url, local.url.removesuffix("/dev")):
            local.url = url
            async with local.connect(subprotocols=["chat"], user_agent_header="me") as client:
                assert client.subprotocol is None
                assert client.protocol.extensions == []
        await until(lambda: len(local.events("CONNECT")) == 2)
    first, second = local.events("CONNECT")
    assert first["headers"]["Sec-WebSocket-Protocol"] == "chat"
    assert first["requestContext"]["identity"] == {"userAgent": "me", "sourceIp": "127.0.0.1"}
    assert first["requestContext"]["stage"] == "dev"
    assert first["requestContext"]["connectionId"] != second["requestContext"]["connectionId"]


@pytest.mark.parametrize("name", ["Sec-WebSocket-Protocol", "sec-websocket-protocol"])
async def test_the_function_chooses_the_subprotocol(configure: Configure, name: str) -> None:
    async with serving(configure()) as local:
        wish = answers(statusCode=200, headers={name: "b"})
        async with local.connect(wish=wish, subprotocols=["a", "b"]) as client:
            assert client.subprotocol == "b"


async def test_a_subprotocol_that_was_not_offered_is_none(configure: Configure) -> None:
    async with serving(configure()) as local:
        wish = answers(statusCode=200, headers={"Sec-WebSocket-Protocol": "c"})
        async with local.connect(wish=wish, subprotocols=["a", "b"]) as client:
            assert client.subprotocol is None


@pytest.mark.parametrize("status", [301, 400, 401, 403, 500])
async def test_any_other_status_refuses_the_handshake(configure: Configure, status: int) -> None:
    async with serving(configure()) as local:
        wish = answers(statusCode=status, body="go away", headers={"X-Why": "so"})
        with pytest.raises(InvalidStatus) as failed:
            async with local.connect(wish=wish):
                pytest.fail("the client is in")
    response = failed.value.response
    assert (response.status_code, response.body) == (status, b"go away")
    assert response.headers["X-Why"] == "so"
    assert not local.events("DISCONNECT"), "it was never connected"
    (line,) = [line for line in local.log if line.startswith("WEBSOCKET $connect ")]
    told = "ASGI_WEBSOCKET_PATH is the path that the application sees" in line
    assert told is (status == 403), "the status of Starlette's where no route fits"


async def test_201_accepts(configure: Configure) -> None:
    async with serving(configure()) as local, local.connect(wish=answers(statusCode=201)):
        pass


@pytest.mark.parametrize(
    ("wish", "words"),
    [
        ({"do": "error"}, "the function failed: Oops: no"),
        ({"do": "crash"}, "the function failed: Runtime.ExitError"),
        (answers(body=""), "the function's result is not what"),
        (answers(statusCode=200, headers=[1]), "headers is a JSON list, not an object"),
    ],
)
async def test_a_failing_connect_is_a_502(configure: Configure, wish: Any, words: str) -> None:
    async with serving(configure()) as local:
        status, body = await refused(local, wish)
    assert (status, json.loads(body)) == (502, {"message": "Internal server error"})
    assert any(line.startswith("WEBSOCKET $connect ") and words in line for line in local.log)


async def test_a_slow_connect_is_a_504(configure: Configure) -> None:
    async with serving(configure(), WebSocketApi(time_limit=0.3)) as local:
        status, body = await refused(local, {"do": "sleep", "seconds": 30})
    assert (status, json.loads(body)) == (504, {"message": "Endpoint request timed out"})


async def test_a_throttled_connect_is_a_429(configure: Configure) -> None:
    async with serving(configure(), concurrency=1) as local, local.connect() as client:
        # The client is in as soon as $connect is answered, and the function may still be at it.
        await until(lambda: all(map(is_idle, local.function.environments)))
        await client.send(json.dumps({"do": "sleep", "seconds": 30}))
        await local.event("MESSAGE")
        assert (await refused(local, None))[0] == 429


async def test_other_paths_are_a_403(configure: Configure) -> None:
    async with serving(configure()) as local:
        status, body = await refused(local, None, path="/chat")
        assert local.function.environments == [], "nothing was started for it"
    assert (status, json.loads(body)) == (403, {"message": "Forbidden"})
    (line,) = [line for line in local.log if line.startswith("WEBSOCKET ")]
    assert re.fullmatch(r"WEBSOCKET /prod/chat 403 .* the path is outside of the stage", line)


async def test_a_header_carries_the_path(configure: Configure) -> None:
    api = WebSocketApi(path_header="X-Path")
    async with serving(configure(), api) as local:
        mine = {"X-Path": "/forged"}
        async with local.connect(
            "/ws/a%20b", additional_headers=mine, wish=answers(statusCode=200)
        ):
            pass
        event = await local.event("CONNECT")
    assert event["multiValueHeaders"]["x-path"] == ["/ws/a%20b"]


async def test_the_client_is_in_as_soon_as_connect_is_answered(configure: Configure) -> None:
    """What the function does after its answer, it does for a client that is there."""
    async with serving(configure()) as local:
        wish = {"do": "result", "result": {"statusCode": 200}, "then": 30}
        async with local.connect(wish=wish):
            assert not any(line.startswith("REPORT") for line in local.log)
            got = await local.manage("POST", await local.id(), b"hello")
            assert got.status_code == 200


async def test_plain_requests_go_to_the_function_as_from_an_http_api(configure: Configure) -> None:
    async with serving(configure()) as local, httpx.AsyncClient() as client:
        got = await client.get(f"{local.origin}/prod/page?a=1")
    event = got.json()
    assert (event["version"], event["rawPath"]) == ("2.0", "/prod/page")


# Messages


async def test_each_message_is_an_event(configure: Configure) -> None:
    async with (
        serving(configure(), WebSocketApi(routes=("send",))) as local,
        local.connect() as client,
    ):
        for text in ("plain", "", '{"action": "send"}'):
            await client.send(text)
        await local.messages(3)
        connection_id = await local.id()
    events = local.events("MESSAGE")
    assert {(e["body"], e["requestContext"]["routeKey"]) for e in events} == {
        ("plain", "$default"),
        ("", "$default"),
        ('{"action": "send"}', "send"),
    }
    assert {e["requestContext"]["connectionId"] for e in events} == {connection_id}
    assert len({e["requestContext"]["messageId"] for e in events}) == 3


async def test_results_of_messages_go_nowhere(configure: Configure) -> None:
    async with serving(configure()) as local, local.connect() as client:
        for status in (200, 401, 500):
            await client.send(json.dumps(answers(statusCode=status, body="lost")))
        await local.messages(3)
        await local.manage("POST", await local.id(), b"found")
        assert await client.recv() == "found"


@pytest.mark.parametrize("wish", [{"do": "error"}, {"do": "crash"}, answers(body="")])
async def test_a_failed_message_is_told_to_the_client(configure: Configure, wish: Any) -> None:
    async with serving(configure()) as local, local.connect() as client:
        await client.send(json.dumps(wish))
        told = json.loads(await client.recv())
        context = (await local.event("MESSAGE"))["requestContext"]
        assert told == {
            "message": "Internal server error",
            "connectionId": context["connectionId"],
            "requestId": context["requestId"],
        }
        await client.send("the connection stays open")
        await local.messages(2)
    assert any(line.startswith("WEBSOCKET $default - ") for line in local.log)


async def test_a_message_that_takes_too_long(configure: Configure) -> None:
    async with (
        serving(configure(), WebSocketApi(time_limit=0.5)) as local,
        local.connect() as client,
    ):
        await client.send(json.dumps({"do": "sleep", "seconds": 30}))
        assert json.loads(await client.recv())["message"] == "Endpoint request timed out"


async def test_messages_may_run_at_the_same_time(configure: Configure) -> None:
    async with serving(configure()) as local, local.connect() as client:
        for _ in range(3):
            await client.send(json.dumps({"do": "sleep", "seconds": 30}))
        await local.messages(3)
    assert len({event["pid"] for event in local.events("MESSAGE")}) == 3


async def test_events_of_a_connection_are_spread_over_environments(configure: Configure) -> None:
    async with (
        serving(configure(), spread=2) as local,
        local.connect() as client,
    ):
        for count in (1, 2, 3):
            await client.send("x")
            await local.messages(count)
            await until(lambda: all(map(is_idle, local.function.environments)))
    pids = [event["pid"] for event in local.events()]
    assert len(pids) == 5
    assert len(set(pids)) == 2
    assert all(one != other for one, other in itertools.pairwise(pids))


# Limits


@pytest.mark.parametrize("size", [0, 32 * 1024])
async def test_a_frame_up_to_its_limit(configure: Configure, size: int) -> None:
    async with serving(configure()) as local, local.connect() as client:
        await client.send("x" * size)
        assert (await local.event("MESSAGE"))["size"] == size


async def test_a_frame_over_its_limit(configure: Configure) -> None:
    async with serving(configure()) as local, local.connect() as client:
        await client.send("x" * (32 * 1024 + 1))
        assert (await closed(client))[0] == 1009
        context = (await local.event("DISCONNECT"))["requestContext"]
    assert context["disconnectStatusCode"] == 1009
    assert not local.events("MESSAGE")


async def test_a_message_up_to_its_limit(configure: Configure) -> None:
    async with serving(configure()) as local, local.connect() as client:
        await client.send(["x" * 32 * 1024] * 4)
        assert (await local.event("MESSAGE"))["size"] == 128 * 1024


async def test_a_message_over_its_limit(configure: Configure) -> None:
    async with serving(configure()) as local, local.connect() as client:
        await client.send(["x" * 32 * 1024] * 4 + ["x"])
        assert (await closed(client))[0] == 1009
        assert (await local.event("DISCONNECT"))["requestContext"]["disconnectStatusCode"] == 1009
    assert not local.events("MESSAGE")


async def test_binary_is_refused(configure: Configure) -> None:
    async with serving(configure()) as local, local.connect() as client:
        await client.send(b"\x00")
        assert await closed(client) == (1003, "Unsupported Data")
        assert (await local.event("DISCONNECT"))["requestContext"]["disconnectStatusCode"] == 1003
    assert not local.events("MESSAGE")


async def test_an_idle_connection_ends(configure: Configure) -> None:
    async with (
        serving(configure(), WebSocketApi(idle_limit=0.3)) as local,
        local.connect() as client,
    ):
        assert await closed(client) == (1001, "Going away")
        context = (await local.event("DISCONNECT"))["requestContext"]
    assert (context["disconnectStatusCode"], context["disconnectReason"]) == (1001, "Going away")


@pytest.mark.parametrize("direction", ["in", "out"])
async def test_messages_in_both_directions_keep_it_from_being_idle(
    configure: Configure, direction: str
) -> None:
    async with (
        serving(configure(), WebSocketApi(idle_limit=2)) as local,
        local.connect() as client,
    ):
        connection_id = await local.id()
        for _ in range(6):
            await asyncio.sleep(0.5)
            if direction == "in":
                await client.send("x")
            else:
                await local.manage("POST", connection_id, b"x")
        assert client.close_code is None


async def test_a_connection_ends_after_its_time_however_busy(configure: Configure) -> None:
    async with (
        serving(configure(), WebSocketApi(life_limit=0.6)) as local,
        local.connect() as client,
    ):
        with contextlib.suppress(ConnectionClosed):
            for _ in range(100):
                await client.send("x")
                await asyncio.sleep(0.1)
        assert await closed(client) == (1001, "Going away")
        await local.event("DISCONNECT")


# Ends


async def ending(local: Served) -> tuple[int, str]:
    context = (await local.event("DISCONNECT"))["requestContext"]
    return context["disconnectStatusCode"], context["disconnectReason"]


@pytest.mark.parametrize(
    ("code", "reason", "told"),
    [
        (1000, "done", (1000, "done")),
        (1001, "", (1001, "")),
        (4000, "mine", (4000, "mine")),
    ],
)
async def test_a_client_that_closes(
    configure: Configure, code: int, reason: str, told: tuple[int, str]
) -> None:
    async with serving(configure()) as local:
        async with local.connect() as client:
            await client.close(code, reason)
        assert await ending(local) == told
        context = local.events("DISCONNECT")[0]["requestContext"]
        assert context["connectionId"] == await local.id()


async def test_a_client_that_closes_without_a_code(configure: Configure) -> None:
    async with serving(configure()) as local:
        async with local.connect() as client:
            client.protocol.send_close()
            client.transport.write(b"".join(client.protocol.data_to_send()))
            await closed(client)
        assert await ending(local) == (1005, "Client-side close frame status not set")


async def test_a_client_that_is_lost(configure: Configure) -> None:
    async with (
        serving(configure()) as local,
        local.connect() as client,
    ):
        client.transport.abort()
        assert await ending(local) == (1006, "")


async def test_a_client_that_leaves_during_connect_gets_its_disconnect(
    configure: Configure,
) -> None:
    async with serving(configure()) as local:
        wish = {"do": "hold", "until": "go", "result": {"statusCode": 200}}
        connecting = asyncio.ensure_future(local.connect(wish=wish).__aenter__())
        await local.event("CONNECT")
        connecting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await connecting
        (local.function.config.task_root / "go").touch()
        assert await ending(local) == (1006, "")


async def test_stopping_closes_connections_and_tells_the_function(
    configure: Configure, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Two environments more are started for it, on a machine that may be busy.
    monkeypatch.setattr("lamella.local.endpoints.websockets.gateway.CLOSING_GRACE", PATIENCE)
    clients: list[ClientConnection] = []
    async with serving(configure()) as local:
        clients += [await local.connect() for _ in range(3)]
    for client in clients:
        assert await closed(client) == (1001, "Going away")
    codes = [e["requestContext"]["disconnectStatusCode"] for e in local.events("DISCONNECT")]
    assert codes == [1001] * 3


async def test_a_running_message_does_not_hold_up_the_stop(configure: Configure) -> None:
    async with serving(configure(timeout=60)) as local:
        client = await local.connect()
        await client.send(json.dumps({"do": "sleep", "seconds": 60}))
        await local.event("MESSAGE")
    assert (await closed(client))[0] == 1001
