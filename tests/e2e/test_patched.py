"""Libraries that replace what an event loop stands on: an init error says so, or they serve."""

from __future__ import annotations

import pytest

from layer.pythons import Python
from tests.e2e.conftest import StartLocal
from tests.e2e.packages import installed
from tests.events import url_event

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("library", ["gevent", "eventlet"])
async def test_monkey_patching_is_an_init_error(
    start_local: StartLocal, python: Python, library: str
) -> None:
    packages = str(installed(python, library, library))
    async with start_local("patched:app", PATCHED=library, PYTHONPATH=packages) as judge:
        failure = judge.environment.init_error
    assert failure is not None
    assert failure.error_type == "Runtime.UserCodeError"
    assert "remove monkey.patch_all() or monkey_patch()" in failure.message


async def test_nest_asyncio_needs_the_loop_of_asyncio(
    start_local: StartLocal, python: Python
) -> None:
    packages = str(installed(python, "nest", "nest_asyncio", "uvloop==0.22.1"))
    settings = {"PATCHED": "nest_asyncio", "PYTHONPATH": packages}
    async with start_local("patched:app", **settings) as judge:
        failure = judge.environment.init_error
    assert failure is not None
    assert "set ASGI_LOOP=asyncio" in failure.message
    async with start_local("patched:app", ASGI_LOOP="asyncio", **settings) as judge:
        assert (await judge.invoke(url_event("/"))).result["body"] == "ok"
        assert (await judge.invoke(url_event("/"))).result["body"] == "ok"
