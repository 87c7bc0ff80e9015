"""Applications of real frameworks in an image like Lambda's: buffered, streamed, by handler."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from layer.pythons import Python
from tests.docker.conftest import EXAMPLES, FUNCTIONS, StartFunction
from tests.e2e.packages import installed
from tests.events import url_event

FORM = {"content_type": "application/x-www-form-urlencoded"}
HANDLER = {"handler": "lamella.handler", "wrapper": ""}

Ways = pytest.mark.parametrize(
    "way", [pytest.param({}, id="bootstrap"), pytest.param(HANDLER, id="handler")]
)


@pytest.fixture(scope="module")
def build(python: Python, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Make a function's folder, code among its dependencies, as `sam build` does."""

    def build(code: Path, name: str, *requirements: str) -> Path:
        folder = tmp_path_factory.mktemp(name) / "task"
        shutil.copytree(installed(python, name, *requirements), folder)
        return shutil.copytree(code, folder, dirs_exist_ok=True)

    return build


@pytest.fixture(scope="module")
def fastapi(build: Callable[..., Path]) -> Path:
    return build(EXAMPLES / "fastapi", "example", "fastapi", "python-multipart")


@pytest.fixture(scope="module")
def django(build: Callable[..., Path]) -> Path:
    return build(FUNCTIONS / "django", "django", "django==5.2.*")


@Ways
def test_fastapi(start: StartFunction, fastapi: Path, way: dict[str, str]) -> None:
    function = start(task=fastapi, ASGI_APP="main:app", **way)
    item = function.invoke(url_event("/items/5", query="q=a%20b%2Bc"))
    assert item.content == {"item_id": 5, "q": "a b+c"}
    form = function.invoke(url_event("/form", method="POST", body="name=a+b", **FORM))
    assert form.content == {"name": "a b"}
    assert len(function.invoke(url_event("/cookies")).result["cookies"]) == 2
    assert function.invoke(url_event("/items/five")).result["statusCode"] == 422
    assert function.invoke(url_event("/error")).result["statusCode"] == 500
    assert function.has_logged("RuntimeError: this is the example's unhandled error")
    first, again = (function.invoke(url_event("/")).content["up_seconds"] for _ in range(2))
    assert again >= first, "the lifespan's state is there"


def test_fastapi_streams(start: StartFunction, fastapi: Path) -> None:
    function = start(task=fastapi, ASGI_APP="main:app", ASGI_INVOKE_MODE="response_stream")
    event = url_event("/events", query="count=3&interval=0.1")
    prelude, body = function.invoke(event).streamed()
    assert prelude["headers"]["content-type"].startswith("text/event-stream")
    assert body == b"data: 0\n\ndata: 1\n\ndata: 2\n\n"


@Ways
def test_django(start: StartFunction, django: Path, way: dict[str, str]) -> None:
    function = start(task=django, ASGI_APP="shop.asgi:application", **way)
    item = function.invoke(url_event("/items/5", query="q=a%20b%2Bc")).content
    assert item == {"item": 5, "q": "a b+c", "host": "abc.lambda-url.eu-west-1.on.aws"}
    assert [function.invoke(url_event("/rows")).content["visits"] for _ in range(2)] == [1, 2]
    form = function.invoke(url_event("/form", method="POST", body="name=a+b", **FORM)).result
    assert (form["body"], len(form["cookies"])) == ("a b", 2)
    assert function.invoke(url_event("/fail")).result["statusCode"] == 500
    assert function.has_logged("RuntimeError: the shop is closed")


def test_django_streams(start: StartFunction, django: Path) -> None:
    settings = {"ASGI_APP": "shop.asgi:application", "ASGI_INVOKE_MODE": "response_stream"}
    prelude, body = start(task=django, **settings).invoke(url_event("/ticks")).streamed()
    assert prelude["statusCode"] == 200
    assert body == b"data: 0\n\ndata: 1\n\ndata: 2\n\n"
