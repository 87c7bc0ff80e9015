"""What users pass to `lamella.Adapter`, as their type checker sees it: mypy checks this file.

The classes have the signatures of the frameworks' own, whose packages are not needed for it. At
run time each of them serves a request.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any, Literal, TypedDict

import pytest
from fastapi import FastAPI
from starlette.applications import Starlette

import lamella
from tests.events import url_event


class HTTPScope(TypedDict):
    type: Literal["http"]
    path: str


class LifespanScope(TypedDict):
    type: Literal["lifespan"]


class ReceiveMessage(TypedDict):
    type: str


class SendMessage(TypedDict, total=False):
    type: str
    status: int
    headers: Iterable[tuple[bytes, bytes]]
    body: bytes


AnyScope = HTTPScope | LifespanScope


class LikeLitestarAndQuart:
    """Dictionaries of their own for scope and messages."""

    async def __call__(
        self,
        scope: AnyScope,
        receive: Callable[[], Awaitable[ReceiveMessage]],
        send: Callable[[SendMessage], Awaitable[None]],
    ) -> None:
        await send({"type": "http.response.start", "status": 204})
        await send({"type": "http.response.body"})


class LikeDjango:
    """Plain dictionaries; other names for the arguments, too."""

    async def __call__(
        self,
        scope: dict[str, Any],
        receive_: Callable[[], Awaitable[dict[str, Any]]],
        send_: Callable[[dict[str, Any]], Awaitable[None]],
    ) -> None:
        await send_({"type": "http.response.start", "status": 204})
        await send_({"type": "http.response.body"})


class LikeSanic:
    """Not annotated, which is Any, and something returned."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> Any:
        await send({"type": "http.response.start", "status": 204})
        await send({"type": "http.response.body"})
        return self


async def function(
    scope: MutableMapping[str, Any],
    receive: Callable[[], Awaitable[MutableMapping[str, Any]]],
    send: Callable[[MutableMapping[str, Any]], Awaitable[None]],
) -> None:
    await send({"type": "http.response.start", "status": 204})
    await send({"type": "http.response.body"})


HANDLERS: dict[str, Callable[[], lamella.Adapter]] = {
    "litestar-and-quart": lambda: lamella.Adapter(LikeLitestarAndQuart(), lifespan="off"),
    "django": lambda: lamella.Adapter(LikeDjango(), lifespan="off"),
    "sanic": lambda: lamella.Adapter(LikeSanic(), lifespan="off", base_path_mode="strip"),
    "function": lambda: lamella.Adapter(function, lifespan="off", log_access=False),
    "fastapi": lambda: lamella.Adapter(FastAPI(openapi_url=None), text_types=["image/svg"]),
    "starlette": lambda: lamella.Adapter(Starlette(), background_timeout=2.5),
    "name": lambda: lamella.Adapter("tests.typing.test_applications:function", lifespan="off"),
}
"""Every call here has to pass mypy --strict."""


def refused() -> None:
    """And these must not: mypy reports an ignore that it does not need."""
    lamella.Adapter(3)  # type: ignore[arg-type]  # no application
    lamella.Adapter(function, lifespam="off")  # type: ignore[call-arg]  # no such setting
    lamella.Adapter(function, log_access=3.5)  # type: ignore[arg-type]  # a wrong type


@pytest.mark.parametrize("name", HANDLERS)
def test_D27_every_kind_of_application_serves(name: str) -> None:
    handler = HANDLERS[name]()
    expected = 404 if name in ("fastapi", "starlette") else 204
    assert handler(url_event("/"), None)["statusCode"] == expected
    handler.close()
