"""ASGI_COMMANDS: who may run a command in the function, and what becomes of it."""

from __future__ import annotations

import io
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import lamella
from lamella.commands import CLIENT_CONTEXT
from lamella.errors import InvocationError
from lamella.testing import events
from lamella.types import Receive, Scope, Send
from tests.waiting import PATIENCE, is_running


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    body = (await receive())["body"]
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body", "body": body})


def context(seconds: float = 30.0, custom: Any = CLIENT_CONTEXT["custom"]) -> Any:
    ends = time.monotonic() + seconds
    return SimpleNamespace(
        aws_request_id="r-1",
        client_context=SimpleNamespace(custom=custom),
        get_remaining_time_in_millis=lambda: int((ends - time.monotonic()) * 1000),
    )


def run(*command: Any, seconds: float = 30.0) -> Any:
    handler = lamella.Adapter(app, lifespan="off", commands="on")
    try:
        return handler({"lamella.command": list(command)}, context(seconds))
    finally:
        handler.close()


def test_it_runs_as_the_function_s_own_code_would(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "layer").mkdir()
    (tmp_path / "layer" / "of_the_layer.py").write_text("NAME = 'a layer'\n")
    (tmp_path / "manage.py").write_text(
        "import os, sys, of_the_layer\n"
        "print(of_the_layer.NAME, os.environ['MINE'], os.getcwd(), sys.argv[1:])\n"
        "print('é', file=sys.stderr)\n"
        "sys.exit(3)\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path / "layer"))
    monkeypatch.setenv("LAMBDA_TASK_ROOT", str(tmp_path))
    monkeypatch.setenv("MINE", "a variable")
    result = run("python", "manage.py", "migrate", "--no input")
    output = f"a layer a variable {tmp_path} ['migrate', '--no input']\né\n"
    assert result == {"exit_code": 3, "output": output}
    assert capfd.readouterr().out == output, "and in the function's log"


def test_a_command_that_does_not_end_is_killed_with_its_children() -> None:
    code = (
        "import subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "print(child.pid)\n"
        "time.sleep(60)\n"
    )
    result = run("python", "-c", code, seconds=8.0)
    pid, words = result["output"].split("\n", 1)
    assert result["exit_code"] == 124
    assert words == "lamella: the command was killed: the function's timeout is here; raise it.\n"
    end = time.monotonic() + PATIENCE
    while is_running(int(pid)):
        assert time.monotonic() < end
        time.sleep(0.01)


def test_what_a_command_leaves_behind_does_not_outlive_it() -> None:
    code = (
        "import subprocess, sys\n"
        "print(subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']).pid)\n"
    )
    began = time.monotonic()
    result = run("python", "-c", code)
    assert time.monotonic() - began < 20, "it does not wait for the child, which has the pipe"
    end = time.monotonic() + PATIENCE
    while is_running(int(result["output"])):
        assert time.monotonic() < end
        time.sleep(0.01)


def test_signals_and_commands_that_are_not_there() -> None:
    assert run("sh", "-c", "kill -9 $$")["exit_code"] == 137
    missing = run("alembic-that-is-nowhere", "upgrade")
    assert missing["exit_code"] == 127
    assert "'alembic-that-is-nowhere' cannot be run (No such file" in missing["output"]
    assert "write python -m PACKAGE" in missing["output"]


def test_the_result_has_the_output_whatever_became_of_stdout(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    closed = io.StringIO()
    closed.close()
    monkeypatch.setattr(sys, "stdout", closed)
    assert run("echo", "é") == {"exit_code": 0, "output": "é\n"}


def test_a_long_output_keeps_its_end() -> None:
    result = run("python", "-c", "print('x' * 2_000_000); print('the end')")
    assert result["exit_code"] == 0
    assert len(result["output"]) == 500_000
    assert result["output"].endswith("x\nthe end\n")


@pytest.mark.parametrize("custom", [None, {}, {"lamella.command": True}, "invoke"])
def test_without_the_caller_s_word_nothing_runs(custom: Any, tmp_path: Path) -> None:
    """As from an IoT rule or a state machine, which hand on anybody's JSON as the event."""
    handler = lamella.Adapter(app, lifespan="off", commands="on")
    with pytest.raises(InvocationError, match=r"lamella invoke FUNCTION -- COMMAND sends it"):
        handler({"lamella.command": ["touch", str(tmp_path / "f")]}, context(custom=custom))
    handler.close()
    assert not (tmp_path / "f").exists()


@pytest.mark.parametrize("command", [[], "ls", [""], ["ls", 1], ["a\0b"], ["ls", "\ud800"], None])
def test_a_command_is_a_list_of_texts(command: Any) -> None:
    handler = lamella.Adapter(app, lifespan="off", commands="on")
    with pytest.raises(InvocationError, match="A command is a list of texts and nothing else"):
        handler({"lamella.command": command}, context())
    handler.close()


def test_no_http_request_and_no_queue_is_a_command() -> None:
    handler = lamella.Adapter(app, lifespan="off", commands="on")
    command = {"lamella.command": ["false"]}
    for build in (events.function_url, events.rest_api, events.alb):
        event = build(method="POST", path="/events", json=command)
        assert handler({**event, **command}, context())["statusCode"] == 200
    batch = events.sqs(bodies=['{"lamella.command": ["false"]}'])
    assert handler(batch, context()) == batch
    pipes: Any = [command]
    assert handler(pipes, context()) == pipes
    handler.close()


def test_off_it_is_an_event_like_any_other_and_nothing_is_imported() -> None:
    code = (
        "import sys, tests.test_commands as t, lamella\n"
        "del sys.modules['lamella.commands']\n"
        "event = {'lamella.command': ['false']}\n"
        "assert lamella.Adapter(t.app, lifespan='off')(event, t.context()) == event\n"
        "assert 'lamella.commands' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
