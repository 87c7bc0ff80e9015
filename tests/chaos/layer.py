"""The built layer around an application of `function/`, under the local Lambda.

The local Lambda imports nothing of the layer, and refuses what Lambda would refuse: it is the
judge of the wire and of the order of calls.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

from lamella.front_doors.answer import InvokeResult
from lamella.local.config import FunctionConfig
from lamella.local.execution.environment import Environment
from tests.chaos.attack import Attack, Broken

FUNCTION = Path(__file__).with_name("function")
TIMEOUT = 10.0  # seconds; the function's
T = TypeVar("T")


class Layer:
    """One environment of the function `app`, for code that is not async itself.

    `options` are FunctionConfig's, `variables` the function's. The event loop runs while
    something is awaited here, and stands still in between.
    """

    def __init__(
        self, attack: Attack, app: str, options: dict[str, Any] | None = None, **variables: str
    ) -> None:
        self._loop = asyncio.new_event_loop()
        self._config = FunctionConfig(
            FUNCTION,
            attack.opt / "bootstrap",
            python=attack.python,
            environment={"ASGI_APP": app, "PYTHONDONTWRITEBYTECODE": "1", **variables},
            **{"timeout": TIMEOUT, **(options or {})},
        )

    def __enter__(self) -> Layer:
        self.environment = self.wait(self._made())
        return self

    def __exit__(self, *_: object) -> None:
        self.wait(self.environment.stop())
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.close()

    async def _made(self) -> Environment:
        environment = Environment(self._config, log=lambda line: None)
        await environment.start()
        return environment

    def wait(self, work: Coroutine[Any, Any, T]) -> T:
        """Run the loop until this is done."""
        return self._loop.run_until_complete(work)

    def invoke(self, event: Any) -> InvokeResult:
        """One event, to the end of its invocation. Raises `Broken` where that does not come."""
        data = event if isinstance(event, bytes) else json.dumps(event).encode()
        work = asyncio.wait_for(self.environment.invoke(data), 3 * TIMEOUT)
        try:
            return self.wait(work)
        except TimeoutError:
            raise Broken(f"no end of the invocation after {3 * TIMEOUT:g} s") from None

    def invoke_after_end(self, event: Any) -> InvokeResult:
        """As `invoke`, where the process may be about to end: an event that the local Lambda still
        gave to the process, because it had not seen its end yet, is sent again, as a client would.
        """
        for _ in range(3):
            result = self.invoke(event)
            if result.status == "success" or b"Runtime.ExitError" not in result.payload:
                break
        return result

    def pid(self) -> int | None:
        """The process, started anew where the last one has ended."""
        if self.environment.pid is None:
            self.wait(self.environment.start())
        return self.environment.pid

    @property
    def log(self) -> str:
        """The last lines of the log, and the beginning of each."""
        return "\n".join(line[:300] for line in list(self.environment.logs)[-20:])


def answer_of(result: InvokeResult) -> tuple[int, bytes]:
    """Status and body of an HTTP answer, streamed or not. Raises `Broken` where it is none.

    A stream that breaks off has the status -1: its client sees a connection that is cut.
    """
    if result.status != "success":
        raise Broken(f"the invocation failed: {result.payload[:300]!r}")
    if not result.streamed:
        answer = json.loads(result.payload)
        body = answer.get("body", "")
        return answer["statusCode"], _unpacked(body, answer.get("isBase64Encoded", False))
    if result.error is not None:
        return -1, result.payload
    prelude, zeros, payload = result.payload.partition(bytes(8))
    if not zeros:
        raise Broken(f"a stream without a prelude: {result.payload[:300]!r}")
    return json.loads(prelude)["statusCode"], payload


def _unpacked(body: str, is_base64: bool) -> bytes:
    from base64 import b64decode

    return b64decode(body, validate=True) if is_base64 else body.encode("utf-8", "surrogatepass")
