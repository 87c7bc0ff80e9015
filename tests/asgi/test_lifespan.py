"""Lifespan: once for the environment, in three modes, never for longer than its limit."""

from __future__ import annotations

import asyncio
import logging
import traceback
from typing import Any

import pytest

from lamella.asgi.lifespan import Lifespan, State
from lamella.errors import LifespanError
from lamella.types import Receive, Scope, Send

pytestmark = pytest.mark.anyio


class App:
    """A lifespan application; `startup` and `shutdown` are the messages it answers with."""

    def __init__(self, startup: str = "complete", shutdown: str = "complete") -> None:
        self.seen: list[str] = []
        self.answers = {"startup": startup, "shutdown": shutdown}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] == "lifespan"
        assert scope["asgi"] == {"version": "3.0", "spec_version": "2.0"}
        scope["state"]["db"] = "open"
        for phase, answer in self.answers.items():
            self.seen.append((await receive())["type"])
            await send({"type": f"lifespan.{phase}.{answer}", "message": f"no {phase}"})
            if answer == "failed":
                raise RuntimeError(f"no {phase}")


async def never(scope: Scope, receive: Receive, send: Send) -> None:
    await asyncio.sleep(60)


async def refuse(scope: Scope, receive: Receive, send: Send) -> None:
    raise ValueError("only HTTP here")


async def return_early(scope: Scope, receive: Receive, send: Send) -> None:
    return


async def speak_http(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200})


def lifespan(app: Any, mode: str = "auto") -> Lifespan:
    return Lifespan(app, mode)


@pytest.mark.parametrize("mode", ["auto", "on"])
async def test_startup_and_shutdown_run_once(mode: str) -> None:
    app = App()
    life = lifespan(app, mode)
    await life.startup(5)
    await life.startup(5)
    assert life.running
    assert life.scope_state == {"db": "open"}
    await life.shutdown()
    await life.shutdown()
    assert app.seen == ["lifespan.startup", "lifespan.shutdown"]
    assert life.state is State.ENDED


async def test_off_never_calls_the_application() -> None:
    app = App()
    life = lifespan(app, "off")
    await life.startup(5)
    await life.shutdown()
    assert app.seen == []


@pytest.mark.parametrize("app", [refuse, return_early, speak_http])
async def test_auto_accepts_an_application_without_lifespan(
    app: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    life = lifespan(app)
    await life.startup(5)
    assert life.state is State.UNSUPPORTED
    assert not life.running
    # E41: one quiet line for the environment, not a traceback for each invocation
    assert [(r.levelname, r.exc_info) for r in caplog.records] == [("INFO", None)]


@pytest.mark.parametrize(
    ("app", "reason"),
    [
        (refuse, "only HTTP here"),
        (return_early, "the application returned"),
        (speak_http, "Unexpected lifespan message 'http.response.start'"),
    ],
)
async def test_E33_on_refuses_to_start(app: Any, reason: str) -> None:
    with pytest.raises(LifespanError, match=reason) as caught:
        await lifespan(app, "on").startup(5)
    assert "ASGI_LIFESPAN=on" in str(caught.value)
    assert caught.value.error_type == "Runtime.LifespanStartupFailed"


@pytest.mark.parametrize("mode", ["auto", "on"])
async def test_startup_failed_refuses_to_start_in_every_mode(mode: str) -> None:
    with pytest.raises(LifespanError, match="Lifespan startup failed: no startup") as caught:
        await lifespan(App(startup="failed"), mode).startup(5)
    assert isinstance(caught.value.__cause__, RuntimeError)


async def test_a_failure_that_is_told_as_a_traceback_is_told_once() -> None:
    """Starlette's reason is the traceback of the error that it raises next."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        try:
            raise ConnectionError("no database")
        except ConnectionError:
            message = traceback.format_exc()
            await send({"type": "lifespan.startup.failed", "message": message})
            raise

    with pytest.raises(LifespanError) as caught:
        await lifespan(app).startup(5)
    assert str(caught.value) == "Lifespan startup failed: ConnectionError: no database"
    assert isinstance(caught.value.__cause__, ConnectionError), "whose traceback is shown"


async def test_E34_a_startup_that_never_ends_is_cut_off() -> None:
    with pytest.raises(LifespanError, match="ASGI_LIFESPAN_TIMEOUT") as caught:
        await lifespan(never).startup(0.05)
    assert caught.value.error_type == "Runtime.LifespanStartupTimeout"


async def test_E32_shutdown_failed_is_a_log_record(caplog: pytest.LogCaptureFixture) -> None:
    life = lifespan(App(shutdown="failed"))
    await life.startup(5)
    await life.shutdown()
    assert "Lifespan shutdown failed: no shutdown" in caplog.text


async def test_a_shutdown_that_never_ends_is_cut_off(caplog: pytest.LogCaptureFixture) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await asyncio.sleep(60)

    life = lifespan(app)
    await life.startup(5)
    await life.shutdown(timeout=0.05)
    assert "Lifespan shutdown was cut off after 0.05 s" in caplog.text


async def test_a_lifespan_that_dies_while_serving_is_reported(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await asyncio.sleep(0)
        raise ValueError("the pool's task died")

    life = lifespan(app)
    await life.startup(5)
    await asyncio.sleep(0.01)
    assert "the pool's task died" in caplog.text
    assert not life.running


async def test_a_loop_that_ends_first_gives_the_application_its_shutdown(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """`asyncio.run` cancels every task, in whatever order, and waits for them."""
    app = App()
    life = lifespan(app)
    await life.startup(1)
    (task,) = (each for each in asyncio.all_tasks() if each.get_name() == "lamella-lifespan")
    task.cancel()
    await asyncio.wait({task}, timeout=5)
    assert app.seen == ["lifespan.startup", "lifespan.shutdown"]
    assert not life.running
    assert not caplog.records
