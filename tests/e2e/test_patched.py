"""Libraries that replace what an event loop stands on: an init error says so, or they serve."""

from __future__ import annotations

import subprocess

import pytest

from layer.pythons import Python
from tests.e2e.conftest import StartLocal
from tests.e2e.packages import installed, uvloop
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


async def test_nest_asyncio_cannot_patch_uvloop(start_local: StartLocal, python: Python) -> None:
    packages = f"{uvloop(python)}:{installed(python, 'nest', 'nest_asyncio')}"
    async with start_local("patched:app", PATCHED="nest_asyncio", PYTHONPATH=packages) as judge:
        failure = judge.environment.init_error
    assert failure is not None
    assert "set ASGI_LOOP=asyncio" in failure.message


async def test_nest_asyncio_runs_where_python_lets_it(
    start_local: StartLocal, python: Python
) -> None:
    packages = str(installed(python, "nest", "nest_asyncio"))
    if python.version >= (3, 14):
        assert "Timeout should be used inside a task" in without_lamella(python, packages)
        pytest.skip(f"nest_asyncio itself does not work on Python {python.minor}")
    settings = {"PATCHED": "nest_asyncio", "PYTHONPATH": packages, "ASGI_LOOP": "asyncio"}
    async with start_local("patched:app", **settings) as judge:
        assert (await judge.invoke(url_event("/"))).result["body"] == "ok"
        assert (await judge.invoke(url_event("/"))).result["body"] == "ok"


def without_lamella(python: Python, packages: str) -> str:
    """What Python says of a timeout under nest_asyncio."""
    script = """if True:
        import asyncio, nest_asyncio
        nest_asyncio.apply()
        asyncio.run(asyncio.wait_for(asyncio.sleep(0), 1))
    """
    command, environ = [python.path, "-c", script], {"PYTHONPATH": packages}
    return subprocess.run(command, env=environ, capture_output=True, text=True).stderr
