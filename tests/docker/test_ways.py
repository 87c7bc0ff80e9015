"""Each way into Lamella, on each Python, in an image like Lambda's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from layer.pythons import Python
from tests.docker import engine
from tests.docker.conftest import BARE, StartFunction
from tests.events import SQS_EVENT, alb_event, http_event, rest_event, url_event

EVENTS = [url_event("/hello"), http_event("/hello"), rest_event("/hello"), alb_event("/hello")]


def test_the_bootstrap_way(start: StartFunction, python: Python) -> None:
    function = start(ASGI_APP="bare:app")
    answers = [function.invoke(event).content for event in EVENTS]
    assert {answer["started"] for answer in answers} == {1}, "lifespan ran once"
    assert len({answer["pid"] for answer in answers}) == 1
    assert function.invoke(SQS_EVENT).result == {"got": SQS_EVENT}
    environment = function.invoke(url_event("/modules")).content
    folders = ["/opt/python", f"/var/lang/lib/python{python.minor}/site-packages"]
    assert environment["path"][:4] == ["/var/task", *folders, "/var/runtime"]
    assert environment["environ"]["AWS_EXECUTION_ENV"] == f"AWS_Lambda_python{python.minor}"
    assert {file.rpartition("/lamella/")[0] for file in environment["files"]} == {"/opt/python"}


def test_a_stream(start: StartFunction) -> None:
    function = start(ASGI_APP="bare:app", ASGI_INVOKE_MODE="response_stream")
    prelude, body = function.invoke(url_event("/ticks")).streamed()
    assert (prelude["statusCode"], body) == (200, b"data: 0\n\ndata: 1\n\ndata: 2\n\n")
    assert function.invoke(http_event("/hello")).result["statusCode"] == 200


def test_the_handler_way(start: StartFunction) -> None:
    function = start(ASGI_APP="bare:app", handler="lamella.handler", wrapper="")
    answers = [function.invoke(event).content for event in EVENTS]
    assert {answer["started"] for answer in answers} == {1}
    assert function.invoke(SQS_EVENT).result == {"got": SQS_EVENT}


def test_the_library_way(start: StartFunction) -> None:
    function = start(handler="library.handler", wrapper="")
    assert function.invoke(url_event("/api/hello")).content["started"] == 1


@pytest.fixture
def own_image(client: docker.DockerClient, image: str, opt: Path) -> Iterator[str]:
    """An image of the function's own, which is removed after its containers."""
    with engine.function_image(client, image, opt, BARE) as tag:
        yield tag


def test_the_container_image_way(own_image: str, start: StartFunction) -> None:
    """The layer is in the image, and its bootstrap is the entry point."""
    function = start(own_image=own_image, wrapper="", ASGI_APP="bare:app")
    assert function.invoke(url_event("/hello")).content["started"] == 1
    environ = function.invoke(url_event("/modules")).content["environ"]
    assert "AWS_EXECUTION_ENV" not in environ, "the managed runtime's bootstrap had no part in it"
