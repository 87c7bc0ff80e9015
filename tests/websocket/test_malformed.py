"""Events that are not what API Gateway sends: a 400 with a log record, and never a traceback.

Every field of a captured event, at any depth, is replaced by values of every other kind.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import pytest

from lamella.types import Event, Receive, Scope, Send
from tests.websocket.driver import (
    ID,
    accepting,
    connect_event,
    disconnect_event,
    driving,
    message_event,
)

pytestmark = pytest.mark.anyio

MISSING = object()

ODD: list[Any] = [
    MISSING,
    None,
    5,
    1.5,
    True,
    "",
    "two\r\nlines\0",
    "\ud800",
    "é",
    "x" * 5000,
    10**300,
    float("inf"),
    [],
    [5],
    [None],
    ["a", "b"],
    {},
    {"a": 5},
    {"": None},
    {"\ud800": ["\ud800"]},
]


def paths(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every place in nested objects, the innermost ones too."""
    for key in value if isinstance(value, dict) else ():
        yield (*path, key)
        yield from paths(value[key], (*path, key))


def replaced(event: Event, path: tuple[str, ...], value: Any) -> Event:
    changed = deepcopy(event)
    holder = changed
    for key in path[:-1]:
        holder = holder[key]
    if value is MISSING:
        del holder[path[-1]]
    else:
        holder[path[-1]] = value
    return changed


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Accepts and receives; an event that is no WebSocket's any more is a request, and a 204."""
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})
        return
    await receive()
    await send({"type": "websocket.accept"})
    while (await receive())["type"] != "websocket.disconnect":
        pass


EVENTS = {
    "connect": connect_event(query={"path": "/x"}, Sec_WebSocket_Protocol="a, b"),
    "message": message_event("hello"),
    "disconnect": disconnect_event(reason="away"),
}


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        pytest.param(kind, path, id=f"{kind} {'.'.join(path)}")
        for kind, event in EVENTS.items()
        for path in paths(event)
    ],
)
async def test_a_field_of_another_kind_is_a_400_or_does_not_matter(
    kind: str, path: tuple[str, ...], caplog: pytest.LogCaptureFixture
) -> None:
    # Its own endpoint is made of the event; the others may call API Gateway, the played one.
    settings: Any = {"websocket_endpoint": ""} if kind == "connect" else {}
    async with driving(app, websocket_path="query:path", **settings) as drive:
        if kind != "connect":
            await drive.connect()
        for value in ODD:
            caplog.clear()
            with caplog.at_level(logging.INFO, "lamella"):
                reply = await drive(replaced(EVENTS[kind], path, value))
            logged = [record for record in caplog.records if record.exc_info]
            assert not logged, f"{value!r:.40}: {logged[0].getMessage()}"
            assert not [each for each in caplog.records if each.levelno >= logging.ERROR]
            if reply.result is None:  # another source's event, or nobody's
                assert path[-1] in ("requestContext", "eventType", "connectionId")
                continue
            assert reply.status in (200, 400, 410), f"{value!r:.40}"
            said = "Malformed event (websocket)" in caplog.text
            assert said == (reply.status == 400), f"{value!r:.40}: {caplog.text}"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("domainName", "https://evil.example"),
        ("domainName", "169.254.169.254"),
        ("apiId", "evil.example/"),
        ("stage", "../other"),
    ],
)
async def test_an_event_does_not_choose_where_signed_requests_go(
    field: str, value: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with driving(app, websocket_endpoint="") as drive:
        event = connect_event()
        event["requestContext"][field] = value
        assert (await drive(event)).status == 400
        assert await drive.kept(ID) is None
        event = message_event("x", "unknown")
        event["requestContext"][field] = value
        assert (await drive(event)).status == 400
        assert not drive.gateway.requests
    assert f"Malformed event (websocket): The event's '{field}' must be" in caplog.text


@pytest.mark.parametrize(
    "change",
    [{"body": 5}, {"body": "@@", "isBase64Encoded": True}, {"body": "x", "isBase64Encoded": "y"}],
)
async def test_a_malformed_message_is_a_400_and_costs_nothing(
    at_once: bool, change: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    async with driving(accepting(), at_once) as drive:
        await drive.connect()
        assert (await drive({**message_event("x"), **change})).status == 400
        assert "Malformed event (websocket)" in caplog.text
        assert (await drive.message("x")).status == 200


@pytest.mark.parametrize("connection_id", [5, None, {}, "", "a\nERROR forged"])
async def test_a_malformed_connection_id_is_a_400(at_once: bool, connection_id: Any) -> None:
    async with driving(accepting(), at_once) as drive:
        event = connect_event()
        event["requestContext"]["connectionId"] = connection_id
        assert (await drive(event)).status == 400


async def test_without_a_stage_the_setting_says_where_to(
    at_once: bool, caplog: pytest.LogCaptureFixture
) -> None:
    event = connect_event()
    del event["requestContext"]["stage"]
    async with driving(accepting(), at_once) as drive:
        assert (await drive(event)).status == 200
    async with driving(accepting(), at_once, websocket_endpoint="") as drive:
        assert (await drive(event)).status == 400
    assert "Set ASGI_WEBSOCKET_ENDPOINT to the URL" in caplog.text
