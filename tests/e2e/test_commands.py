"""ASGI_COMMANDS on the built layer: the function's search path, its log, its deadline."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from lamella.commands import CLIENT_CONTEXT, COMMAND
from tests.e2e.conftest import StartLocal
from tests.waiting import until

pytestmark = pytest.mark.anyio


async def test_a_command_runs_beside_the_application(
    start_local: StartLocal, tmp_path: Path
) -> None:
    code = (
        "import lamella, bare, os, sys, time\n"
        "print('its app is', os.environ['ASGI_APP'], file=sys.stderr)\n"
        "while not os.path.exists(sys.argv[1]): time.sleep(0.01)\n"
        "sys.exit(3)\n"
    )
    async with start_local(ASGI_COMMANDS="on") as judge:
        flag = tmp_path / "flag"
        event = {COMMAND: ["python", "-c", code, str(flag)]}
        running = asyncio.ensure_future(
            judge.environment.invoke(event, client_context=CLIENT_CONTEXT)
        )
        await until(lambda: "its app is bare:app" in judge.environment.logs)
        assert not running.done(), "the log has the output as it comes"
        flag.touch()
        result = await running
        refused = await judge.invoke(event)
    assert json.loads(result.payload) == {"exit_code": 3, "output": "its app is bare:app\n"}
    assert refused.error_type == "Function.Error"
    assert b"COMMAND sends it" in refused.payload
