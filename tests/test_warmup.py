"""The requests of `ASGI_WARMUP`, and what bounds them."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

import lamella
from lamella import warmup
from lamella.errors import InitError
from lamella.sources.registry import find
from lamella.types import Receive, Scope, Send
from tests.events import url_event


class App:
    """Answers 200, or what its path says; keeps the scopes."""

    def __init__(self) -> None:
        self.scopes: list[Scope] = []
        self.tasks: list[str] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise NotImplementedError(scope["type"])
        self.scopes.append(scope)
        if scope["path"] == "/hangs":
            await asyncio.sleep(60)
        status = 404 if scope["path"] == "/no" else 200
        if scope["path"] == "/task":
            asyncio.get_running_loop().create_task(self._later())
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b"ok"})

    async def _later(self) -> None:
        await asyncio.sleep(0.01)
        self.tasks.append("done")


def test_the_application_sees_a_get_of_its_own_kind() -> None:
    app = App()
    targets = "/items/1?page=2, http://example.com/a%20b"
    handler = lamella.Adapter(app, warmup=targets, base_path="/items")
    first, second = app.scopes[:2]
    assert (first["method"], first["path"], first["root_path"]) == ("GET", "/items/1", "/items")
    assert first["query_string"] == b"page=2"
    assert (second["path"], second["raw_path"], second["scheme"]) == ("/a b", b"/a%20b", "http")
    hosts = [dict(scope["headers"])[b"host"] for scope in app.scopes[:2]]
    assert hosts == [b"localhost", b"example.com"]
    for scope in app.scopes:
        assert scope["aws.event"][warmup.MARK] is True
        assert find(scope["aws.event"]).name == "url"
        assert 0 < scope["aws.context"].get_remaining_time_in_millis() <= 9000
    assert handler(url_event("/"), None)["statusCode"] == 200
    assert warmup.MARK not in app.scopes[6]["aws.event"]
    with pytest.raises(LookupError):
        lamella.current_invocation()
    handler.close()


def test_what_a_request_leaves_running_ends_in_init() -> None:
    app = App()
    lamella.Adapter(app, warmup="/task").close()
    assert app.tasks == ["done"] * 3


def test_no_more_time_than_there_is(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lamella.adapter.STARTUP_TIME", 1.0)
    app = App()
    with caplog.at_level(logging.WARNING, "lamella"):
        lamella.Adapter(app, warmup="/hangs,/health", deadline_margin_ms=0).close()
    warnings = [r.message for r in caplog.records if r.message.startswith("ASGI_WARMUP")]
    assert warnings == [
        "ASGI_WARMUP: GET /hangs was answered with 504. Name what is answered with a status below "
        "400.",
        "ASGI_WARMUP: GET /health was left out, because no time is left of init. Name what is "
        "answered with a status below 400.",
    ]
    assert [scope["path"] for scope in app.scopes] == ["/hangs"]


def test_a_failure_can_fail_the_init() -> None:
    settings: Any = {"warmup": "/events", "events_from_http": "refuse", "warmup_failures": "error"}
    with pytest.raises(InitError, match="GET /events was answered with 404"):
        lamella.Adapter(App(), **settings)
    settings["error_status"] = "404"
    with pytest.raises(InitError, match="GET /no failed"):
        lamella.Adapter(App(), **settings | {"warmup": "/no"})
