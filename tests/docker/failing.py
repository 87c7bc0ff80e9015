"""Not collected: tests/docker/test_engine.py runs it, to see what a failure shows."""

from __future__ import annotations

from tests.docker.conftest import FUNCTIONS, StartFunction
from tests.events import url_event


def test_that_fails(start: StartFunction) -> None:
    function = start(task=FUNCTIONS / "sandbox", ASGI_APP="main:app")
    function.invoke(url_event("/write_task"))
    raise AssertionError(f"container {function.container.id} is to be removed")
