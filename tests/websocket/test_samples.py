"""The WebSocket events that other projects captured, served."""

from __future__ import annotations

import pytest

from tests.sources import samples
from tests.websocket.driver import ID, driving
from tests.websocket.test_events import Recorder

pytestmark = [pytest.mark.anyio, samples.needed]

CONNECT = "rust__apigw-websocket-request-without-method.json"
MESSAGE = "go__apigw-websocket-request-send-message.json"
DISCONNECT = "go__apigw-websocket-request-disconnect.json"


async def test_one_connection_of_captured_events(at_once: bool) -> None:
    app = Recorder()
    events = [samples.load(name) for name in (CONNECT, MESSAGE, DISCONNECT)]
    for event in events:
        event["requestContext"]["connectionId"] = ID
    async with driving(app, at_once) as drive:
        answers = [await drive(event) for event in events]
    assert [answer.status for answer in answers] == [200, 200, 200]
    assert [message["type"] for message in app.messages] == [
        *("websocket.connect", "websocket.connect"),
        *("websocket.receive", "websocket.connect", "websocket.disconnect"),
    ]
    assert app.messages[2]["text"] == events[1]["body"]
    assert app.messages[4]["code"] == 1001
    assert app.scopes[0]["client"] == ("10.0.0.13", 0)
