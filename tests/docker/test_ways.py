"""Each way into Lamella, on each Python, in an image like Lambda's."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

import lamella
from layer import pythons
from layer.pythons import Python
from tests.docker import engine
from tests.docker.conftest import BARE, EXAMPLES, StartFunction
from tests.docker.context import Entry, data, tree
from tests.events import SQS_EVENT, alb_event, http_event, rest_event, url_event

EVENTS = [url_event("/hello"), http_event("/hello"), rest_event("/hello"), alb_event("/hello")]


def test_the_bootstrap_way(start: StartFunction, python: Python) -> None:
    function = start(ASGI_APP="bare:app")
    answers = [function.invoke(event).content for event in EVENTS]
    assert {answer["started"] for answer in answers} == {1}, "lifespan ran once"
    assert len({answer["pid"] for answer in answers}) == 1
    assert function.invoke(SQS_EVENT).result == {"got": SQS_EVENT}
    environment = function.invoke(url_event("/modules")).content
    site = f"/var/lang/lib/python{python.minor}/site-packages"
    # Those of `make pythons` are Debian's, which keep packages in /usr and know no such folder.
    own = [] if Path(python.path).parent == pythons.BROUGHT else [site]
    folders = ["/var/task", "/opt/python", *own, "/var/runtime"]
    assert environment["path"][: len(folders)] == folders
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


@pytest.fixture
def one_line_image(client: docker.DockerClient, image: str, python: Python) -> Iterator[str]:
    """The image of examples/deploy/container, with what its `pip install` would add."""
    text = (EXAMPLES / "deploy" / "container" / "Dockerfile").read_text()
    text = text.replace("public.ecr.aws/lambda/python:3.13", image)
    packages = f"/var/lang/lib/python{python.minor}/site-packages/"
    install = "RUN pip install --no-cache-dir -r requirements.txt"
    assert install in text
    text = text.replace(install, f"COPY lamella/ {packages}lamella/")
    context = [
        data("Dockerfile", text.encode()),
        data("requirements.txt", b""),
        Entry("main.py", BARE / "bare.py"),
        *tree(Path(lamella.__file__).parent, "lamella"),
    ]
    tag = engine.build(client, f"lamella-one-line:{python.minor}", context)
    yield tag
    client.images.remove(tag, force=True)


def test_the_container_image_in_one_line(
    client: docker.DockerClient, one_line_image: str, start: StartFunction
) -> None:
    """AWS's base image, the package, and a CMD: no layer, no entry point, no variable."""
    (handler,) = client.images.get(one_line_image).attrs["Config"]["Cmd"]
    listing = ["-c", "import os; print(os.listdir('/var/task/__pycache__'))"]
    held = client.containers.run(one_line_image, listing, entrypoint=["python3"], remove=True)
    assert b"main.cpython-3" in held, held
    function = start(own_image=one_line_image, own_entry=False, wrapper="", handler=handler)
    page = (EXAMPLES.parent / "docs" / "deploy" / "container.md").read_text()
    (documented,) = re.findall(r"--data '(.*?)'\n", page, re.DOTALL)
    assert function.invoke(json.loads(documented)).result["statusCode"] == 404
    answers = [function.invoke(event).content for event in EVENTS]
    assert {answer["started"] for answer in answers} == {1}, "lifespan ran once"


def test_the_container_image_way(own_image: str, start: StartFunction) -> None:
    """The layer is in the image, and its bootstrap is the entry point."""
    function = start(own_image=own_image, wrapper="", ASGI_APP="bare:app")
    assert function.invoke(url_event("/hello")).content["started"] == 1
    environ = function.invoke(url_event("/modules")).content["environ"]
    assert "AWS_EXECUTION_ENV" not in environ, "the managed runtime's bootstrap had no part in it"
