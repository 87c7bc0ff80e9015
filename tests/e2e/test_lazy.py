"""`ASGI_LAZY_IMPORTS`: what is loaded with the application, and what when it is used."""

from __future__ import annotations

import pytest

from layer.pythons import Python
from tests.e2e.conftest import StartLocal
from tests.events import url_event

pytestmark = pytest.mark.anyio


async def test_modules_are_loaded_when_they_are_used(
    start_local: StartLocal, python: Python
) -> None:
    if python.version < (3, 15):
        pytest.skip("no lazy imports")
    async with start_local("lazily:app", ASGI_LAZY_IMPORTS="on") as judge:
        lazily = (await judge.invoke(url_event("/"))).content
        again = (await judge.invoke(url_event("/"))).content
    settings = {"ASGI_LAZY_IMPORTS": "on", "ASGI_LAZY_IMPORTS_EXCEPT": "lazily_needed"}
    async with start_local("lazily:app", **settings) as judge:
        excepted = (await judge.invoke(url_event("/"))).content
    async with start_local("lazily:app") as judge:
        eagerly = (await judge.invoke(url_event("/"))).content
    assert lazily["before"] == []
    assert again["before"] == eagerly["before"] == ["colorsys", "lazily_needed", "wave"]
    assert excepted["before"] == ["lazily_needed", "wave"]
    assert lazily["wave"] == "wave"


async def test_other_pythons_are_told(start_local: StartLocal, python: Python) -> None:
    if python.version >= (3, 15):
        pytest.skip("it has lazy imports")
    async with start_local("lazily:app", ASGI_LAZY_IMPORTS="on") as judge:
        failure = judge.environment.init_error
    assert failure is not None
    assert failure.error_type == "Runtime.InvalidSetting"
    assert f"needs Python 3.15 or later, and this is {python.minor}:" in failure.message
